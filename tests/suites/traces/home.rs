//! One trace from the HTTP request to the worker's steps.

use hearth_tests::{Collector, Setup, chat_request, eventually};
use serde_json::json;

use crate::{CALLER, STATE, TRACE, assert_parents, names, one, post_in_trace, settings, traced};

const PROMPT: &str = "What is the capital of Japan?";
const SERVER: &str = "POST /v1/chat/completions";
const ATTEMPT: &str = "chat tiny-chat";
const NODE: &str = "POST /v1/runs";
/// The spans of a request to a node whose model is loaded.
const NAMES: [&str; 10] =
    [SERVER, "resolve", "run", ATTEMPT, NODE, "queue", "prepare", "prefill", "decode", "record write"];

#[tokio::test]
async fn request_is_one_trace_from_http_to_the_worker() {
    let collector = Collector::start().await;
    let home = traced(&collector).await;
    let answer =
        post_in_trace(&home.client(), "/v1/chat/completions", &chat_request("tiny-chat", PROMPT), "01").await;
    let spans = collector.wait_for_names(&NAMES).await;
    assert!(
        spans.iter().all(|span| (span.trace.as_str(), span.state.as_str()) == (TRACE, STATE)),
        "{spans:#?}"
    );
    assert!(spans.iter().all(|span| span.service == "hearth" && !span.failed), "{spans:#?}");
    assert_eq!((one(&spans, SERVER).parent.as_str(), one(&spans, SERVER).kind.as_str()), (CALLER, "Server"));
    assert_parents(
        &spans,
        &[
            ("resolve", SERVER),
            ("run", SERVER),
            ("record write", SERVER),
            (ATTEMPT, "run"),
            (NODE, ATTEMPT),
            ("queue", NODE),
            ("prepare", NODE),
            ("prefill", NODE),
            ("decode", NODE),
        ],
    );
    // A part lies within the whole; the clock of all is this machine's.
    for (part, whole) in [("run", SERVER), (ATTEMPT, "run"), (NODE, ATTEMPT), ("decode", NODE)] {
        let ((start, end), (from, to)) = (one(&spans, part).times, one(&spans, whole).times);
        assert!(from <= start && start <= end && end <= to + 5_000_000, "{part} in {whole}");
    }
    let server = &one(&spans, SERVER).attributes;
    assert_eq!(
        (&server["http.route"], &server["http.response.status_code"], &server["http.request.method"]),
        (&json!("/v1/chat/completions"), &json!(200), &json!("POST"))
    );
    let attempt = &one(&spans, ATTEMPT).attributes;
    for (name, expected) in [
        ("gen_ai.operation.name", json!("chat")),
        ("gen_ai.provider.name", json!("hearth")),
        ("gen_ai.request.model", json!("tiny-chat")),
        ("gen_ai.response.model", json!("tiny-chat")),
        ("gen_ai.response.finish_reasons", json!(["stop"])),
        ("gen_ai.usage.input_tokens", answer["usage"]["prompt_tokens"].clone()),
        ("gen_ai.usage.output_tokens", answer["usage"]["completion_tokens"].clone()),
        ("hearth.attempt", json!(1)),
    ] {
        assert_eq!(attempt[name], expected, "{name}");
    }
    assert!(attempt["gen_ai.response.time_to_first_chunk"].as_f64().unwrap() > 0.0);
    assert_eq!(one(&spans, "decode").attributes["hearth.tokens"], answer["usage"]["completion_tokens"]);
    // The run's id is the request's.
    assert_eq!(server["hearth.request.id"], one(&spans, "run").attributes["hearth.run.id"]);
    let text = answer["choices"][0]["message"]["content"].as_str().unwrap();
    assert!(!collector.has_text(PROMPT) && !collector.has_text(text), "a span has content");
    let log = eventually("the log", async || {
        let log = std::fs::read_to_string(home.data().join("logs/hearth.log")).unwrap_or_default();
        log.contains(TRACE).then_some(log)
    });
    let log = log.await;
    let line = log.lines().find(|line| line.contains(TRACE)).unwrap();
    assert!(line.contains(server["hearth.request.id"].as_str().unwrap()), "{line}");
    home.stop().await;
}

#[tokio::test]
async fn streamed_request_ends_with_its_body_and_a_load_is_shown() {
    let collector = Collector::start().await;
    let home = Setup::new().models(&["second"]).settings(&settings(&collector, "")).start().await;
    let mut body = chat_request("second", PROMPT);
    body["stream"] = json!(true);
    let events = home.client().stream("/v1/chat/completions", &body).await;
    events.rest().await;
    let spans = collector.wait_for_names(&[SERVER, "run", "chat second", NODE, "model load", "decode"]).await;
    assert_parents(&spans, &[("model load", NODE), ("queue", NODE), ("decode", NODE), (NODE, "chat second")]);
    let (load, queue) = (one(&spans, "model load").times, one(&spans, "queue").times);
    assert!(queue.0 <= load.0 + 1_000_000 && load.1 <= queue.1 + 1_000_000, "{load:?} in {queue:?}");
    let attempt = one(&spans, "chat second");
    assert!(attempt.events.iter().any(|event| event == "gen_ai.first_chunk"), "{attempt:?}");
    assert!(one(&spans, SERVER).times.1 >= attempt.times.1);
    // The client began no trace, so the request did.
    assert_eq!((one(&spans, SERVER).parent.as_str(), one(&spans, SERVER).trace.len()), ("", 32));
    home.stop().await;
}

#[tokio::test]
async fn unsampled_trace_is_not_recorded() {
    let collector = Collector::start().await;
    let home = traced(&collector).await;
    let (client, body) = (home.client(), chat_request("tiny-chat", PROMPT));
    post_in_trace(&client, "/v1/chat/completions", &body, "00").await;
    post_in_trace(&client, "/v1/chat/completions", &body, "01").await;
    // All spans are sent before the process ends.
    home.stop().await;
    let servers = collector.spans().into_iter().filter(|span| span.name == SERVER).count();
    assert_eq!(servers, 1, "{:?}", names(&collector.spans()));
}

#[tokio::test]
async fn content_is_in_spans_where_it_is_enabled() {
    let collector = Collector::start().await;
    let home = Setup::new().settings(&settings(&collector, "capture_content = true")).start().await;
    let answer = home.client().post("/v1/chat/completions", &chat_request("tiny-chat", PROMPT)).await.json();
    let spans = collector.wait_for_names(&[ATTEMPT]).await;
    let attributes = &one(&spans, ATTEMPT).attributes;
    let content = |name: &str| -> serde_json::Value {
        serde_json::from_str(attributes[name].as_str().unwrap()).unwrap()
    };
    let input = json!([{"role": "user", "parts": [{"type": "text", "content": PROMPT}]}]);
    assert_eq!(content("gen_ai.input.messages"), input);
    let output = content("gen_ai.output.messages");
    assert_eq!(output[0]["parts"][0]["content"], answer["choices"][0]["message"]["content"]);
    assert_eq!(output[0]["finish_reason"], "stop");
    home.stop().await;
}
