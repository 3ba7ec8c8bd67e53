//! Requests that can't be served, and what they are told.

use hearth_tests::{Answer, Client, Home};
use reqwest::Method;
use serde_json::json;

use crate::{capital_of_france, with};

/// The largest body that is taken.
const LIMIT: usize = 10 << 20;

async fn post_text(client: &Client, kind: &str, body: impl Into<reqwest::Body>) -> Answer {
    client.send(client.request(Method::POST, "/v1/generate").header("content-type", kind).body(body)).await
}

#[tokio::test]
async fn a_field_at_fault_is_named() {
    let home = Home::start().await;
    let client = home.client();
    let hello = json!({"prompt": "Hello!"});
    let cases = [
        (json!({"input": hello, "colour": "red"}), "colour"),
        (json!({"input": {"prompt": "Hello!", "wings": 2}}), "input.wings"),
        (json!({"input": hello, "parameters": {"warmth": 1}}), "parameters.warmth"),
        (json!({"input": {"prompt": 5}}), "input.prompt"),
        (json!({"input": hello, "stream": "yes"}), "stream"),
        (json!({"input": hello, "model": ["tiny-chat"]}), "model"),
        (json!({"input": hello, "parameters": {"temperature": "hot"}}), "parameters.temperature"),
        (json!({"input": hello, "parameters": {"temperature": 3}}), "parameters.temperature"),
        (json!({"input": hello, "parameters": {"max_tokens": 0}}), "parameters.max_tokens"),
        (json!({"input": hello, "parameters": {"max_tokens": -1}}), "parameters.max_tokens"),
        (json!({"input": hello, "on_disconnect": "explode"}), "on_disconnect"),
        (json!({"input": hello, "modality": "smell"}), "modality"),
        (json!({"input": {"messages": [{"role": "wizard", "content": "Hello!"}]}}), "input.messages[0].role"),
        (json!({"input": {}}), "input"),
        (json!({"input": {"prompt": ""}}), "input.prompt"),
        (json!({}), "input"),
        (json!({"input": hello, "parameters": {"n": 0}}), "parameters.n"),
        (json!({"input": hello, "parameters": {"response_format": {}}}), "parameters.response_format.type"),
        (json!({"input": hello, "tool_choice": "required"}), "tool_choice"),
        (json!({"input": hello, "priority": 1}), "priority"),
        (
            json!({"input": {"messages": [{"role": "tool", "content": "42"}]}}),
            "input.messages[0].tool_call_id",
        ),
    ];
    for (body, param) in cases {
        let error = client.post("/v1/generate", &body).await.error(400, "invalid_request");
        assert_eq!(error["param"], param, "{body} gave {error}");
    }
    home.stop().await;
}

#[tokio::test]
async fn a_body_that_is_no_json_object_is_a_bad_request() {
    let home = Home::start().await;
    for body in ["", "{", "[]", "\"Hello\"", "{\"input\": {\"prompt\": \"Hello!\"}} more"] {
        let answer = post_text(&home.client(), "application/json", body).await;
        answer.error(400, "invalid_request");
    }
    post_text(&home.client(), "application/json", vec![0xff, 0xfe]).await.error(400, "invalid_request");
    home.stop().await;
}

#[tokio::test]
async fn a_body_far_too_deep_is_a_bad_request_and_the_gateway_stands() {
    let home = Home::start().await;
    let client = home.client();
    let deep = format!("{}1{}", "[".repeat(20_000), "]".repeat(20_000));
    let schema = format!(r#"{{"type": "json_schema", "json_schema": {{"schema": {deep}}}}}"#);
    let tool = format!(r#"{{"type": "function", "function": {{"name": "f", "parameters": {deep}}}}}"#);
    let bodies = [
        format!(r#"{{"input": {{"prompt": "Hello!"}}, "tools": [{tool}]}}"#),
        format!(r#"{{"input": {{"prompt": "Hello!"}}, "parameters": {{"response_format": {schema}}}}}"#),
    ];
    for body in bodies {
        let error = post_text(&client, "application/json", body).await.error(400, "invalid_request");
        assert!(error["message"].as_str().unwrap().contains("nested too deep"), "{error}");
    }
    let levels = (0..70).fold(json!({}), |inner, _| json!({"not": inner}));
    let format = json!({"type": "json_schema", "json_schema": {"schema": levels}});
    let body = with(capital_of_france(), "parameters", json!({"response_format": format}));
    let error = client.post("/v1/generate", &body).await.error(400, "invalid_request");
    assert_eq!(error["param"], "parameters.response_format.json_schema.schema");
    client.ask("Hello!").await;
    home.stop().await;
}

#[tokio::test]
async fn only_json_is_taken() {
    let home = Home::start().await;
    for kind in ["text/plain", "application/x-www-form-urlencoded"] {
        let answer = post_text(&home.client(), kind, capital_of_france().to_string()).await;
        answer.error(415, "unsupported_media_type");
    }
    let answer =
        post_text(&home.client(), "application/json; charset=utf-8", capital_of_france().to_string()).await;
    assert_eq!(answer.status, 200, "{answer:?}");
    home.stop().await;
}

#[tokio::test]
async fn a_body_over_ten_megabytes_is_refused_and_one_of_ten_is_read() {
    let home = Home::start().await;
    let padded = |length: usize| {
        let body = json!({"input": {"prompt": ""}}).to_string();
        let spaces = " ".repeat(length - body.len());
        body + &spaces
    };
    let answer = post_text(&home.client(), "application/json", padded(LIMIT + 1)).await;
    answer.error(413, "payload_too_large");
    let answer = post_text(&home.client(), "application/json", padded(LIMIT)).await;
    assert_eq!(answer.error(400, "invalid_request")["param"], "input.prompt");
    home.stop().await;
}

#[tokio::test]
async fn an_unknown_model_is_not_found_streaming_or_not() {
    let home = Home::start().await;
    for stream in [false, true] {
        let body = with(with(capital_of_france(), "model", "no-such-model"), "stream", stream);
        let error = home.client().post("/v1/generate", &body).await.error(404, "model_not_found");
        assert_eq!(error["param"], "model");
    }
    home.stop().await;
}

#[tokio::test]
async fn a_prompt_longer_than_the_context_is_refused_streaming_or_not() {
    let home = Home::start().await;
    // With its model in memory: a stream that has begun with the load's progress ends in an error event.
    home.client().ask("Hello!").await;
    for stream in [false, true] {
        let body = json!({"input": {"prompt": "word ".repeat(10_000)}, "stream": stream});
        home.client().post("/v1/generate", &body).await.error(400, "context_length_exceeded");
    }
    home.stop().await;
}

#[tokio::test]
async fn an_unknown_route_and_a_wrong_method_have_the_envelope_too() {
    let home = Home::start().await;
    let client = home.client();
    client.get("/no/such/route").await.error(404, "not_found");
    client.with_token(None).get("/no/such/route").await.error(404, "not_found");
    client.delete("/v1/generate").await.error(405, "not_found");
    for (method, path, allow) in [
        (Method::DELETE, "/v1/models/tiny-chat/status", "GET, HEAD"),
        (Method::DELETE, "/v1/models/loaded", "GET, HEAD"),
        (Method::POST, "/v1/models/tiny-chat", "GET, HEAD, DELETE"),
        (Method::PUT, "/v1/models/tiny-chat/load", "POST"),
        (Method::DELETE, "/v1/models/a/b/unload", "POST"),
    ] {
        let answer = client.send(client.request(method.clone(), path)).await;
        answer.error(405, "not_found");
        assert_eq!(answer.header("allow"), allow, "{method} {path}");
    }
    home.stop().await;
}
