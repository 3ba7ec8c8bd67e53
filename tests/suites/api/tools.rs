//! Tools: calls of the model, and their results.

use hearth_tests::{Event, Home};
use serde_json::{Value, json};

use crate::with;

const RESULT: &str = r#"{"temperature":21,"condition":"sunny"}"#;

fn weather() -> Value {
    json!({"type": "function", "function": {
        "name": "get_weather",
        "description": "Get the weather for a city",
        "parameters": {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]},
    }})
}

fn user(text: &str) -> Value {
    json!({"role": "user", "content": text})
}

fn chat(model: &str, text: &str) -> Value {
    json!({"model": model, "messages": [user(text)], "temperature": 0, "tools": [weather()]})
}

fn native(text: &str) -> Value {
    json!({"input": {"prompt": text}, "parameters": {"temperature": 0}, "tools": [weather()]})
}

fn city_of(call: &Value) -> String {
    assert_eq!(
        (&call["type"], &call["function"]["name"]),
        (&json!("function"), &json!("get_weather")),
        "{call}"
    );
    assert!(!call["id"].as_str().unwrap().is_empty(), "{call}");
    let arguments: Value = serde_json::from_str(call["function"]["arguments"].as_str().unwrap()).unwrap();
    arguments["city"].as_str().unwrap().to_owned()
}

#[tokio::test]
async fn tool_is_called_and_its_result_used() {
    let home = Home::start().await;
    let client = home.client();
    let mut body = chat(&home.model, "What is the weather in Paris?");
    let answer = client.post("/v1/chat/completions", &body).await;
    assert_eq!(answer.status, 200, "{answer:?}");
    let choice = answer.json()["choices"][0].clone();
    assert_eq!(
        (&choice["finish_reason"], &choice["message"]["content"]),
        (&json!("tool_calls"), &json!(null))
    );
    let calls = choice["message"]["tool_calls"].as_array().unwrap();
    assert_eq!(calls.iter().map(city_of).collect::<Vec<_>>(), ["Paris"]);

    let result = json!({"role": "tool", "tool_call_id": calls[0]["id"], "content": RESULT});
    body["messages"].as_array_mut().unwrap().extend([choice["message"].clone(), result]);
    let answer = client.post("/v1/chat/completions", &body).await.json();
    let choice = &answer["choices"][0];
    assert_eq!(choice["message"]["content"], "It is sunny and 21 degrees in Paris.", "{answer}");
    assert_eq!(choice["finish_reason"], "stop");
    home.stop().await;
}

#[tokio::test]
async fn chunks_of_a_call_add_up() {
    let home = Home::start().await;
    let body = with(chat(&home.model, "What is the weather in Paris?"), "stream", true);
    let events = home.client().stream("/v1/chat/completions", &body).await.rest().await;
    let choices: Vec<&Value> = events.iter().map(|event| &event.data["choices"][0]).collect();
    let deltas: Vec<&Value> =
        choices.iter().flat_map(|c| c["delta"]["tool_calls"].as_array()).flatten().collect();
    assert!(deltas.iter().all(|delta| delta["index"] == 0), "{deltas:?}");
    let ids: Vec<&str> = deltas.iter().filter_map(|delta| delta["id"].as_str()).collect();
    assert_eq!(ids.len(), 1, "a call begins once: {deltas:?}");
    assert_eq!(deltas[0]["function"]["name"], "get_weather");
    let arguments: String = deltas.iter().filter_map(|d| d["function"]["arguments"].as_str()).collect();
    assert_eq!(serde_json::from_str::<Value>(&arguments).unwrap(), json!({"city": "Paris"}));
    let text: String = choices.iter().filter_map(|c| c["delta"]["content"].as_str()).collect();
    assert_eq!(text, "", "the call leaked into the text");
    let reasons: Vec<&str> = choices.iter().filter_map(|c| c["finish_reason"].as_str()).collect();
    assert_eq!(reasons, ["tool_calls"]);
    home.stop().await;
}

#[tokio::test]
async fn native_stream_and_record_have_the_call() {
    let home = Home::start().await;
    let client = home.client();
    let body = with(native("What is the weather in Oslo?"), "stream", true);
    let stream = client.stream("/v1/generate", &body).await;
    let id = stream.request_id.clone();
    let events = stream.rest().await;
    let calls: Vec<&Event> = events.iter().filter(|event| event.name() == "tool_call").collect();
    assert_eq!((&calls[0].data["name"], &calls[0].data["index"]), (&json!("get_weather"), &json!(0)));
    let arguments: String = calls.iter().filter_map(|call| call.data["arguments"].as_str()).collect();
    assert_eq!(serde_json::from_str::<Value>(&arguments).unwrap(), json!({"city": "Oslo"}));

    let complete = &events[events.len() - 2].data;
    assert_eq!(complete["finish_reason"], "tool_calls");
    assert_eq!(
        (city_of(&complete["output"]["tool_calls"][0]), &complete["output"]["text"]),
        ("Oslo".into(), &json!(""))
    );
    let status = client.get(&format!("/v1/requests/{id}")).await.json();
    assert_eq!((&status["output"], &status["finish_reason"]), (&complete["output"], &json!("tool_calls")));
    let cancel = client.delete(&format!("/v1/requests/{id}?partial=true")).await.json();
    assert_eq!(cancel["output"], complete["output"]);
    home.stop().await;
}

#[tokio::test]
async fn native_dialect_accepts_a_tool_result() {
    let home = Home::start().await;
    let client = home.client();
    let first = client.post("/v1/generate", &native("What is the weather in Paris?")).await.json();
    let calls = &first["output"]["tool_calls"];
    let messages = json!([
        user("What is the weather in Paris?"),
        {"role": "assistant", "content": null, "tool_calls": calls},
        {"role": "tool", "tool_call_id": calls[0]["id"], "content": RESULT},
    ]);
    let body = with(native(""), "input", json!({"messages": messages}));
    let answer = client.post("/v1/generate", &body).await.json();
    assert_eq!(answer["output"], json!({"text": "It is sunny and 21 degrees in Paris."}));
    home.stop().await;
}

#[tokio::test]
async fn tool_choice_is_followed() {
    let home = Home::start().await;
    let client = home.client();
    let named = json!({"type": "function", "function": {"name": "get_weather"}});
    let cases = [
        ("Hello!", json!("auto"), false),
        ("Hello!", json!("required"), true),
        ("Hello!", named, true),
        ("What is the weather in Paris?", json!("none"), false),
    ];
    for (text, choice, calls) in cases {
        let body = with(chat(&home.model, text), "tool_choice", choice.clone());
        let answer = client.post("/v1/chat/completions", &body).await.json();
        let message = &answer["choices"][0]["message"];
        match message["tool_calls"].as_array() {
            Some(list) => {
                assert!(calls && list.iter().all(|call| city_of(call).len() < 1000), "{choice}: {answer}")
            }
            None => assert!(
                !calls && message["content"].as_str().is_some_and(|t| !t.is_empty()),
                "{choice}: {answer}"
            ),
        }
    }
    home.stop().await;
}

#[tokio::test]
async fn answer_with_a_schema_can_be_a_tool_call() {
    let home = Home::start().await;
    let client = home.client();
    let schema = json!({"type": "object", "properties": {"reply": {"enum": ["hi", "bye"]}},
        "required": ["reply"], "additionalProperties": false});
    let format = json!({"type": "json_schema", "json_schema": {"name": "reply", "schema": schema}});
    let ask = async |text: &str| {
        let body = with(chat(&home.model, text), "response_format", format.clone());
        client.post("/v1/chat/completions", &body).await.json()["choices"][0].clone()
    };
    let call = ask("What is the weather in Paris?").await;
    assert_eq!(call["finish_reason"], "tool_calls", "{call}");
    assert_eq!(city_of(&call["message"]["tool_calls"][0]), "Paris");
    let answer = ask("Hello!").await;
    let content: Value = serde_json::from_str(answer["message"]["content"].as_str().unwrap()).unwrap();
    assert!(content == json!({"reply": "hi"}) || content == json!({"reply": "bye"}), "{answer}");
    home.stop().await;
}

#[tokio::test]
async fn parallel_calls_are_made_unless_disabled() {
    let home = Home::start().await;
    let client = home.client();
    let body = chat(&home.model, "What is the weather in Paris and London?");
    let calls = async |body: &Value| {
        let answer = client.post("/v1/chat/completions", body).await.json();
        answer["choices"][0]["message"]["tool_calls"].as_array().cloned().unwrap_or_default()
    };
    let both = calls(&body).await;
    assert_eq!(both.len(), 2, "{both:?}");
    assert_ne!(both[0]["id"], both[1]["id"]);
    assert_eq!(calls(&with(body, "parallel_tool_calls", false)).await.len(), 1);
    home.stop().await;
}
