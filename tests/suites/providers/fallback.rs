//! A provider that fails: retries, fallbacks, and errors.

use hearth_tests::{Reply, Upstream};
use serde_json::{Value, json};

use crate::{ANSWER_TEXT, answer, chat, chunk, failure, with_node};

fn generate(model: &str, fallback: &Value) -> Value {
    json!({"model": model, "input": {"prompt": "Hi"}, "fallback": fallback})
}

#[tokio::test]
async fn transient_failure_is_retried() {
    let upstream = Upstream::start().await;
    let home = with_node(&[&upstream], "").await;
    upstream.reply(failure(500, "oops"));
    upstream.reply(failure(429, "rate_limit_exceeded").header("retry-after", "1"));
    upstream.reply(answer());
    let answer = home.client().post("/v1/chat/completions", &chat("big")).await.json();
    assert_eq!(answer["choices"][0]["message"]["content"], ANSWER_TEXT, "{answer}");
    assert_eq!(upstream.received().len(), 3);
    home.stop().await;
}

#[tokio::test]
async fn fallback_answers_after_a_failure() {
    let (first, second) = (Upstream::start().await, Upstream::start().await);
    let home = with_node(&[&first, &second], "[fallbacks]\n'rig0:big' = ['rig1:big']").await;
    let begun_and_overloaded =
        [chunk(json!({"role": "assistant"}), None), json!({"error": {"message": "overloaded"}})];
    let failures = [
        failure(401, "invalid_api_key"),
        failure(429, "insufficient_quota"),
        failure(429, "rate_limit_exceeded").header("retry-after", "30"),
        failure(404, "model_not_found"),
    ];
    for reply in failures {
        first.reply(reply.clone());
        second.reply(answer());
        let answer = home
            .client()
            .post("/v1/generate", &json!({"model": "rig0:big", "input": {"prompt": "Hi"}}))
            .await
            .json();
        let selection = &answer["selection"];
        assert_eq!(
            (&answer["output"]["text"], &selection["selected_provider"]),
            (&json!(ANSWER_TEXT), &json!("rig1")),
            "{answer}"
        );
        assert_eq!(selection["fallback_used"], true, "{reply:?}");
    }
    // An error within the stream, before the first piece of the answer, has cost the client nothing.
    for _ in 0..3 {
        first.reply(Reply::chunks(&begun_and_overloaded));
    }
    second.reply(answer());
    let answer = home
        .client()
        .post("/v1/generate", &json!({"model": "rig0:big", "input": {"prompt": "Hi"}}))
        .await
        .json();
    assert_eq!(answer["selection"]["selected_provider"], "rig1", "{answer}");
    home.stop().await;
}

#[tokio::test]
async fn request_names_its_own_fallback() {
    let upstream = Upstream::start().await;
    let home = with_node(&[&upstream], "").await;
    upstream.reply(failure(401, "invalid_api_key"));
    let body = generate("rig0:big", &json!({"models": ["tiny-chat"]}));
    let answer = home.client().post("/v1/generate", &body).await;
    let id = answer.headers["x-request-id"].to_str().unwrap().to_owned();
    let answer = answer.json();
    assert_eq!(answer["model"], "tiny-chat", "{answer}");
    assert_eq!(answer["selection"]["fallback_reason"], "provider_auth", "{answer}");
    // The record has the fallback's model.
    let record = home.client().get(&format!("/v1/requests/{id}")).await.json();
    assert_eq!(record["model"], "tiny-chat", "{record}");

    upstream.reply(failure(401, "invalid_api_key"));
    let refused = home.client().post("/v1/generate", &generate("rig0:big", &json!(false))).await;
    refused.error(502, "provider_auth");
    home.stop().await;
}

#[tokio::test]
async fn no_fallback_after_first_token() {
    let (first, second) = (Upstream::start().await, Upstream::start().await);
    let home = with_node(&[&first, &second], "[fallbacks]\n'rig0:big' = ['rig1:big']").await;
    first.reply(Reply::begun(&[chunk(json!({"content": "Once"}), None)]).then_break());
    let answer = home.client().post("/v1/chat/completions", &chat("rig0:big")).await;
    answer.error(502, "provider_error");
    assert!(second.received().is_empty());
    home.stop().await;
}

#[tokio::test]
async fn silent_stream_times_out() {
    let upstream = Upstream::start().await;
    let home = with_node(&[&upstream], "").await;
    upstream.reply(Reply::begun(&[chunk(json!({"content": "Once"}), None)]).then_silence());
    home.client().post("/v1/chat/completions", &chat("big")).await.error(504, "provider_timeout");
    home.stop().await;
}

#[tokio::test]
async fn alias_uses_its_first_available_model() {
    let upstream = Upstream::start().await;
    let home = with_node(&[&upstream], "[aliases]\nfast = ['rig0:big', 'local:tiny-chat']").await;
    upstream.reply(answer());
    let ask = async || {
        home.client().post("/v1/generate", &json!({"model": "fast", "input": {"prompt": "Hi"}})).await.json()
    };
    assert_eq!(ask().await["selection"]["selected_provider"], "rig0");
    upstream.reply(failure(402, "billing"));
    let answer = ask().await;
    assert_eq!(
        (&answer["model"], &answer["selection"]["fallback_reason"]),
        (&json!("tiny-chat"), &json!("quota_exceeded"))
    );
    home.stop().await;
}
