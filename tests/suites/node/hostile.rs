//! Malicious requests.

use std::{
    fs,
    time::{Duration, Instant},
};

use hearth_domain::{Enforcement, Priority, ResponseFormat, Sampling, TextTask};
use hearth_tests::Home;
use hearth_wire::{ErrorCode, RunEventBody};
use reqwest::Method;
use serde_json::{Value, json};

use crate::{
    LONG_MODEL, ask,
    backends::BackendFolder,
    in_process::{InProcessNode, endless_task, user_task},
};

/// Time in which each request must end, with an answer or an error.
const DEADLINE: Duration = Duration::from_secs(45);
/// Time in which a short question beside such a request is answered.
const OTHERS_TIMEOUT: Duration = Duration::from_secs(10);

#[tokio::test]
async fn deeply_nested_body_is_refused() {
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

/// A schema whose grammar takes long to compile.
fn name_patterns(seed: usize) -> Value {
    let patterns = (0..200).map(|n| (format!("^x{seed}{n}[a-z]*$"), json!({"type": "integer"})));
    json!({"type": "object", "patternProperties": patterns.collect::<serde_json::Map<String, Value>>()})
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
        ("a large divisor", json!({"type": "integer", "multipleOf": 999_983})),
        ("many patterns of names", name_patterns(0)),
        ("three that repeat", json!({"allOf": ([40, 50, 60].map(|n| text(&format!("^(.{{0,{n}}}a)*"))))})),
        ("a reference elsewhere", json!({"$ref": "https://example.com/schema.json"})),
        ("no schema", json!("none")),
        ("false", json!(false)),
    ]
}

/// A task with a short answer of this schema.
fn structured_task(schema: Value) -> TextTask {
    let sampling =
        Sampling { temperature: Some(1.2), seed: Some(1), max_tokens: Some(40), ..Sampling::default() };
    let mut task = user_task("Give me JSON with name and age for Ada.", sampling);
    task.response_format = ResponseFormat::JsonSchema(schema);
    task
}

/// Each schema is refused or enforced within a deadline, and the worker survives.
#[tokio::test]
async fn malicious_schema_ends_in_time_and_leaves_the_worker_alive() {
    let node = InProcessNode::start(|config| config.settings.slots = 2).await;
    node.assert_answers().await;
    let worker = node.worker(LONG_MODEL).await;
    for (name, schema) in schemas() {
        let began = Instant::now();
        let run = node.submit(LONG_MODEL, structured_task(schema), Priority::Normal).await;
        let other = tokio::time::timeout(OTHERS_TIMEOUT, node.assert_answers()).await;
        assert!(other.is_ok(), "a question beside {name} wasn't answered");
        let events = match run {
            Ok(run) => run.rest().await,
            Err(error) => vec![RunEventBody::Error { error }],
        };
        let took = began.elapsed();
        assert!(took < DEADLINE, "{name} took {took:?}");
        match events.last() {
            Some(RunEventBody::Done { .. }) => {}
            Some(RunEventBody::Error { error }) => {
                assert!(error.code == ErrorCode::InvalidRequest, "{name}: {error:?}");
                let param = error.param.as_deref().unwrap_or_default();
                assert!(param.starts_with("response_format"), "{name}: {error:?}");
                assert!(error.message.len() < 600, "{name}: {error:?}");
            }
            other => panic!("{name}: {other:?}"),
        }
        assert_eq!(node.worker(LONG_MODEL).await, worker, "{name} killed the worker");
        eprintln!("{name}: {took:?} {:?}", events.last());
    }
    node.assert_answers().await;
    node.stop().await;
}

/// Three compilations that take seconds are more than may run at once, and another schema keeps its pattern.
#[tokio::test]
async fn schemas_that_take_long_leave_another_run_its_grammar() {
    let node = InProcessNode::start(|config| config.settings.slots = 4).await;
    node.assert_answers().await;
    let mut slow = Vec::new();
    for n in 0..3 {
        slow.push(node.run(structured_task(name_patterns(n))).await);
    }
    let schema =
        json!({"type": "object", "properties": {"name": text("^[A-Z][a-z]{1,8}$")}, "required": ["name"]});
    let began = Instant::now();
    let events = node.run(structured_task(schema)).await.rest().await;
    assert!(began.elapsed() < DEADLINE / 3, "{:?}", began.elapsed());
    let reports = events.iter().filter_map(|event| match event {
        RunEventBody::Structured { structured, .. } => {
            Some((structured.enforced, structured.relaxed.clone()))
        }
        _ => None,
    });
    assert_eq!(reports.collect::<Vec<_>>(), [(Enforcement::Grammar, Vec::<String>::new())], "{events:?}");
    for run in slow {
        node.cancel(&run).await;
        run.rest().await;
    }
    node.stop().await;
}

/// The backend of this test has the threads that compute masks sleep, longer than the engine waits for a mask.
#[tokio::test]
async fn late_mask_fails_its_run_alone_while_another_streams_on() {
    let backends = BackendFolder::new().await;
    let stalls = backends.folder.path().join("stall-now");
    let condition = format!("STALL_GRAMMARS_IF=\"{}\"", stalls.display());
    backends.wrap("libggml-cpu-stalling.so", &backends.best, &["SCORE=9001", &condition]);
    let node = InProcessNode::start(|config| {
        backends.configure(config);
        // The backend looks for the threads in /proc.
        config.settings.worker_sandbox = false;
    })
    .await;
    node.assert_answers().await;
    let worker = node.worker(LONG_MODEL).await;
    let mut other = node.run(endless_task()).await;
    other.until_text().await;
    fs::write(&stalls, "").unwrap();
    let schema = json!({"type": "object", "properties": {"name": {"type": "string"}}, "required": ["name"]});
    let mut late = node.run(structured_task(schema)).await;
    late.until_started().await;
    let mut failure = std::pin::pin!(late.error());
    let mut pieces = 0;
    let error = loop {
        tokio::select! {
            error = &mut failure => break error,
            event = other.next() => match event {
                Some(RunEventBody::Delta { .. }) => pieces += 1,
                event => panic!("the other run ended: {event:?}"),
            },
        }
    };
    fs::remove_file(&stalls).unwrap();
    assert_eq!(error.code, ErrorCode::InvalidRequest, "{error:?}");
    assert!(error.message.contains("takes too long to compute which tokens may come next"), "{error:?}");
    assert!(pieces >= 20, "only {pieces} pieces came while a mask was late");
    other.until_text().await;
    node.cancel(&other).await;
    other.rest().await;
    // Neither the worker nor the model is blamed.
    node.assert_answers().await;
    let status = node.runtime_status(LONG_MODEL).await;
    assert_eq!((status.pid, status.error), (Some(worker), None));
    assert_eq!(status.backends.as_deref(), Some("cpu-stalling"));
    node.stop().await;
}
