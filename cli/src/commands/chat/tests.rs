use std::sync::{Arc, Mutex};

use axum::{Json, Router, extract::Path, http::StatusCode, response::IntoResponse as _, routing::post};
use serde_json::{Value, json};

use super::*;
use crate::client::{
    terminal::{Printer, Screen},
    testing::{event_stream, gateway, serve},
};

fn chunk(delta: &Value, finish_reason: Option<&str>) -> Value {
    json!({
        "id": "req_1", "object": "chat.completion.chunk", "created": 1, "model": "tiny-chat",
        "choices": [{"index": 0, "delta": delta, "logprobs": null, "finish_reason": finish_reason}],
    })
}

fn usage() -> Value {
    json!({
        "id": "req_1", "object": "chat.completion.chunk", "created": 1, "model": "tiny-chat", "choices": [],
        "usage": {"prompt_tokens": 1, "completion_tokens": 2, "total_tokens": 3,
                  "prompt_tokens_details": {"cached_tokens": 0}},
    })
}

fn hello() -> Vec<Value> {
    vec![
        chunk(&json!({"role": "assistant", "content": ""}), None),
        chunk(&json!({"content": "hel"}), None),
        chunk(&json!({"content": "lo"}), None),
        chunk(&json!({}), Some("stop")),
        usage(),
    ]
}

fn sampling() -> Sampling {
    Sampling {
        model: "auto".to_owned(),
        system: Some("be brief".to_owned()),
        temperature: None,
        max_tokens: None,
        seed: None,
    }
}

fn conversation(url: &str, screen: Screen, thinking: bool) -> Conversation {
    Conversation {
        gateway: gateway(url),
        sampling: sampling(),
        json: false,
        screen,
        thinking,
        messages: Vec::new(),
        session: None,
    }
}

/// The last event of a native stream.
fn complete() -> Value {
    json!({
        "event": "complete", "request_id": "req_1", "model": "tiny-chat", "modality": "text",
        "selection": {"selected_model": "tiny-chat", "selected_provider": "local", "reason": "named",
                      "fallback_used": false, "fallback_reason": null},
        "output": {"text": "hello"}, "finish_reason": "stop", "warnings": [],
        "usage": {"prompt_tokens": 1, "completion_tokens": 1, "total_tokens": 2, "cached_tokens": 0},
    })
}

#[tokio::test]
async fn chunks_are_joined_into_an_answer() {
    let url = serve(Router::new().route("/x", post(async || event_stream(&hello())))).await;
    let mut events = gateway(&url).stream(&["x"], &json!({})).await.unwrap();
    let answer = turn::read(&mut events, &mut Printer::new(Screen::Stdout, false, true)).await.unwrap();
    assert_eq!((answer.request_id.as_str(), answer.text.as_str()), ("req_1", "hello"));
    assert_eq!(answer.finish_reason.as_deref(), Some("stop"));
    assert_eq!(answer.usage.unwrap().total_tokens, 3);
}

#[tokio::test]
async fn turn_sends_the_whole_conversation_without_failed_turns() {
    let requests = Arc::new(Mutex::new(Vec::new()));
    let seen = requests.clone();
    let complete = async move |Json(body): Json<Value>| {
        let last = body["messages"].as_array().unwrap().last().unwrap()["content"].clone();
        seen.lock().unwrap().push(body);
        event_stream(&if last == "break" { vec![json!({"no": "chunk"})] } else { hello() })
    };
    let url = serve(Router::new().route("/v1/chat/completions", post(complete))).await;
    let mut conversation = conversation(&url, Screen::Stdout, true);
    conversation.reset();
    conversation.take_turn("one".to_owned()).await.unwrap();
    conversation.take_turn("break".to_owned()).await.unwrap_err();
    conversation.take_turn("two".to_owned()).await.unwrap();
    let requests = requests.lock().unwrap();
    assert_eq!(
        requests[2]["messages"],
        json!([
            {"role": "system", "content": "be brief"},
            {"role": "user", "content": "one"},
            {"role": "assistant", "content": "hello"},
            {"role": "user", "content": "two"},
        ])
    );
    assert_eq!(requests[2]["stream"], true);
    assert!(requests[2].get("seed").is_none());
}

#[tokio::test]
async fn turns_of_a_session_send_their_message_alone() {
    let requests = Arc::new(Mutex::new(Vec::new()));
    let seen = requests.clone();
    let turn = async move |Path((id, act)): Path<(String, String)>, Json(body): Json<Value>| {
        seen.lock().unwrap().push((id, act.clone(), body));
        if act == "reset" {
            return Json(session_body()).into_response();
        }
        event_stream(&[complete()])
    };
    let create = async |Json(body): Json<Value>| {
        assert_eq!(body["system_prompt"], "be brief");
        (StatusCode::CREATED, Json(session_body()))
    };
    let router =
        Router::new().route("/v1/sessions", post(create)).route("/v1/sessions/{id}/{act}", post(turn));
    let url = serve(router).await;
    let mut conversation = conversation(&url, Screen::Stdout, true);
    conversation.run_command(&Command::Session("new")).await.unwrap();
    conversation.take_turn("one".to_owned()).await.unwrap();
    conversation.run_command(&Command::Regenerate).await.unwrap();
    conversation.run_command(&Command::Reset).await.unwrap();
    let requests = requests.lock().unwrap();
    let acts: Vec<_> = requests.iter().map(|(id, act, _)| (id.as_str(), act.as_str())).collect();
    assert_eq!(acts, [("sess_1", "generate"), ("sess_1", "regenerate"), ("sess_1", "reset")]);
    let generate = &requests[0].2;
    assert_eq!((&generate["input"]["prompt"], &generate["stream"]), (&json!("one"), &json!(true)));
    assert!(generate["model"].is_null() && generate["input"]["messages"].is_null(), "{generate}");
}

#[tokio::test]
async fn reasoning_is_printed_with_and_without_a_session() {
    let chunks = [
        chunk(&json!({"reasoning_content": "greet them"}), None),
        chunk(&json!({"content": "hello"}), None),
        chunk(&json!({}), Some("stop")),
    ];
    let events = [
        json!({"event": "reasoning", "index": 0, "text": "greet them"}),
        json!({"event": "delta", "text": "hello"}),
        complete(),
    ];
    let router = Router::new()
        .route("/v1/chat/completions", post(async move || event_stream(&chunks)))
        .route("/v1/sessions/{id}/{act}", post(async move || event_stream(&events)));
    let url = serve(router).await;
    for thinking in [true, false] {
        for (session, act) in [(None, "turn"), (Some("sess_1"), "turn"), (Some("sess_1"), "regenerate")] {
            let printed = Arc::new(Mutex::new(String::new()));
            let mut conversation = conversation(&url, Screen::Buffer(printed.clone()), thinking);
            conversation.session = session.map(str::to_owned);
            match act {
                "turn" => conversation.take_turn("hi".to_owned()).await.unwrap(),
                _ => conversation.run_command(&Command::Regenerate).await.unwrap(),
            }
            let printed = printed.lock().unwrap();
            assert_eq!(printed.contains("greet them"), thinking, "{session:?} {act}: {printed:?}");
            assert!(printed.ends_with("hello\n"), "{session:?} {act}: {printed:?}");
            if !thinking {
                assert_eq!(*printed, "hello\n", "{session:?} {act}");
            }
        }
    }
}

#[tokio::test]
async fn refusal_in_a_session_is_printed_in_place_of_the_answer() {
    let events = [json!({"event": "refusal", "text": "I won't."}), complete()];
    let url =
        serve(Router::new().route("/v1/sessions/{id}/{act}", post(async move || event_stream(&events))))
            .await;
    let printed = Arc::new(Mutex::new(String::new()));
    let mut conversation = conversation(&url, Screen::Buffer(printed.clone()), true);
    conversation.session = Some("sess_1".to_owned());
    conversation.take_turn("hi".to_owned()).await.unwrap();
    assert_eq!(*printed.lock().unwrap(), "I won't.\n");
}

fn session_body() -> Value {
    json!({
        "id": "sess_1", "title": null, "title_is_automatic": false, "system_prompt": null, "model": null,
        "context_overflow": "truncate_middle", "metadata": {}, "state_tokens": null, "status": "open",
        "branch": null, "head": null, "created_at": "2096-01-31T09:30:00.000Z",
        "last_used_at": "2096-01-31T09:30:00.000Z", "reset_at": null, "closed_at": null, "expires_at": null,
    })
}
