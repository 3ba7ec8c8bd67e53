//! `/v1/messages`, answered by a local model.

use hearth_tests::Home;
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
