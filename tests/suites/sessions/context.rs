//! Sessions that no longer fit in the model's context.

use hearth_tests::{Home, Upstream, dense_text};
use serde_json::{Value, json};

use crate::{answer_with, create, played, post};

/// A session of four turns, each with 91 tokens by the gateway's estimate, at a model with a context of 400 tokens.
async fn full_session(upstream: &Upstream, client: &hearth_tests::Client, overflow: &str) -> String {
    let fields = json!({"model": "rig:short", "context_overflow": overflow});
    let session = create(client, &fields).await;
    for number in 0..4_u32 {
        upstream.reply(answer_with(&format!("answer {number} {}", "y".repeat(110)), 46 + 91 * number));
        let response = turn(client, &session, &format!("question {number} {}", "x".repeat(110))).await;
        assert_eq!(response["warnings"], json!([]), "{response}");
    }
    session
}

async fn turn(client: &hearth_tests::Client, session: &str, text: &str) -> Value {
    let body = json!({"input": {"prompt": text}, "parameters": {"max_tokens": 20}});
    client.post(&format!("/v1/sessions/{session}/generate"), &body).await.json()
}

fn questions(sent: &Value) -> Vec<String> {
    let users = sent["messages"].as_array().unwrap().iter().filter(|message| message["role"] == "user");
    users.map(|user| user["content"].as_str().unwrap().chars().take(10).collect()).collect()
}

const SHORT: &str = "[models.'rig:short']\ncontext_length = 400\n";

#[tokio::test]
async fn middle_or_oldest_messages_are_left_out_with_a_warning() {
    let upstream = Upstream::start().await;
    let home = played(&upstream, SHORT).await;
    let client = home.client();
    for (overflow, first) in [("truncate_middle", "question 0"), ("truncate_oldest", "question 1")] {
        let session = full_session(&upstream, &client, overflow).await;
        upstream.reply(answer_with("last", 60));
        let response = turn(&client, &session, &format!("question 4 {}", "x".repeat(110))).await;
        let warning = response["warnings"][0].as_str().unwrap_or_default();
        assert!(warning.contains("left out") && warning.contains("400 tokens"), "{response}");
        let sent = upstream.received().pop().unwrap().body;
        let questions = questions(&sent);
        assert!(questions.first().unwrap().as_str() >= first, "{overflow}: {questions:?}");
        assert_eq!(
            questions.first().unwrap() == "question 0",
            overflow == "truncate_middle",
            "{questions:?}"
        );
        assert_eq!(questions.last().unwrap(), "question 4");
        assert!(questions.len() < 5, "{questions:?}");
    }
    home.stop().await;
}

#[tokio::test]
async fn request_is_refused_by_the_policy_error_and_the_request_can_change_it() {
    let upstream = Upstream::start().await;
    let home = played(&upstream, SHORT).await;
    let client = home.client();
    let session = full_session(&upstream, &client, "error").await;
    let path = format!("/v1/sessions/{session}/generate");
    let mut body = json!({"input": {"prompt": format!("question 4 {}", "x".repeat(110))}, "parameters": {"max_tokens": 20}});
    let error = client.post(&path, &body).await.error(400, "context_length_exceeded");
    assert_eq!(error["details"]["context_length"], 400, "{error}");
    upstream.reply(answer_with("last", 60));
    body["context_overflow"] = json!("truncate_oldest");
    assert_eq!(client.post(&path, &body).await.status, 200);
    home.stop().await;
}

#[tokio::test]
async fn summary_takes_the_place_of_the_oldest_messages_and_is_stored() {
    let upstream = Upstream::start().await;
    let home = played(&upstream, SHORT).await;
    let client = home.client();
    let session = full_session(&upstream, &client, "summarise").await;
    upstream.reply(answer_with("They counted questions.", 60));
    upstream.reply(answer_with("last", 60));
    let response = turn(&client, &session, &format!("question 4 {}", "x".repeat(110))).await;
    assert!(response["warnings"][0].as_str().unwrap().contains("replaced by a summary"), "{response}");
    let received = upstream.received();
    let [.., summary, sent] = received.as_slice() else { panic!("{received:?}") };
    assert!(summary.body["messages"].to_string().contains("Summarise the conversation"), "{summary:?}");
    let system = sent.body["messages"][0]["content"].as_str().unwrap();
    assert!(system.contains("They counted questions."), "{system}");
    assert!(questions(&sent.body).len() < 5);
    // The next turn has the stored one.
    upstream.reply(answer_with("short", 60));
    turn(&client, &session, "Hi").await;
    let sent = upstream.received().pop().unwrap().body;
    assert!(sent["messages"][0]["content"].as_str().unwrap().contains("They counted questions."), "{sent}");
    home.stop().await;
}

#[tokio::test]
async fn node_counts_the_tokens_of_text_that_has_far_more_than_estimated() {
    let home = Home::start().await;
    let client = home.client();
    let model = client.get(&format!("/v1/models/{}", home.model)).await.json();
    let context = usize::try_from(model["context_length"].as_u64().unwrap()).unwrap();
    for script in ["japanese", "hexadecimal"] {
        let fields = json!({"model": home.model, "context_overflow": "truncate_oldest"});
        let session = create(&client, &fields).await;
        for number in 0..6 {
            let text = dense_text(script, number, context / 2);
            let items = json!({"items": [
                {"role": "user", "content": text}, {"role": "assistant", "content": format!("answer {number}")},
            ]});
            post(&client, &format!("/v1/conversations/{session}/items"), &items).await;
        }
        let body = json!({"input": {"prompt": "And now?"}, "parameters": {"max_tokens": 4}});
        let response = post(&client, &format!("/v1/sessions/{session}/generate"), &body).await;
        let warning = response["warnings"][0].as_str().unwrap_or_default();
        assert!(warning.contains("left out"), "{script}: {response}");
        // Not more than had to go.
        let tokens = usize::try_from(response["usage"]["prompt_tokens"].as_u64().unwrap()).unwrap();
        assert!(tokens > context / 4 && tokens < context, "{script}: {tokens} of {context}");
    }
    home.stop().await;
}
