//! `GET /v1/requests/{id}` and its events: a run can be looked at, and a cut stream goes on.

use hearth_tests::{Client, Event, Events, Home};
use reqwest::Method;
use serde_json::json;

use crate::{capital_of_france, with};

async fn resume(client: &Client, id: &str, last_event_id: u64) -> Events {
    let request = client.request(Method::GET, &format!("/v1/requests/{id}/events"));
    client.events(request.header("last-event-id", last_event_id)).await
}

fn text_of(events: &[Event]) -> String {
    events.iter().map(Event::text).collect()
}

#[tokio::test]
async fn ended_run_has_its_state() {
    let home = Home::start().await;
    let client = home.client();
    let run = client.post("/v1/generate", &capital_of_france()).await.json();
    let path = format!("/v1/requests/{}", run["request_id"].as_str().unwrap());
    let status = client.get(&path).await.json();
    assert_eq!((&status["status"], &status["finish_reason"]), (&json!("completed"), &json!("stop")));
    for field in ["request_id", "model", "output", "usage"] {
        assert_eq!(status[field], run[field], "{field}");
    }
    assert_eq!((&status["queue_position"], &status["error"]), (&json!(null), &json!(null)));
    assert!(status["created_at"].as_str().unwrap() <= status["finished_at"].as_str().unwrap(), "{status}");
    assert_eq!(client.get(&format!("{path}/status")).await.json(), status);
    home.stop().await;
}

#[tokio::test]
async fn events_of_an_ended_run_are_replayed_from_any_place() {
    let home = Home::start().await;
    let client = home.client();
    let stream = client.stream("/v1/generate", &with(capital_of_france(), "stream", true)).await;
    let id = stream.request_id.clone();
    let events = stream.rest().await;
    assert_eq!(resume(&client, &id, 0).await.rest().await, events);

    let middle = events.len() / 2;
    let place = events[middle].id;
    let after = resume(&client, &id, place).await.rest().await;
    let (done, numbered) = after.split_last().unwrap();
    assert!(numbered.iter().all(|event| event.id > place), "{after:?}");
    assert_eq!((numbered.last().unwrap().name(), done.name()), ("complete", "[DONE]"));
    assert_eq!(after, events[middle + 1..]);

    let query = client.request(Method::GET, &format!("/v1/requests/{id}/events?after={place}"));
    assert_eq!(client.events(query).await.rest().await, after);
    home.stop().await;
}

#[tokio::test]
async fn place_that_is_not_a_number_is_refused() {
    let home = Home::start().await;
    let client = home.client();
    let run = client.post("/v1/generate", &capital_of_france()).await.json();
    let path = format!("/v1/requests/{}/events", run["request_id"].as_str().unwrap());
    let request = client.request(Method::GET, &path).header("last-event-id", "the third");
    let error = client.send(request).await.error(400, "invalid_request");
    assert_eq!(error["param"], "last-event-id", "{error}");
    home.stop().await;
}

#[tokio::test]
async fn cut_stream_is_resumed_after_its_last_event() {
    let home = Home::start().await;
    let client = home.client();
    let body = json!({
        "input": {"prompt": "Tell me a story."},
        "parameters": {"ignore_eos": true, "max_tokens": 600},
        "on_disconnect": "continue",
        "stream": true,
    });
    let mut stream = client.stream("/v1/generate", &body).await;
    let id = stream.request_id.clone();
    let mut before = Vec::new();
    while before.len() < 5 {
        before.push(stream.next().await.unwrap());
    }
    drop(stream);

    let after = resume(&client, &id, before.last().unwrap().id).await.rest().await;
    // `[DONE]` has no id of its own, and so repeats the last one (WHATWG HTML, 9.2.6).
    let ids: Vec<u64> = before.iter().chain(&after[..after.len() - 1]).map(|event| event.id).collect();
    assert!(ids.is_sorted_by(|a, b| a < b), "{ids:?}");
    let complete = &after[after.len() - 2].data;
    assert_eq!(complete["finish_reason"], "length");
    assert_eq!(complete["output"]["text"], text_of(&before) + &text_of(&after));
    home.stop().await;
}
