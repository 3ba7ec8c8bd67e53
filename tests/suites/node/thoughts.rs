//! Models that think before they answer: their thoughts are no part of the answer.

use hearth_tests::{Home, Setup};
use serde_json::{Value, json};

/// As Qwen's template ends: it begins the thoughts, unless the request wants none.
const END: &str =
    "{% if enable_thinking is not defined or enable_thinking %}{{ '<think>\\n' }}{% endif %}{# </think> #}";
/// A model with this template. It was never taught to end its thoughts.
const THINKER: &str = "thinker";

async fn home() -> Home {
    Setup::new().model_with_template_end(THINKER, END).start().await
}

/// What it says to the question, with more in the request.
async fn ask(home: &Home, more: Value) -> Value {
    let mut body = json!({
        "model": THINKER,
        "messages": [{"role": "user", "content": "What is the capital of France?"}],
        "temperature": 0,
        "max_tokens": 24,
    });
    body.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    let answer = home.client().post("/v1/chat/completions", &body).await;
    assert_eq!(answer.status, 200, "{answer:?}");
    answer.json()
}

#[tokio::test]
async fn thoughts_are_no_part_of_the_answer() {
    let home = home().await;
    let told = ask(&home, json!({})).await;
    let message = &told["choices"][0]["message"];
    assert!(!message["reasoning_content"].as_str().unwrap().is_empty(), "{told}");
    assert_eq!(message["content"].as_str().unwrap_or_default(), "", "{told}");
    let usage = &told["usage"];
    assert!(usage["completion_tokens"].as_u64().unwrap() > 0, "{told}");
    assert_eq!(usage["completion_tokens_details"]["reasoning_tokens"], usage["completion_tokens"], "{told}");
    home.stop().await;
}

#[tokio::test]
async fn who_is_not_to_think_answers_at_once() {
    let home = home().await;
    let told = ask(&home, json!({"reasoning_effort": "none"})).await;
    let message = &told["choices"][0]["message"];
    assert!(message["content"].as_str().unwrap().contains("Paris"), "{told}");
    assert!(message["reasoning_content"].is_null(), "{told}");
    assert_eq!(told["usage"]["completion_tokens_details"]["reasoning_tokens"], 0, "{told}");
    home.stop().await;
}

#[tokio::test]
async fn a_form_that_is_required_is_kept_by_the_answer_itself() {
    let home = home().await;
    let schema = json!({
        "type": "object",
        "properties": {"capital": {"type": "boolean"}},
        "required": ["capital"],
        "additionalProperties": false,
    });
    let format = json!({"type": "json_schema", "json_schema": {"name": "it", "schema": schema}});
    let told = ask(&home, json!({"response_format": format})).await;
    let content = told["choices"][0]["message"]["content"].as_str().unwrap();
    let content: Value = serde_json::from_str(content).unwrap();
    assert!(content["capital"].is_boolean(), "{told}");
    home.stop().await;
}

#[tokio::test]
async fn the_registry_says_who_thinks() {
    let home = home().await;
    let model = home.client().get(&format!("/v1/models/{THINKER}")).await.json();
    assert!(model["capabilities"].as_array().unwrap().contains(&json!("reasoning")), "{model}");
    let model = home.client().get(&format!("/v1/models/{}", home.model)).await.json();
    assert!(!model["capabilities"].as_array().unwrap().contains(&json!("reasoning")), "{model}");
    home.stop().await;
}
