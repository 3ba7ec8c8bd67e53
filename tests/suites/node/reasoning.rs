//! Reasoning models: reasoning is no part of the answer.

use hearth_tests::{Home, Setup};
use serde_json::{Value, json};

/// The end of Qwen's template: it opens the reasoning, unless the request wants none.
const TEMPLATE_END: &str =
    "{% if enable_thinking is not defined or enable_thinking %}{{ '<think>\\n' }}{% endif %}{# </think> #}";
/// A model with this template. It has not learnt to end its reasoning.
const REASONING_MODEL: &str = "reasoner";

async fn home() -> Home {
    Setup::new().model_with_template_end(REASONING_MODEL, TEMPLATE_END).start().await
}

/// Asks a question, with more fields in the request.
async fn ask(home: &Home, more: Value) -> Value {
    let mut body = json!({
        "model": REASONING_MODEL,
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
async fn reasoning_is_separate_from_the_content() {
    let home = home().await;
    let answer = ask(&home, json!({})).await;
    let message = &answer["choices"][0]["message"];
    assert!(!message["reasoning_content"].as_str().unwrap().is_empty(), "{answer}");
    assert_eq!(message["content"].as_str().unwrap_or_default(), "", "{answer}");
    let usage = &answer["usage"];
    assert!(usage["completion_tokens"].as_u64().unwrap() > 0, "{answer}");
    assert_eq!(
        usage["completion_tokens_details"]["reasoning_tokens"], usage["completion_tokens"],
        "{answer}"
    );
    home.stop().await;
}

#[tokio::test]
async fn reasoning_effort_none_yields_content_at_once() {
    let home = home().await;
    let answer = ask(&home, json!({"reasoning_effort": "none"})).await;
    let message = &answer["choices"][0]["message"];
    assert!(message["content"].as_str().unwrap().contains("Paris"), "{answer}");
    assert!(message["reasoning_content"].is_null(), "{answer}");
    assert_eq!(answer["usage"]["completion_tokens_details"]["reasoning_tokens"], 0, "{answer}");
    home.stop().await;
}

#[tokio::test]
async fn json_schema_applies_to_the_content() {
    let home = home().await;
    let schema = json!({
        "type": "object",
        "properties": {"capital": {"type": "boolean"}},
        "required": ["capital"],
        "additionalProperties": false,
    });
    let format = json!({"type": "json_schema", "json_schema": {"name": "it", "schema": schema}});
    let answer = ask(&home, json!({"response_format": format})).await;
    let content = answer["choices"][0]["message"]["content"].as_str().unwrap();
    let content: Value = serde_json::from_str(content).unwrap();
    assert!(content["capital"].is_boolean(), "{answer}");
    home.stop().await;
}

#[tokio::test]
async fn model_list_shows_the_reasoning_capability() {
    let home = home().await;
    let model = home.client().get(&format!("/v1/models/{REASONING_MODEL}")).await.json();
    assert!(model["capabilities"].as_array().unwrap().contains(&json!("reasoning")), "{model}");
    let model = home.client().get(&format!("/v1/models/{}", home.model)).await.json();
    assert!(!model["capabilities"].as_array().unwrap().contains(&json!("reasoning")), "{model}");
    home.stop().await;
}
