//! `POST /v1/responses` with its stored responses, and `POST /v1/completions`.

use hearth_tests::Home;
use serde_json::{Value, json};

use crate::with;

const PARIS: &str = "What is the capital of France?";

fn question(model: &str) -> Value {
    json!({"model": model, "input": PARIS, "temperature": 0})
}

fn text(response: &Value) -> &str {
    response["output"][0]["content"][0]["text"].as_str().unwrap()
}

#[tokio::test]
async fn response_is_a_document_or_events() {
    let home = Home::start().await;
    let client = home.client();
    let answer = client.post("/v1/responses", &question(&home.model)).await;
    assert_eq!(answer.status, 200, "{answer:?}");
    let whole = answer.json();
    assert_eq!((&whole["object"], &whole["status"]), (&json!("response"), &json!("completed")));
    assert_eq!(whole["id"], answer.header("x-request-id"));
    assert!(text(&whole).contains("Paris"), "{whole}");

    let events =
        client.stream("/v1/responses", &with(question(&home.model), "stream", true)).await.rest().await;
    let numbers: Vec<u64> = events.iter().filter_map(|e| e.data["sequence_number"].as_u64()).collect();
    assert_eq!(numbers, (0..events.len() as u64).collect::<Vec<_>>());
    let last = &events.last().unwrap().data;
    assert_eq!(last["type"], "response.completed");
    assert_eq!(text(&last["response"]), text(&whole));
    let deltas = events.iter().filter(|event| event.data["type"] == "response.output_text.delta");
    let streamed: String = deltas.filter_map(|event| event.data["delta"].as_str()).collect();
    assert_eq!(streamed, text(&whole));
    home.stop().await;
}

#[tokio::test]
async fn stored_item_is_referenced_by_its_id() {
    let home = Home::start().await;
    let client = home.client();
    let named = |model: &str, id: &Value| {
        let input = json!([
            {"role": "user", "content": PARIS},
            {"type": "item_reference", "id": id},
            {"role": "user", "content": "Thanks"},
        ]);
        json!({"model": model, "input": input, "temperature": 0, "store": false})
    };
    let first = client.post("/v1/responses", &question(&home.model)).await.json();
    let short = client.post("/v1/responses", &named(&home.model, &first["output"][0]["id"])).await.json();
    let mut whole = named(&home.model, &json!(null));
    whole["input"][1] = json!({"role": "assistant", "content": text(&first)});
    let whole = client.post("/v1/responses", &whole).await.json();
    assert_eq!(
        (&short["usage"]["input_tokens"], text(&short)),
        (&whole["usage"]["input_tokens"], text(&whole))
    );

    // A response that isn't stored can't be referenced.
    let error = client.post("/v1/responses", &named(&home.model, &short["output"][0]["id"])).await;
    assert_eq!(error.error(404, "not_found")["param"], "input[1].id");
    home.stop().await;
}

#[tokio::test]
async fn previous_response_is_continued_until_deleted() {
    let home = Home::start().await;
    let client = home.client();
    let first = client.post("/v1/responses", &question(&home.model)).await.json();
    let path = format!("/v1/responses/{}", first["id"].as_str().unwrap());
    let stored = client.get(&path).await.json();
    assert_eq!((&stored["output"], &stored["usage"]), (&first["output"], &first["usage"]));

    let next = with(question(&home.model), "previous_response_id", first["id"].clone());
    let second = client.post("/v1/responses", &next).await.json();
    assert_eq!(second["previous_response_id"], first["id"]);
    assert!(second["usage"]["input_tokens"].as_u64() > first["usage"]["input_tokens"].as_u64(), "{second}");

    let deleted = client.delete(&path).await;
    assert_eq!((deleted.status.as_u16(), &deleted.json()["deleted"]), (200, &json!(true)));
    client.get(&path).await.error(404, "not_found");
    let error = client.post("/v1/responses", &next).await.error(404, "not_found");
    assert_eq!(error["param"], "previous_response_id", "{error}");
    home.stop().await;
}

#[tokio::test]
async fn response_with_store_false_is_not_stored() {
    let home = Home::start().await;
    let client = home.client();
    let first = client.post("/v1/responses", &with(question(&home.model), "store", false)).await.json();
    assert_eq!(first["store"], false);
    let next = with(question(&home.model), "previous_response_id", first["id"].clone());
    client.post("/v1/responses", &next).await.error(404, "not_found");
    home.stop().await;
}

#[tokio::test]
async fn text_input_is_a_user_message() {
    let home = Home::start().await;
    let body = json!({"model": home.model, "prompt": PARIS, "temperature": 0});
    let whole = home.client().post("/v1/completions", &body).await.json();
    assert_eq!(whole["object"], "text_completion");
    let completion = whole["choices"][0]["text"].as_str().unwrap();
    assert!(completion.contains("Paris"), "{whole}");
    let events = home.client().stream("/v1/completions", &with(body, "stream", true)).await.rest().await;
    let (done, chunks) = events.split_last().unwrap();
    assert_eq!(done.name(), "[DONE]");
    let streamed: String = chunks.iter().filter_map(|c| c.data["choices"][0]["text"].as_str()).collect();
    assert_eq!(streamed, completion);
    home.stop().await;
}
