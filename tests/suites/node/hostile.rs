//! Requests that are made to do harm.

use std::time::{Duration, Instant};

use hearth_domain::{Priority, ResponseFormat, Sampling};
use hearth_tests::Home;
use hearth_wire::{ErrorCode, RunEventBody};
use reqwest::Method;
use serde_json::{Value, json};

use crate::{
    LONG, ask,
    inside::{Inside, said},
};

/// By when each must have come to an end, whatever the end.
const DEADLINE: Duration = Duration::from_secs(45);

#[tokio::test]
async fn a_body_nested_beyond_reason_is_refused() {
    let home = Home::start().await;
    let client = home.client();
    let worker = home.worker(&home.model).await;
    for depth in [200, 20_000] {
        let schema = format!("{}true{}", r#"{"items":"#.repeat(depth), "}".repeat(depth));
        let format = format!(r#"{{"type":"json_schema","json_schema":{{"name":"deep","schema":{schema}}}}}"#);
        let chat = format!(
            r#"{{"model":"auto","messages":[{{"role":"user","content":"Hello!"}}],"response_format":{format}}}"#
        );
        let native = format!(r#"{{"input":{{"prompt":"Hello!"}},"parameters":{{"stop":{schema}}}}}"#);
        for (path, body) in [("/v1/chat/completions", chat), ("/v1/generate", native)] {
            let request = client.request(Method::POST, path).header("content-type", "application/json");
            client.send(request.body(body)).await.error(400, "invalid_request");
        }
    }
    ask(&client, &home.model).await;
    assert_eq!(home.worker(&home.model).await, worker);
    home.stop().await;
}

fn nested(levels: usize) -> Value {
    (1..levels).fold(json!({"type": "integer"}), |inner, _| {
        json!({"type": "object", "properties": {"a": inner}, "required": ["a"], "additionalProperties": false})
    })
}

fn text(pattern: &str) -> Value {
    json!({"type": "string", "pattern": pattern})
}

fn schemas() -> Vec<(&'static str, Value)> {
    let words: Vec<String> = (0..20_000).map(|n| format!("word {n}")).collect();
    let more_words: Vec<String> = (0..4_000).map(|n| format!("{n} is a word")).collect();
    let properties: serde_json::Map<String, Value> =
        (0..2_000).map(|n| (format!("property {n}"), json!({"type": ["string", "null"]}))).collect();
    vec![
        ("65 levels", nested(40)),
        ("200 levels", nested(101)),
        ("a huge choice", json!({"enum": words})),
        ("a large choice", json!({"enum": more_words})),
        ("many members, in any number", json!({"type": "object", "properties": properties})),
        ("nested stars", text("^(a+)+$")),
        ("alternatives that overlap", text("^(a|a|aa)+b$")),
        ("large bounds", text("(a{1,1000}){1,1000}")),
        ("larger bounds", text("^((a{1,100}){1,100}){1,100}$")),
        ("look-around", text("^(?=.*a)(?!.*b).{1,9}$")),
        ("a back-reference", text(r"^(a)\1$")),
        ("a string of a million", json!({"type": "string", "minLength": 1_000_000})),
        (
            "a list of a million",
            json!({"type": "array", "items": {"type": "integer"}, "minItems": 1_000_000}),
        ),
        ("no value fits", json!({"type": "integer", "minimum": 5, "maximum": 4})),
        ("itself for ever", json!({"$ref": "#"})),
        (
            "itself in itself",
            json!({"type": "object", "properties": {"a": {"$ref": "#"}}, "required": ["a"]}),
        ),
        ("all of many", json!({"allOf": (0..40).map(|n| text(&format!("^.*{n}.*$"))).collect::<Vec<_>>()})),
        (
            "all of many that repeat",
            json!({"allOf": (1..60).map(|n| text(&format!("^(.{{0,{n}}}a)*"))).collect::<Vec<_>>()}),
        ),
        ("three that repeat", json!({"allOf": ([40, 50, 60].map(|n| text(&format!("^(.{{0,{n}}}a)*"))))})),
        ("a reference elsewhere", json!({"$ref": "https://example.com/schema.json"})),
        ("no schema", json!("none")),
        ("false", json!(false)),
    ]
}

/// Each is refused, or held to, within a deadline; and the worker goes on as it was.
#[tokio::test]
async fn a_schema_that_is_made_to_do_harm_does_none() {
    let node = Inside::start(|config| config.limits.slots = 2).await;
    node.assert_answers().await;
    let worker = node.worker(LONG).await;
    for (what, schema) in schemas() {
        let began = Instant::now();
        let sampling =
            Sampling { temperature: Some(1.2), seed: Some(1), max_tokens: Some(40), ..Sampling::default() };
        let mut task = said("Give me JSON with name and age for Ada.", sampling);
        task.response_format = ResponseFormat::JsonSchema(schema);
        let run = node.submit(LONG, task, Priority::Normal).await;
        // Who comes meanwhile is served meanwhile.
        node.assert_answers().await;
        let events = match run {
            Ok(run) => run.rest().await,
            Err(error) => vec![RunEventBody::Error { error }],
        };
        let took = began.elapsed();
        assert!(took < DEADLINE, "{what} took {took:?}");
        match events.last() {
            Some(RunEventBody::Done { .. }) => {}
            Some(RunEventBody::Error { error }) => {
                assert!(error.code == ErrorCode::InvalidRequest, "{what}: {error:?}");
                let param = error.param.as_deref().unwrap_or_default();
                assert!(param.starts_with("response_format"), "{what}: {error:?}");
                assert!(error.message.len() < 600, "{what}: {error:?}");
            }
            other => panic!("{what}: {other:?}"),
        }
        assert_eq!(node.worker(LONG).await, worker, "{what} killed the worker");
        eprintln!("{what}: {took:?} {:?}", events.last());
    }
    node.assert_answers().await;
    node.stop().await;
}
