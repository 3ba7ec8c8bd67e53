use axum::{Json, Router, routing::post};
use clap::Parser;
use hearth_wire::{ApiError, ErrorCode};
use serde_json::{Value, json};

use super::*;
use crate::client::testing::{event_stream, gateway, serve};

#[derive(Debug, Parser)]
struct Line {
    #[command(flatten)]
    generate: Generate,
}

fn whole(text: &str) -> Value {
    json!({
        "event": "complete", "request_id": "req_1", "model": "tiny-chat", "modality": "text",
        "selection": {"selected_model": "tiny-chat", "selected_provider": "local", "reason": "default",
                      "fallback_used": false, "fallback_reason": null},
        "output": {"text": text},
        "usage": {"prompt_tokens": 1, "completion_tokens": 2, "total_tokens": 3, "cached_tokens": 0},
        "finish_reason": "stop", "warnings": [],
    })
}

async fn read(events: Vec<Value>) -> anyhow::Result<GenerateResponse> {
    let url = serve(Router::new().route("/v1/generate", post(async move || event_stream(&events)))).await;
    let mut events = gateway(&url).stream(&["v1", "generate"], &json!({})).await?;
    assert_eq!(events.request_id(), Some("req_1"));
    answer(&mut events, &mut Printer::new(Screen::Stdout, false, false)).await
}

#[tokio::test]
async fn stream_ends_with_the_whole_answer() {
    let response = read(vec![
        json!({"event": "model_selected", "model": "tiny-chat"}),
        json!({"event": "queued", "position": 2}),
        json!({"event": "loading", "progress": 0.4}),
        json!({"event": "delta", "text": "hel"}),
        json!({"event": "delta", "text": "lo"}),
        whole("hello"),
    ]);
    assert_eq!(response.await.unwrap().output.text, "hello");
}

#[tokio::test]
async fn failed_run_is_an_error() {
    let error = ApiError::new(ErrorCode::NodeLost, "the node went away").envelope("req_1").error;
    let events = vec![json!({"event": "delta", "text": "hel"}), json!({"event": "error", "error": error})];
    let error = read(events).await.unwrap_err().to_string();
    assert_eq!(error, "the node went away (node_lost, request id req_1)");
}

#[tokio::test]
async fn stream_without_its_answer_is_an_error() {
    assert!(read(vec![json!({"event": "delta", "text": "hel"})]).await.is_err());
}

#[test]
fn options_become_parameters() {
    let line = Line::parse_from(
        "hearth tell me --model m --system s --temperature 0.7 --top-p 0.9 --top-k 40 --min-p 0.1 \
         --seed 7 --max-tokens 9 --stop a --stop b"
            .split_whitespace(),
    );
    let Json(request) = Json(serde_json::to_value(line.generate.request().unwrap()).unwrap());
    assert_eq!(request["model"], "m");
    assert_eq!(request["input"]["prompt"], "tell me");
    assert_eq!(request["system_prompt"], "s");
    assert_eq!(request["stream"], true);
    assert_eq!(request["parameters"]["stop"], json!(["a", "b"]));
    assert_eq!(request["parameters"]["top_k"], 40);
    assert_eq!(request["parameters"]["max_tokens"], 9);
    assert_eq!(request["parameters"]["seed"], 7);
}
