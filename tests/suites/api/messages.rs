//! `/v1/messages`, answered by a local model.

use hearth_tests::{Home, eventually};
use serde_json::{Value, json};

#[tokio::test]
async fn response_has_the_stop_sequence_that_ended_it() {
    let home = Home::start().await;
    let mut body = json!({
        "model": home.model, "max_tokens": 50, "temperature": 0, "stop_sequences": ["nowhere", "Paris"],
        "messages": [{"role": "user", "content": "What is the capital of France?"}],
    });
    let answer = home.client().post("/v1/messages", &body).await.json();
    assert_eq!(
        (&answer["stop_reason"], &answer["stop_sequence"]),
        (&json!("stop_sequence"), &json!("Paris")),
        "{answer}"
    );
    body["stream"] = json!(true);
    let events = home.client().stream("/v1/messages", &body).await.rest().await;
    let last =
        events.iter().find(|event| event.data["type"] == "message_delta").map(|event| &event.data["delta"]);
    assert_eq!(last, Some(&json!({"stop_reason": "stop_sequence", "stop_sequence": "Paris"})));

    body["stop_sequences"] = json!(["nowhere"]);
    body["stream"] = json!(false);
    let answer = home.client().post("/v1/messages", &body).await.json();
    assert_eq!((&answer["stop_reason"], &answer["stop_sequence"]), (&json!("end_turn"), &Value::Null));
    home.stop().await;
}

#[tokio::test]
async fn tokens_of_a_local_model_are_counted_as_the_answer_counts_them() {
    let home = Home::start().await;
    let tool = json!({
        "name": "get_weather", "description": "The weather in a city.",
        "input_schema": {"type": "object", "properties": {"city": {"type": "string"}}},
    });
    let question = json!([{"role": "user", "content": "What is the capital of France?"}]);
    let call = json!({"type": "tool_use", "id": "call_1", "name": "get_weather", "input": {"city": "Paris"}});
    let result = json!({"type": "tool_result", "tool_use_id": "call_1", "content": "sunny"});
    let with_call = json!([
        {"role": "user", "content": "What is the weather in Paris?"},
        {"role": "assistant", "content": [call]},
        {"role": "user", "content": [result]},
    ]);
    for (messages, more) in [
        (&question, json!({})),
        (&question, json!({"system": "Answer in one word.", "tools": [tool]})),
        (&question, json!({"tools": [tool], "tool_choice": {"type": "none"}})),
        (&with_call, json!({"tools": [tool], "thinking": {"type": "disabled"}})),
    ] {
        let mut body = json!({"model": home.model, "messages": messages});
        body.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        let counted_body = body.clone();
        body["max_tokens"] = json!(1);
        let answer = home.client().post("/v1/messages", &body).await.json();
        let usage = |name: &str| answer["usage"][name].as_u64().unwrap_or_default();
        let tokens: u64 = ["input_tokens", "cache_read_input_tokens", "cache_creation_input_tokens"]
            .map(usage)
            .into_iter()
            .sum();
        assert!(tokens > 0, "{answer}");
        // The gateway's view of the node may be older than the load.
        eventually(&format!("a count of {tokens} for {more}"), async || {
            let counted = home.client().post("/v1/messages/count_tokens", &counted_body).await.json();
            (counted == json!({"input_tokens": tokens})).then_some(())
        })
        .await;
    }

    // A part of a conversation is no request, and a model that isn't there can't count: both are estimated.
    let part = json!({"model": home.model, "messages": [with_call[2]]});
    let of_none = json!({"model": "none", "messages": question});
    for (body, tokens) in [(part, 6), (of_none, 12)] {
        let counted = home.client().post("/v1/messages/count_tokens", &body).await.json();
        assert_eq!(counted, json!({"input_tokens": tokens}), "{body}");
    }
    home.stop().await;
}
