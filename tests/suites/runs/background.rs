//! Responses of OpenAI's dialect without their client: in the background, resumed and cancelled.

use hearth_tests::{Client, Event, Home, eventually};
use reqwest::Method;
use serde_json::{Value, json};

fn request(model: &str, tokens: u64) -> Value {
    json!({
        "model": model, "input": "Tell me a story.", "ignore_eos": true, "max_output_tokens": tokens, "background": true,
    })
}

async fn response(client: &Client, id: &str) -> Value {
    client.get(&format!("/v1/responses/{id}")).await.json()
}

async fn events(client: &Client, id: &str, query: &str) -> Vec<Event> {
    let path = format!("/v1/responses/{id}?stream=true{query}");
    client.events(client.request(Method::GET, &path)).await.rest().await
}

fn numbers(events: &[Event]) -> Vec<u64> {
    events.iter().map(|event| event.data["sequence_number"].as_u64().unwrap()).collect()
}

#[tokio::test]
async fn background_response_is_polled_to_its_end() {
    let home = Home::start().await;
    let client = home.client();
    let begun = client.post("/v1/responses", &request(&home.model, 200)).await;
    assert_eq!(begun.status, 200, "{begun:?}");
    let begun = begun.json();
    assert!(matches!(begun["status"].as_str(), Some("queued" | "in_progress")), "{begun}");
    assert_eq!((&begun["background"], &begun["output"]), (&json!(true), &json!([])));
    let id = begun["id"].as_str().unwrap();
    let end = eventually("the end of the response", async || {
        let response = response(&client, id).await;
        assert_eq!((&response["id"], &response["background"]), (&begun["id"], &json!(true)));
        let open = matches!(response["status"].as_str(), Some("queued" | "in_progress"));
        (!open).then_some(response)
    })
    .await;
    assert_eq!(
        (&end["status"], &end["usage"]["output_tokens"]),
        (&json!("incomplete"), &json!(200)),
        "{end}"
    );
    assert!(end["output"][0]["content"][0]["text"].as_str().is_some_and(|text| !text.is_empty()), "{end}");
    // A next request continues from it.
    let next =
        json!({"model": home.model, "input": "Go on", "previous_response_id": id, "max_output_tokens": 5});
    assert_eq!(client.post("/v1/responses", &next).await.status, 200);
    home.stop().await;
}

#[tokio::test]
async fn background_stream_is_resumed_with_its_numbers() {
    let home = Home::start().await;
    let client = home.client();
    let mut body = request(&home.model, 300);
    body["stream"] = json!(true);
    let mut stream = client.stream("/v1/responses", &body).await;
    let id = stream.request_id.clone();
    let mut before = Vec::new();
    while before.len() < 8 {
        before.push(stream.next().await.unwrap());
    }
    drop(stream);
    // Its record is at most a batch behind the stream.
    let begun = response(&client, &id).await;
    assert!(matches!(begun["status"].as_str(), Some("queued" | "in_progress")), "{begun}");
    let after = events(&client, &id, "&starting_after=7").await;
    let all = [before, after].concat();
    assert_eq!(numbers(&all), (0..all.len() as u64).collect::<Vec<_>>());
    assert_eq!(all.last().unwrap().data["type"], "response.incomplete");
    let deltas = all.iter().filter(|event| event.data["type"] == "response.output_text.delta");
    let text: String = deltas.filter_map(|event| event.data["delta"].as_str()).collect();
    let end = response(&client, &id).await;
    assert_eq!(end["output"][0]["content"][0]["text"], text);
    // Again from the first, by another process.
    let home = home.restart().await;
    let again = events(&home.client(), &id, "").await;
    assert_eq!(numbers(&again), numbers(&all));
    assert_eq!(again[..all.len() - 1], all[..all.len() - 1]);
    let from_middle = events(&home.client(), &id, "&starting_after=20").await;
    assert_eq!(from_middle, again[21..]);
    home.stop().await;
}

#[tokio::test]
async fn background_response_is_cancelled() {
    let home = Home::start().await;
    let client = home.client();
    let begun = client.post("/v1/responses", &request(&home.model, 3500)).await.json();
    let id = begun["id"].as_str().unwrap();
    let next = json!({"model": home.model, "input": "Go on", "previous_response_id": id});
    let error = client.post("/v1/responses", &next).await.error(409, "conflict");
    assert_eq!(error["param"], "previous_response_id", "{error}");
    let path = format!("/v1/responses/{id}/cancel");
    let cancel = client.post(&path, &json!({})).await;
    assert_eq!((cancel.status.as_u16(), &cancel.json()["status"]), (200, &json!("cancelled")), "{cancel:?}");
    // Once more changes nothing.
    assert_eq!(client.post(&path, &json!({})).await.json(), cancel.json());
    assert_eq!(response(&client, id).await, cancel.json());
    assert_eq!(client.get(&format!("/v1/requests/{id}")).await.json()["status"], "cancelled");
    let last = events(&client, id, "").await.pop().unwrap();
    assert_eq!(last.data["response"]["status"], "cancelled", "{last:?}");
    client.post("/v1/responses", &next).await.error(409, "conflict");
    let unknown = "/v1/responses/req_01J9ZX5V2QH8N4T6W0C3M7K1RB/cancel";
    client.post(unknown, &json!({})).await.error(404, "not_found");
    home.stop().await;
}

#[tokio::test]
async fn background_response_of_a_killed_gateway_has_failed() {
    let home = Home::start().await;
    let begun = home.client().post("/v1/responses", &request(&home.model, 3500)).await.json();
    let id = begun["id"].as_str().unwrap().to_owned();
    let home = home.crash_and_restart().await;
    let client = home.client();
    let end = eventually("the end of the response", async || {
        let response = response(&client, &id).await;
        (response["status"] == "failed").then_some(response)
    })
    .await;
    assert_eq!(end["error"]["code"], "gateway_stopped", "{end}");
    home.stop().await;
}

#[tokio::test]
async fn background_without_store_is_refused() {
    let home = Home::start().await;
    let mut body = request(&home.model, 5);
    body["store"] = json!(false);
    let error = home.client().post("/v1/responses", &body).await.error(400, "invalid_request");
    assert_eq!(error["param"], "background", "{error}");
    home.stop().await;
}
