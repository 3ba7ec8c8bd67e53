use std::sync::{
    Arc, Mutex,
    atomic::{AtomicBool, Ordering},
};

use axum::{Json, Router, http::StatusCode, routing::post};
use clap::Parser;
use serde_json::json;

use super::*;
use crate::client::testing::{context, gateway, serve};

#[derive(Debug, Parser)]
struct Line {
    #[command(flatten)]
    analyze: Analyze,
}

fn line(arguments: &[&str]) -> Analyze {
    Line::parse_from([&["hearth"], arguments].concat()).analyze
}

fn response(data: &Value) -> Value {
    json!({
        "request_id": "req_1", "object": "analysis", "data": data, "format": "json",
        "schema": {"source": "default"}, "validation_status": "passed", "validation_errors": [],
        "confidence": 0.9, "low_confidence": false,
        "confidence_parts": {"log_probability": null, "validity": null, "completeness": null, "agreement": null},
        "how": "grammar", "repaired": false, "attempts": 1, "provider": "local", "model": "tiny-chat",
        "usage": {"prompt_tokens": 1, "completion_tokens": 2, "total_tokens": 3, "cached_tokens": 0},
        "cost": null, "cached": true, "time_ms": 5, "suspicious": [],
        "language": {"detected": null, "confidence": null},
    })
}

#[test]
fn flags_become_a_request() {
    let analyze = line(&[
        "--schema",
        "invoice@1.2.0",
        "--template",
        "support",
        "--var",
        "product=kettle",
        "--var",
        "count=2",
        "-f",
        "yaml",
        "-m",
        "m",
        "--language",
        "de",
        "--samples",
        "3",
        "--attempts",
        "2",
        "--relaxed",
        "--no-cache",
        "a",
        "text",
    ]);
    let request = analyze.flags.request(analyze.text.join(" ")).unwrap();
    let expected = json!({
        "prompt": "a text", "schema_id": "invoice@1.2.0", "template_id": "support",
        "variables": {"product": "kettle", "count": 2},
        "options": {"model": "m", "format": "yaml", "language": "de", "samples": 3, "max_attempts": 2,
                    "allow_relaxed": true, "bypass_cache": true},
    });
    assert_eq!(serde_json::to_value(request).unwrap(), expected);
    assert!(line(&["x"]).flags.request("  ".to_owned()).is_err());
}

#[test]
fn schema_is_a_file_or_a_stored_one() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("person.json");
    std::fs::write(&path, "{\"type\": \"object\"}").unwrap();
    assert_eq!(schema(path.to_str().unwrap()).unwrap(), (Some(json!({"type": "object"})), None));
    assert_eq!(schema("invoice").unwrap(), (None, Some("invoice".to_owned())));
    assert!(schema("./missing.json").unwrap_err().to_string().contains("can't be read"));
    std::fs::write(&path, "{").unwrap();
    assert!(schema(path.to_str().unwrap()).unwrap_err().to_string().contains("isn't JSON"));
}

#[test]
fn data_is_printed_in_each_format() {
    let read = |data: Value| serde_json::from_value::<AnalyzeResponse>(response(&data)).unwrap();
    let nested = read(json!({"intent": "ask", "entities": [{"type": "a", "value": "b"}], "empty": []}));
    let table = output::data(&nested, OutputFormat::Table).unwrap();
    let lines: Vec<Vec<&str>> = table.lines().map(|line| line.split_whitespace().collect()).collect();
    assert_eq!(
        lines,
        [
            ["FIELD", "VALUE"],
            ["intent", "ask"],
            ["entities[0].type", "a"],
            ["entities[0].value", "b"],
            ["empty", "[]"],
        ]
    );
    assert!(output::data(&nested, OutputFormat::Json).unwrap().contains("\n  \"intent\": \"ask\""));
    assert_eq!(output::data(&read(json!("a: 1\n")), OutputFormat::Yaml).unwrap(), "a: 1\n");
    assert_eq!(output::notes(&nested), ["passed, confidence 0.9, tiny-chat (local), cached, 5 ms"]);
}

#[tokio::test]
async fn batch_that_breaks_off_names_the_text_to_go_on_with() {
    let answered = Arc::new(AtomicBool::new(false));
    let answer = move || {
        let is_first = !answered.swap(true, Ordering::Relaxed);
        let results: Vec<Value> = (0..20)
            .map(|index| json!({"index": index, "status": "ok", "analysis": response(&json!({}))}))
            .collect();
        let usage =
            json!({"prompt_tokens": 0, "completion_tokens": 0, "total_tokens": 0, "cached_tokens": 0});
        let body = json!({"request_id": "req_1", "object": "analysis.batch", "results": results, "summary": {
            "total": 1, "ok": 1, "failed": 0, "cached": 0, "duplicates": 0, "low_confidence": 0, "usage": usage,
            "cost": null, "time_ms": 1,
        }});
        async move {
            if is_first { (StatusCode::OK, Json(body)) } else { (StatusCode::BAD_GATEWAY, Json(json!({}))) }
        }
    };
    let url = serve(Router::new().route("/v1/analyze/batch", post(answer))).await;
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("texts.jsonl");
    let lines: String = (0..45).map(|number| format!("\"text {number}\"\n")).collect();
    std::fs::write(&path, lines).unwrap();
    let error = batch::run(&gateway(&url), &path, 3, &line(&["x"]).flags, true).await.unwrap_err();
    assert_eq!(
        error.to_string(),
        "20 of 42 texts were analyzed before this; `--skip 23` goes on with the rest"
    );
}

#[tokio::test]
async fn batch_is_sent_in_groups_and_a_failed_text_fails_the_command() {
    let received = Arc::new(Mutex::new(Vec::new()));
    let log = Arc::clone(&received);
    let answer = move |Json(body): Json<Value>| async move {
        let items = body["items"].as_array().unwrap().clone();
        let results: Vec<Value> = (0..items.len())
            .map(|index| match items[index]["prompt"].as_str() {
                Some("bad") => json!({"index": index, "status": "failed", "error": {
                    "code": "invalid_answer", "type": "x", "message": "no", "param": null, "details": {},
                    "request_id": "req_1", "retryable": false,
                }}),
                _ => json!({"index": index, "status": "ok", "analysis": response(&json!({}))}),
            })
            .collect();
        log.lock().unwrap().push(items.len());
        let usage =
            json!({"prompt_tokens": 0, "completion_tokens": 0, "total_tokens": 0, "cached_tokens": 0});
        Json(json!({"request_id": "req_1", "object": "analysis.batch", "results": results, "summary": {
            "total": 1, "ok": 1, "failed": 0, "cached": 0, "duplicates": 0, "low_confidence": 0, "usage": usage,
            "cost": null, "time_ms": 1,
        }}))
    };
    let url = serve(Router::new().route("/v1/analyze/batch", post(answer))).await;
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("texts.jsonl");
    let lines: String = (0..45).map(|number| format!("\"text {number}\"\n")).collect();
    std::fs::write(&path, lines).unwrap();
    let analyze = line(&["--batch", path.to_str().unwrap()]);
    analyze.run(&context(&url)).await.unwrap();
    assert_eq!(*received.lock().unwrap(), [20, 20, 5]);
    let rest = line(&["--batch", path.to_str().unwrap(), "--skip", "43"]);
    rest.run(&context(&url)).await.unwrap();
    assert_eq!(received.lock().unwrap()[3..], [2]);

    std::fs::write(&path, "\"good\"\n\"bad\"\n").unwrap();
    let error = batch::run(&gateway(&url), &path, 0, &line(&["x"]).flags, true).await.unwrap_err();
    assert!(error.to_string().starts_with("1 of 2 texts"), "{error}");
}
