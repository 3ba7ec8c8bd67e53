//! Answers with a schema.

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
async fn answer_matches_its_schema_streamed_or_not() {
    let home = Home::start().await;
    let client = home.client();
    let body = chat(&home.model, ADA, &schema(PERSON));
    let answer = client.post("/v1/chat/completions", &body).await.json();
    let person: Value = serde_json::from_str(content(&answer)).unwrap();
    assert_eq!(person, json!({"name": "Ada", "age": 36}));

    let events = client.stream("/v1/chat/completions", &with(body, "stream", true)).await.rest().await;
    let streamed: String =
        events.iter().filter_map(|event| event.data["choices"][0]["delta"]["content"].as_str()).collect();
    assert_eq!(streamed, content(&answer));
    home.stop().await;
}

#[tokio::test]
async fn schema_is_enforced_at_high_temperature() {
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
async fn properties_have_the_order_of_the_schema() {
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
        let streamed = content(&answer);
        assert!(streamed.find(first) < streamed.find(second), "{streamed}");
    }
    home.stop().await;
}

#[tokio::test]
async fn json_object_format_yields_an_object() {
    let home = Home::start().await;
    let body = chat(&home.model, ADA, &json!({"type": "json_object"}));
    let answer = home.client().post("/v1/chat/completions", &body).await.json();
    assert!(serde_json::from_str::<Value>(content(&answer)).unwrap().is_object(), "{answer}");
    home.stop().await;
}

#[tokio::test]
async fn native_dialect_accepts_a_schema() {
    let home = Home::start().await;
    let parameters = json!({"temperature": 0, "response_format": schema(PERSON)});
    let body = json!({"input": {"prompt": ADA}, "parameters": parameters});
    let answer = home.client().post("/v1/generate", &body).await.json();
    let person: Value = serde_json::from_str(answer["output"]["text"].as_str().unwrap()).unwrap();
    assert_eq!(person, json!({"name": "Ada", "age": 36}), "{answer}");
    home.stop().await;
}

/// Rules that the grammar can't express are validated at the answer's end, and reported in each dialect.
#[tokio::test]
async fn relaxed_schemas_are_validated_in_each_dialect() {
    let home = Home::start().await;
    let client = home.client();
    let mut person: Value = serde_json::from_str(PERSON).unwrap();
    person["not"] = json!({"properties": {"name": {"const": "Bob"}}});
    let expected = json!({
        "status": "passed", "how": "grammar", "enforced": "grammar+validated", "relaxed": ["not"], "valid": true,
        "repaired": false, "attempts": 1, "errors": [], "violations": [],
    });
    let messages = json!([{"role": "user", "content": ADA}]);
    let format = json!({"type": "json_schema", "json_schema": {"name": "answer", "schema": person}});

    let body = chat(&home.model, ADA, &format);
    let answer = client.post("/v1/chat/completions", &body).await.json();
    assert_eq!(answer["choices"][0]["structured"], expected, "{answer}");
    let events = client.stream("/v1/chat/completions", &with(body, "stream", true)).await.rest().await;
    let completes: Vec<&Value> = events
        .iter()
        .map(|event| &event.data["choices"][0])
        .filter(|choice| choice.get("structured").is_some())
        .collect();
    assert_eq!(
        (completes.len(), &completes[0]["structured"], &completes[0]["finish_reason"]),
        (1, &expected, &json!("stop"))
    );

    let parameters = json!({"temperature": 0, "response_format": format});
    let body = json!({"input": {"prompt": ADA}, "parameters": parameters});
    let answer = client.post("/v1/generate", &body).await.json();
    assert_eq!(answer["structured"], expected, "{answer}");

    let format = json!({"type": "json_schema", "name": "answer", "schema": person});
    let body = json!({"model": home.model, "input": ADA, "temperature": 0, "text": {"format": format}});
    let answer = client.post("/v1/responses", &body).await.json();
    assert_eq!(answer["structured"], expected, "{answer}");

    let format = json!({"type": "json_schema", "schema": person});
    let body = json!({
        "model": home.model, "messages": messages, "max_tokens": 400, "temperature": 0,
        "output_config": {"format": format},
    });
    let answer = client.post("/v1/messages", &body).await.json();
    assert_eq!(answer["structured"], expected, "{answer}");
    let events = client.stream("/v1/messages", &with(body, "stream", true)).await.rest().await;
    let last = events.iter().find(|event| event.data["type"] == "message_delta").unwrap();
    assert_eq!(last.data["structured"], expected);
    home.stop().await;
}

#[tokio::test]
async fn invalid_answer_is_regenerated_and_marked() {
    let home = Home::start().await;
    let client = home.client();
    // The grammar allows what the schema forbids.
    let never = json!({
        "type": "object", "properties": {"sure": {"type": "boolean"}}, "required": ["sure"],
        "additionalProperties": false, "not": {"required": ["sure"]},
    });
    let format = json!({"type": "json_schema", "json_schema": {"name": "answer", "schema": never}});
    let body = with(with(chat(&home.model, "Hello!", &format), "temperature", 1), "seed", 7);
    let answer = client.post("/v1/chat/completions", &body).await.json();
    let structured = &answer["choices"][0]["structured"];
    assert_eq!((&structured["valid"], &structured["attempts"]), (&json!(false), &json!(3)), "{answer}");
    assert_eq!(structured["status"], "failed");
    assert!(!structured["errors"].as_array().unwrap().is_empty());
    assert_eq!(structured["violations"][0]["path"], "", "{structured}");
    assert!(serde_json::from_str::<Value>(content(&answer)).unwrap()["sure"].is_boolean());
    let taken = answer["usage"]["completion_tokens"].as_u64().unwrap();

    // The request decides how often, and whether the answer is validated at all.
    let relaxed = with(with(body.clone(), "max_attempts", 2), "allow_relaxed", true);
    let relaxed = client.post("/v1/chat/completions", &relaxed).await.json();
    let structured = &relaxed["choices"][0]["structured"];
    assert_eq!((&structured["status"], &structured["attempts"]), (&json!("relaxed"), &json!(2)), "{relaxed}");
    let bypassed =
        client.post("/v1/chat/completions", &with(body.clone(), "bypass_validation", true)).await.json();
    let structured = &bypassed["choices"][0]["structured"];
    assert_eq!(
        (&structured["status"], &structured["attempts"]),
        (&json!("bypassed"), &json!(1)),
        "{bypassed}"
    );
    client
        .post("/v1/chat/completions", &with(body.clone(), "max_attempts", 6))
        .await
        .error(400, "invalid_request");

    // A stream can't be taken back.
    let events =
        client.stream("/v1/chat/completions", &with(body.clone(), "stream", true)).await.rest().await;
    let last = events.iter().find(|event| event.data["choices"][0].get("structured").is_some()).unwrap();
    assert_eq!(last.data["choices"][0]["structured"]["attempts"], 1);

    // Nor are there tokens for another.
    let once =
        client.post("/v1/chat/completions", &with(body.clone(), "max_tokens", taken / 3 + 1)).await.json();
    let structured = &once["choices"][0]["structured"];
    assert_eq!((&structured["valid"], &structured["attempts"]), (&json!(false), &json!(1)), "{once}");

    // Without a choice of tokens it would be the same answer.
    let greedy = client.post("/v1/chat/completions", &with(body, "temperature", 0)).await.json();
    assert_eq!(greedy["choices"][0]["structured"]["attempts"], 1, "{greedy}");
    home.stop().await;
}

#[tokio::test]
async fn answer_cut_at_its_limit_is_marked() {
    let home = Home::start().await;
    let body = with(chat(&home.model, ADA, &schema(PERSON)), "max_tokens", 3);
    let answer = home.client().post("/v1/chat/completions", &body).await.json();
    let choice = &answer["choices"][0];
    assert_eq!((&choice["finish_reason"], &choice["structured"]["valid"]), (&json!("length"), &json!(false)));
    home.stop().await;
}

#[tokio::test]
async fn refused_schema_has_an_error_with_its_keyword() {
    let home = Home::start().await;
    for (schema, part) in [
        (json!({"type": "nonsense"}), "is not a valid JSON Schema"),
        (json!({"$ref": "https://example.com/schema.json"}), "another document"),
        (json!({"$ref": "#/$defs/missing"}), "which doesn't exist"),
        (json!({"$ref": "#"}), "refers to itself"),
        (json!({"type": "object", "not": {}}), "no JSON value"),
    ] {
        let format = json!({"type": "json_schema", "json_schema": {"name": "answer", "schema": schema}});
        let answer = home.client().post("/v1/chat/completions", &chat(&home.model, ADA, &format)).await;
        let error = answer.error(400, "invalid_request");
        assert_eq!(error["param"], "response_format.json_schema.schema", "{error}");
        assert!(error["message"].as_str().unwrap().contains(part), "{error}");
    }
    home.stop().await;
}
