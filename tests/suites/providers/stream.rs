//! Streams of a provider in each client's dialect, for any split of the bytes.

use hearth_tests::{Reply, Upstream};
use serde_json::json;

use crate::{ANSWER_TEXT, answer, chat, chunk, with, with_node};

#[tokio::test]
async fn provider_model_answers_in_both_dialects() {
    let upstream = Upstream::start().await;
    let home = with(&[&upstream], "").await;
    let client = home.client();
    for model in ["rig0:big", "big"] {
        upstream.reply(answer());
        let answer = client.post("/v1/chat/completions", &chat(model)).await.json();
        assert_eq!(answer["choices"][0]["message"]["content"], ANSWER_TEXT, "{answer}");
        assert_eq!(answer["usage"]["prompt_tokens_details"]["cached_tokens"], 8, "{answer}");
    }
    upstream.reply(answer());
    let body = json!({"model": "big", "input": {"prompt": "Hi"}, "parameters": {"temperature": 0.5}});
    let answer = client.post("/v1/generate", &body).await;
    let id = answer.headers["x-request-id"].to_str().unwrap().to_owned();
    let answer = answer.json();
    assert_eq!(
        (&answer["output"]["text"], &answer["selection"]["selected_provider"]),
        (&json!(ANSWER_TEXT), &json!("rig0"))
    );
    let record = client.get(&format!("/v1/requests/{id}")).await.json();
    assert_eq!(record["usage"]["total_tokens"], 15, "{record}");

    let received = upstream.received();
    let last = received.last().unwrap();
    assert_eq!(
        (last.path.as_str(), last.headers["authorization"].to_str().unwrap()),
        ("/v1/chat/completions", "Bearer sk-rig")
    );
    assert_eq!((&last.body["model"], &last.body["temperature"]), (&json!("big"), &json!(0.5)));
    home.stop().await;
}

#[tokio::test]
async fn runs_before_a_shutdown_are_recorded() {
    let upstream = Upstream::start().await;
    let home = with(&[&upstream], "").await;
    let mut ids = Vec::new();
    for _ in 0..8 {
        upstream.reply(answer());
        let answer = home.client().post("/v1/chat/completions", &chat("big")).await;
        ids.push(answer.headers["x-request-id"].to_str().unwrap().to_owned());
    }
    let home = home.restart().await;
    for id in ids {
        let record = home.client().get(&format!("/v1/requests/{id}")).await.json();
        assert_eq!((&record["status"], &record["usage"]["total_tokens"]), (&json!("completed"), &json!(15)));
    }
    home.stop().await;
}

#[tokio::test]
async fn split_stream_gives_the_same_answer() {
    let upstream = Upstream::start().await;
    let home = with(&[&upstream], "").await;
    for bytes in [1, 2, 3, 7, 64] {
        upstream.reply(answer().split(bytes));
        let answer = home.client().post("/v1/chat/completions", &chat("big")).await.json();
        assert_eq!(answer["choices"][0]["message"]["content"], ANSWER_TEXT, "pieces of {bytes}: {answer}");
    }
    home.stop().await;
}

#[tokio::test]
async fn tools_images_and_unknown_fields_reach_the_provider() {
    let upstream = Upstream::start().await;
    let home = with_node(&[&upstream], "").await;
    let call = json!({"index": 0, "id": "c1", "type": "function", "function": {"name": "look", "arguments": "{\"at\":1}"}});
    upstream.reply(Reply::chunks(&[
        chunk(json!({"reasoning_content": "Hm."}), None),
        chunk(json!({"tool_calls": [call]}), None),
        chunk(json!({}), Some("tool_calls")),
    ]));
    let body = json!({
        "model": "rig0:big",
        "messages": [{"role": "user", "content": [
            {"type": "text", "text": "What is this?"},
            {"type": "image_url", "image_url": {"url": "https://example.org/a.png", "detail": "low"}},
        ]}],
        "tools": [{"type": "function", "function": {"name": "look", "parameters": {"type": "object"}}}],
        "service_tier": "flex",
    });
    let answer = home.client().post("/v1/chat/completions", &body).await.json();
    let message = &answer["choices"][0]["message"];
    assert_eq!(message["tool_calls"][0]["function"]["arguments"], "{\"at\":1}", "{answer}");
    assert_eq!(
        (&message["reasoning_content"], &answer["choices"][0]["finish_reason"]),
        (&json!("Hm."), &json!("tool_calls"))
    );
    let sent = upstream.received().pop().unwrap().body;
    assert_eq!((&sent["messages"], &sent["service_tier"]), (&body["messages"], &json!("flex")));
    // A local model without vision refuses images.
    let mut blind = chat("tiny-chat");
    blind["messages"] = body["messages"].clone();
    home.client().post("/v1/chat/completions", &blind).await.error(400, "invalid_request");
    home.stop().await;
}

#[tokio::test]
async fn disconnect_ends_a_streamed_call() {
    let upstream = Upstream::start().await;
    let home = with(&[&upstream], "").await;
    let begun = chunk(json!({"content": "Once"}), None);
    upstream.reply(Reply::begun(&[begun]).then_silence());
    let mut body = chat("big");
    body["stream"] = json!(true);
    let mut events = home.client().stream("/v1/chat/completions", &body).await;
    assert!(events.next().await.is_some());
    drop(events);
    upstream.left().await;
    home.stop().await;
}

#[tokio::test]
async fn disconnect_ends_a_whole_answer_call() {
    let upstream = Upstream::start().await;
    let home = with(&[&upstream], "").await;
    upstream.reply(Reply::file("application/json", b"{").then_silence());
    let mut body = chat("big");
    body["max_tokens"] = json!(5);
    let client = home.client();
    let request = client.request(reqwest::Method::POST, "/v1/chat/completions").json(&body);
    let waiting = tokio::spawn(request.send());
    hearth_tests::eventually("the request", async || upstream.received().pop()).await;
    waiting.abort();
    upstream.left().await;
    let sent = upstream.received().pop().unwrap().body;
    assert_eq!((&sent["stream"], sent.get("stream_options")), (&json!(false), None));
    home.stop().await;
}

#[tokio::test]
async fn long_whole_answer_is_streamed_by_the_provider() {
    let upstream = Upstream::start().await;
    let home = with(&[&upstream], "").await;
    let cases = [json!({"max_tokens": 4097}), json!({}), json!({"max_tokens": 5, "resume": true})];
    for more in cases {
        let mut body = chat("big");
        body.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        upstream.reply(answer());
        let answer = home.client().post("/v1/chat/completions", &body).await.json();
        assert_eq!(answer["choices"][0]["message"]["content"], ANSWER_TEXT, "{more}: {answer}");
        assert_eq!(upstream.received().pop().unwrap().body["stream"], true, "{more}");
    }
    home.stop().await;
}

#[tokio::test]
async fn run_is_cancelled_by_its_id() {
    let upstream = Upstream::start().await;
    let home = with(&[&upstream], "").await;
    upstream.reply(Reply::begun(&[chunk(json!({"content": "Once"}), None)]).then_silence());
    let body = json!({"model": "big", "input": {"prompt": "Hi"}, "stream": true});
    let mut events = home.client().stream("/v1/generate", &body).await;
    events.next_named("delta").await;
    let id = events.request_id.clone();
    let cancelled = home.client().post(&format!("/v1/requests/{id}/cancel"), &json!({})).await.json();
    assert_eq!((&cancelled["cancelled"], &cancelled["status"]), (&json!(true), &json!("cancelled")));
    upstream.left().await;
    home.stop().await;
}
