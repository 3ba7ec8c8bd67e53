//! `POST /v1/generate`, whole and streamed.

use hearth_tests::{Event, Home};
use serde_json::json;

use crate::{capital_of_france, with};

#[tokio::test]
async fn response_has_output_selection_and_usage() {
    let home = Home::start().await;
    let answer = home.client().post("/v1/generate", &capital_of_france()).await;
    assert_eq!(answer.status, 200, "{answer:?}");
    let body = answer.json();
    assert!(body["output"]["text"].as_str().unwrap().contains("Paris"), "{body}");
    assert_eq!(body["request_id"], answer.header("x-request-id"));
    assert_eq!(body["model"], home.model.as_str());
    assert_eq!((&body["modality"], &body["finish_reason"]), (&json!("text"), &json!("stop")));
    assert_eq!(body["selection"]["selected_model"], home.model.as_str());
    assert_eq!(body["selection"]["selected_provider"], "local");
    assert_eq!(body["selection"]["fallback_used"], false);
    assert!(!body["selection"]["reason"].as_str().unwrap().is_empty());
    assert_eq!(body["warnings"], json!([]));
    let tokens = |name: &str| body["usage"][name].as_u64().unwrap();
    assert!(tokens("prompt_tokens") > 0 && tokens("completion_tokens") > 0, "{body}");
    assert_eq!(tokens("total_tokens"), tokens("prompt_tokens") + tokens("completion_tokens"));
    home.stop().await;
}

#[tokio::test]
async fn stream_has_selection_deltas_and_complete() {
    let home = Home::start().await;
    let whole = home.client().post("/v1/generate", &capital_of_france()).await.json();
    let stream = home.client().stream("/v1/generate", &with(capital_of_france(), "stream", true)).await;
    let request_id = stream.request_id.clone();
    let events = stream.rest().await;

    let names: Vec<&str> = events.iter().map(Event::name).collect();
    assert_eq!(names[0], "model_selected", "{names:?}");
    assert_eq!(names[names.len() - 2..], ["complete", "[DONE]"], "{names:?}");
    assert!(names.contains(&"delta"), "{names:?}");
    let ids: Vec<u64> = events[..events.len() - 1].iter().map(|event| event.id).collect();
    assert!(ids[0] > 0 && ids.is_sorted_by(|a, b| a < b), "{ids:?}");

    let selected = &events[0].data;
    assert_eq!((&selected["model"], &selected["provider"]), (&json!(home.model), &json!("local")));
    assert_eq!(selected["request_id"], request_id.as_str());
    let streamed: String = events.iter().filter(|event| event.name() == "delta").map(Event::text).collect();
    let complete = &events[events.len() - 2].data;
    assert_eq!(complete["output"]["text"], streamed.as_str());
    assert_eq!(complete["output"], whole["output"], "streamed and whole answers differ");
    assert_eq!(complete["request_id"], request_id.as_str());
    home.stop().await;
}

#[tokio::test]
async fn messages_and_parameters_have_effect() {
    let home = Home::start().await;
    let message = |role: &str, content: &str| json!({"role": role, "content": content});
    let body = json!({
        "model": home.model,
        "input": {"messages": [
            message("user", "My name is Ada."), message("assistant", "Nice to meet you, Ada!"), message("user", "What is my name?"),
        ]},
        "parameters": {"temperature": 0},
    });
    let answer = home.client().post("/v1/generate", &body).await.json();
    assert!(answer["output"]["text"].as_str().unwrap().contains("Ada"), "{answer}");

    let short = json!({"input": {"prompt": "Tell me a story."}, "parameters": {"max_tokens": 5}});
    let answer = home.client().post("/v1/generate", &short).await.json();
    assert_eq!(answer["finish_reason"], "length");
    assert_eq!(answer["usage"]["completion_tokens"], 5);

    let parameters = json!({"temperature": 0, "stop": "Paris"});
    let answer =
        home.client().post("/v1/generate", &with(capital_of_france(), "parameters", parameters)).await.json();
    assert_eq!(answer["finish_reason"], "stop");
    assert!(!answer["output"]["text"].as_str().unwrap().contains("Paris"), "{answer}");
    home.stop().await;
}

#[tokio::test]
async fn same_seed_repeats_the_answer() {
    let home = Home::start().await;
    let parameters = json!({"temperature": 2, "seed": 7, "max_tokens": 40});
    let body = json!({"input": {"prompt": "Tell me a story."}, "parameters": parameters});
    let mut answers = Vec::new();
    for _ in 0..2 {
        answers.push(home.client().post("/v1/generate", &body).await.json()["output"].clone());
    }
    assert_eq!(answers[0], answers[1]);
    home.stop().await;
}
