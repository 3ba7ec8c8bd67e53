//! The events of a run of any dialect, resumed after any event: also after the gateway's restart.

use hearth_tests::{Client, Event, Home};
use serde_json::{Value, json};

use crate::place::{ended, follow};

/// The path and the body of a streamed request without its client, in each dialect that generates text.
fn requests(model: &str) -> Vec<(String, Value)> {
    let messages = json!([{"role": "user", "content": "Tell me a story."}]);
    let chat = |more: Value| {
        let mut body =
            json!({"model": model, "messages": messages, "stream": true, "on_disconnect": "continue"});
        body.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        body
    };
    let input = json!({"prompt": "Tell me a story."});
    vec![
        (
            "/v1/generate".into(),
            json!({"model": model, "input": input, "stream": true, "on_disconnect": "continue"}),
        ),
        ("/v1/chat/completions".into(), chat(json!({"max_tokens": 60}))),
        (
            "/v1/completions".into(),
            json!({"model": model, "prompt": "Once", "max_tokens": 60, "stream": true, "on_disconnect": "continue"}),
        ),
        (
            "/v1/responses".into(),
            json!({"model": model, "input": "Tell me a story.", "stream": true, "on_disconnect": "continue"}),
        ),
        ("/v1/messages".into(), chat(json!({"max_tokens": 60}))),
        ("/api/chat".into(), chat(json!({}))),
        (
            "/api/generate".into(),
            json!({"model": model, "prompt": "Once", "stream": true, "on_disconnect": "continue"}),
        ),
        (
            format!("/v1beta/models/{model}:streamGenerateContent?alt=sse"),
            json!({"contents": [{"role": "user", "parts": [{"text": "Tell me a story."}]}], "on_disconnect": "continue"}),
        ),
    ]
}

/// Begins a run and leaves it; returns its id and its events, read later.
async fn events_of(client: &Client, path: &str, body: &Value) -> (String, Vec<Event>) {
    let mut stream = client.stream(path, body).await;
    let run = stream.request_id.clone();
    stream.next().await;
    drop(stream);
    assert_eq!(ended(client, &run).await["status"], "completed", "{path}");
    let events = follow(client, &run, 0).await.rest().await;
    (run, events)
}

#[tokio::test]
async fn events_of_every_dialect_are_resumed_after_any_event_also_by_another_process() {
    let home = Home::start().await;
    let client = home.client();
    let mut runs = Vec::new();
    for (path, body) in requests(&home.model) {
        let (run, events) = events_of(&client, &path, &body).await;
        assert_eq!(events[events.len() - 2].name(), "complete", "{path}: {events:?}");
        runs.push((path, run, events));
    }
    let home = home.restart().await;
    for (path, run, events) in runs {
        for place in 0..events.len() - 1 {
            let rest = follow(&home.client(), &run, events[place].id).await.rest().await;
            // The last event comes in any case.
            let expected = (place + 1).min(events.len() - 2);
            assert_eq!(rest, events[expected..], "{path} after {place}");
        }
    }
    home.stop().await;
}
