//! Batches of messages, in Anthropic's dialect.

use std::time::Duration;

use hearth_tests::{Client, Home, eventually};
use serde_json::{Value, json};

use crate::{parse_lines, vendor::Vendor};

const PATH: &str = "/v1/messages/batches";

fn item(id: &str, model: &str) -> Value {
    let messages = json!([{"role": "user", "content": format!("Hello from {id}")}]);
    json!({"custom_id": id, "params": {"model": model, "max_tokens": 8, "messages": messages}})
}

async fn create(client: &Client, requests: &Value) -> Value {
    let answer = client.post(PATH, &json!({"requests": requests})).await;
    assert_eq!(answer.status, 200, "{answer:?}");
    answer.json()
}

fn path_of(batch: &Value) -> String {
    format!("{PATH}/{}", batch["id"].as_str().unwrap())
}

async fn ended(client: &Client, path: &str) -> Value {
    eventually(&format!("the end of {path}"), async || {
        let batch = client.get(path).await.json();
        (batch["processing_status"] == "ended").then_some(batch)
    })
    .await
}

#[tokio::test]
async fn batch_of_messages_is_carried_out_listed_and_deleted() {
    let home = Home::start().await;
    let client = home.client();
    let bad = json!({"custom_id": "bad", "params": {"model": "auto", "messages": []}});
    let created = create(&client, &json!([item("a", "auto"), item("b", "auto"), bad])).await;
    assert_eq!(
        (&created["type"], &created["processing_status"]),
        (&json!("message_batch"), &json!("in_progress"))
    );
    assert_eq!(
        (&created["request_counts"]["processing"], &created["results_url"]),
        (&json!(3), &Value::Null)
    );
    let path = path_of(&created);
    let batch = ended(&client, &path).await;
    let counts = json!({"processing": 0, "succeeded": 2, "errored": 1, "canceled": 0, "expired": 0});
    assert_eq!(batch["request_counts"], counts);
    assert_eq!(batch["results_url"], format!("{}{path}/results", home.url));
    let answer = client.get(&format!("{path}/results")).await;
    assert_eq!(answer.headers["content-type"], "application/x-jsonl");
    let results = parse_lines(&answer);
    let of = |id: &str| &results.iter().find(|result| result["custom_id"] == id).unwrap()["result"];
    assert_eq!((&of("a")["type"], &of("a")["message"]["type"]), (&json!("succeeded"), &json!("message")));
    assert_eq!(of("bad")["error"]["error"]["type"], "invalid_request_error");
    // OpenAI's routes don't have it, nor the list of files its requests.
    let id = created["id"].as_str().unwrap().replace("msgbatch_", "batch_");
    assert_eq!(client.get(&format!("/v1/batches/{id}")).await.status, 404);
    assert_eq!(client.get("/v1/files?purpose=batch").await.json()["data"], json!([]));

    let second = path_of(&create(&client, &json!([item("c", "auto")])).await);
    ended(&client, &second).await;
    let page = client.get(&format!("{PATH}?limit=1")).await.json();
    assert_eq!((path_of(&page["data"][0]), &page["has_more"]), (second.clone(), &json!(true)));
    let last = page["last_id"].as_str().unwrap();
    let page = client.get(&format!("{PATH}?limit=1&after_id={last}")).await.json();
    assert_eq!((path_of(&page["data"][0]), &page["has_more"]), (path.clone(), &json!(false)));
    let last = page["last_id"].as_str().unwrap();
    let page = client.get(&format!("{PATH}?before_id={last}")).await.json();
    assert_eq!(path_of(&page["data"][0]), second);

    let deleted = client.delete(&path).await.json();
    assert_eq!((&deleted["type"], &deleted["id"]), (&json!("message_batch_deleted"), &created["id"]));
    for gone in [path.clone(), format!("{path}/results")] {
        let answer = client.get(&gone).await;
        assert_eq!(
            (answer.status.as_u16(), &answer.json()["error"]["type"]),
            (404, &json!("not_found_error"))
        );
    }
    home.stop().await;
}

#[tokio::test]
async fn cancelled_batch_of_messages_ends_with_a_result_for_each() {
    let vendor = Vendor::start(Duration::from_millis(200)).await;
    let home = vendor.home("[batches]\nconcurrency = 2").await;
    let client = home.client();
    let requests: Vec<Value> = (0..200).map(|number| item(&format!("m{number}"), "rig:big")).collect();
    let path = path_of(&create(&client, &json!(requests)).await);
    eventually("requests of the batch", async || (vendor.count() >= 4).then_some(())).await;
    for (answer, status) in
        [(client.get(&format!("{path}/results")).await, 409), (client.delete(&path).await, 409)]
    {
        assert_eq!((answer.status.as_u16(), &answer.json()["type"]), (status, &json!("error")));
    }
    let cancelled = client.post(&format!("{path}/cancel"), &json!({})).await.json();
    assert_eq!(cancelled["processing_status"], "canceling");
    let batch = ended(&client, &path).await;
    let (succeeded, canceled) = (&batch["request_counts"]["succeeded"], &batch["request_counts"]["canceled"]);
    assert_eq!(succeeded.as_u64().unwrap() + canceled.as_u64().unwrap(), 200, "{batch}");
    assert!(batch["cancel_initiated_at"].is_string() && batch["ended_at"].is_string());
    let results = parse_lines(&client.get(&format!("{path}/results")).await);
    let is_canceled = |result: &&Value| result["result"] == json!({"type": "canceled"});
    assert_eq!(
        (results.len(), results.iter().filter(is_canceled).count() as u64),
        (200, canceled.as_u64().unwrap())
    );
    home.stop().await;
}

#[tokio::test]
async fn bad_ids_are_refused_in_the_format_of_the_dialect() {
    let home = Home::start_without_node().await;
    let client = home.client();
    for (requests, param) in [
        (json!([]), "requests"),
        (json!([item("a b", "auto")]), "requests[0].custom_id"),
        (json!([item("a", "auto"), item("a", "auto")]), "requests[1].custom_id"),
        (json!([{"custom_id": "a"}]), "requests[0].params"),
    ] {
        let refused = client.post(PATH, &json!({"requests": requests})).await;
        let body = refused.json();
        assert_eq!((refused.status.as_u16(), &body["type"]), (400, &json!("error")), "{body}");
        assert_eq!(body["error"]["param"], param);
    }
    home.stop().await;
}
