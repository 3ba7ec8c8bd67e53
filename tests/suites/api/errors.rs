//! Errors of invalid requests.

use hearth_tests::{Answer, Client, Home};
use reqwest::Method;
use serde_json::json;

use crate::{capital_of_france, with};

/// Largest body that is accepted.
const LIMIT: usize = 10 << 20;

async fn post_text(client: &Client, kind: &str, body: impl Into<reqwest::Body>) -> Answer {
    client.send(client.request(Method::POST, "/v1/generate").header("content-type", kind).body(body)).await
}

#[tokio::test]
async fn invalid_field_is_named() {
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
async fn body_without_a_json_object_is_refused() {
    let home = Home::start_without_node().await;
    for body in ["", "{", "[]", "\"Hello\"", "{\"input\": {\"prompt\": \"Hello!\"}} more"] {
        let answer = post_text(&home.client(), "application/json", body).await;
        answer.error(400, "invalid_request");
    }
    post_text(&home.client(), "application/json", vec![0xff, 0xfe]).await.error(400, "invalid_request");
    home.stop().await;
}

#[tokio::test]
async fn body_nested_too_deep_is_refused() {
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
async fn media_type_other_than_json_is_refused() {
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
async fn compressed_body_is_refused() {
    let home = Home::start_without_node().await;
    let client = home.client();
    let body = json!({"model": "none", "messages": [{"role": "user", "content": "Hi"}]});
    for (encoding, status) in [("gzip", 415), ("br", 415), ("identity", 404)] {
        let request = client.request(Method::POST, "/v1/chat/completions").json(&body);
        let answer = client.send(request.header("content-encoding", encoding)).await;
        assert_eq!(answer.status, status, "{encoding}: {answer:?}");
    }
    home.stop().await;
}

#[tokio::test]
async fn long_name_is_quoted_in_part() {
    let home = Home::start_without_node().await;
    let body = json!({"provider": "x".repeat(70_000), "input": {"prompt": "Hi"}});
    let answer = home.client().post("/v1/generate", &body).await;
    assert!(answer.status.is_client_error() && answer.body.len() < 8 << 10, "{} bytes", answer.body.len());
    home.stop().await;
}

#[tokio::test]
async fn body_over_the_limit_is_refused() {
    let home = Home::start_without_node().await;
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
async fn unknown_model_is_not_found_streamed_or_not() {
    let home = Home::start().await;
    for stream in [false, true] {
        let body = with(with(capital_of_france(), "model", "no-such-model"), "stream", stream);
        let error = home.client().post("/v1/generate", &body).await.error(404, "model_not_found");
        assert_eq!(error["param"], "model");
    }
    home.stop().await;
}

#[tokio::test]
async fn prompt_over_the_context_is_refused_streamed_or_not() {
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
async fn unknown_route_and_wrong_method_have_an_error_body() {
    let home = Home::start().await;
    let client = home.client();
    client.get("/no/such/route").await.error(404, "not_found");
    client.with_token(None).get("/no/such/route").await.error(404, "not_found");
    client.delete("/v1/generate").await.error(405, "method_not_allowed");
    for (method, path, allow) in [
        (Method::DELETE, "/v1/models/tiny-chat/status", "GET, HEAD"),
        (Method::DELETE, "/v1/models/loaded", "GET, HEAD"),
        (Method::POST, "/v1/models/tiny-chat", "GET, HEAD, PATCH, DELETE"),
        (Method::PUT, "/v1/models/tiny-chat/load", "POST"),
        (Method::DELETE, "/v1/models/a/b/unload", "POST"),
        (Method::GET, "/v1/models/tiny-chat/load", "POST"),
        (Method::GET, "/v1/models/a/b/unload", "POST"),
        (Method::PUT, "/v1/models/download", "POST"),
    ] {
        let answer = client.send(client.request(method.clone(), path)).await;
        answer.error(405, "method_not_allowed");
        assert_eq!(answer.header("allow"), allow, "{method} {path}");
        let options = client.send(client.request(Method::OPTIONS, path)).await;
        assert_eq!((options.status.as_u16(), options.header("allow")), (200, allow), "OPTIONS {path}");
    }
    for (method, path, allow) in [
        (Method::PUT, "/v1beta/models/tiny-chat", "GET, HEAD"),
        (Method::GET, "/v1beta/models/tiny-chat:generateContent", "POST"),
        (Method::PATCH, "/v1beta/models/a/b:countTokens", "POST"),
    ] {
        let answer = client.send(client.request(method.clone(), path)).await;
        assert_eq!((answer.status.as_u16(), answer.header("allow")), (405, allow), "{method} {path}");
        assert!(answer.json()["error"]["details"].is_array(), "{method} {path}: Google's format");
        let options = client.send(client.request(Method::OPTIONS, path)).await;
        assert_eq!(options.header("allow"), allow, "OPTIONS {path}");
    }
    home.stop().await;
}

/// The formats are those of docs/errors/README.md.
#[tokio::test]
async fn errors_have_the_format_of_their_dialect() {
    let home = Home::start_with(&["--no-node"]).await;
    let client = home.client();
    let (anthropic, google) = (("anthropic-version", "2023-06-01"), ("x-goog-api-key", &*home.token));
    let none = ("x-none", "");
    let cases = [
        ("/v1/models/none", none, "/error/code", "model_not_found", "/error/request_id"),
        ("/no/such/route", none, "/error/code", "not_found", "/error/request_id"),
        ("/v1/models/none", anthropic, "/error/code", "model_not_found", "/request_id"),
        ("/no/such/route", anthropic, "/error/code", "not_found", "/request_id"),
        (
            "/v1beta/models/none",
            google,
            "/error/details/0/reason",
            "MODEL_NOT_FOUND",
            "/error/details/0/metadata/request_id",
        ),
        (
            "/no/such/route",
            google,
            "/error/details/0/reason",
            "NOT_FOUND",
            "/error/details/0/metadata/request_id",
        ),
        ("/api/blobs/sha256:0", none, "/code", "not_found", "/request_id"),
    ];
    for (path, (name, value), code, expected, id) in cases {
        let answer = client.send(client.request(Method::GET, path).header(name, value)).await;
        let body = answer.json();
        assert_eq!(answer.status, 404, "{path}: {body}");
        assert_eq!(body.pointer(code), Some(&json!(expected)), "{path}: {body}");
        assert_eq!(body.pointer(id), Some(&json!(answer.header("x-request-id"))), "{path}: {body}");
    }
    home.stop().await;
}
