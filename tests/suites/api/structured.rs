//! Answers of a given form.

use hearth_tests::Home;
use serde_json::{Value, json};

use crate::with;

const ADA: &str = "Give me JSON with name and age for Ada.";

fn chat(model: &str, text: &str, format: &Value) -> Value {
    json!({
        "model": model, "messages": [{"role": "user", "content": text}], "temperature": 0,
        "max_tokens": 400, "response_format": format,
    })
}

fn schema(schema: &str) -> Value {
    // From a text, so that the order of its properties is seen.
    let schema: Value = serde_json::from_str(schema).unwrap();
    json!({"type": "json_schema", "json_schema": {"name": "answer", "schema": schema, "strict": true}})
}

fn content(answer: &Value) -> &str {
    assert_eq!(answer["choices"][0]["finish_reason"], "stop", "{answer}");
    answer["choices"][0]["message"]["content"].as_str().unwrap()
}

const PERSON: &str = r#"{"type": "object", "properties": {"name": {"type": "string"}, "age": {"type": "integer"}},
    "required": ["name", "age"], "additionalProperties": false}"#;
const VERDICT: &str = r#"{"type": "object", "properties": {"sure": {"type": "boolean"}, "answer": {"enum": ["yes", "no"]}},
    "required": ["sure", "answer"], "additionalProperties": false}"#;

#[tokio::test]
async fn an_answer_fits_its_schema_streamed_or_not() {
    let home = Home::start().await;
    let client = home.client();
    let body = chat(&home.model, ADA, &schema(PERSON));
    let answer = client.post("/v1/chat/completions", &body).await.json();
    let person: Value = serde_json::from_str(content(&answer)).unwrap();
    assert_eq!(person, json!({"name": "Ada", "age": 36}));

    let events = client.stream("/v1/chat/completions", &with(body, "stream", true)).await.rest().await;
    let told: String =
        events.iter().filter_map(|event| event.data["choices"][0]["delta"]["content"].as_str()).collect();
    assert_eq!(told, content(&answer));
    home.stop().await;
}

#[tokio::test]
async fn a_schema_holds_whatever_is_asked_and_however_wildly_it_is_sampled() {
    let home = Home::start().await;
    for seed in 0..5 {
        let body = chat(&home.model, "Tell me a story.", &schema(VERDICT));
        let body = with(with(body, "temperature", 2), "seed", seed);
        let answer = home.client().post("/v1/chat/completions", &body).await.json();
        let verdict: Value = serde_json::from_str(content(&answer)).unwrap();
        assert!(verdict["sure"].is_boolean(), "{verdict}");
        assert!(verdict["answer"] == "yes" || verdict["answer"] == "no", "{verdict}");
        assert_eq!(verdict.as_object().unwrap().len(), 2);
    }
    home.stop().await;
}

#[tokio::test]
async fn properties_come_in_the_schemas_order() {
    let home = Home::start().await;
    for (first, second) in [("sure", "answer"), ("answer", "sure")] {
        let kind =
            |name| if name == "sure" { r#"{"type": "boolean"}"# } else { r#"{"enum": ["yes", "no"]}"# };
        let text = format!(
            r#"{{"type": "object", "properties": {{"{first}": {}, "{second}": {}}},
                "required": ["{first}", "{second}"], "additionalProperties": false}}"#,
            kind(first),
            kind(second)
        );
        let answer = home
            .client()
            .post("/v1/chat/completions", &chat(&home.model, "Hello!", &schema(&text)))
            .await
            .json();
        let told = content(&answer);
        assert!(told.find(first) < told.find(second), "{told}");
    }
    home.stop().await;
}

#[tokio::test]
async fn a_json_object_is_one() {
    let home = Home::start().await;
    let body = chat(&home.model, ADA, &json!({"type": "json_object"}));
    let answer = home.client().post("/v1/chat/completions", &body).await.json();
    assert!(serde_json::from_str::<Value>(content(&answer)).unwrap().is_object(), "{answer}");
    home.stop().await;
}

#[tokio::test]
async fn the_native_dialect_takes_a_schema_too() {
    let home = Home::start().await;
    let parameters = json!({"temperature": 0, "response_format": schema(PERSON)});
    let body = json!({"input": {"prompt": ADA}, "parameters": parameters});
    let answer = home.client().post("/v1/generate", &body).await.json();
    let person: Value = serde_json::from_str(answer["output"]["text"].as_str().unwrap()).unwrap();
    assert_eq!(person, json!({"name": "Ada", "age": 36}), "{answer}");
    home.stop().await;
}
