//! Pictures while they are being made.

use hearth_tests::{cancel_run, eventually, signal};
use serde_json::{Value, json};

use crate::{MODEL, decoded, home, make, request, slow_request};

fn streamed(mut body: Value) -> Value {
    body["stream"] = json!(true);
    body
}

#[tokio::test]
async fn stream_has_each_step_and_previews() {
    let home = home().await;
    let client = home.client();
    let mut events = client.stream("/v1/generate", &streamed(request("a fox", &json!({"steps": 4})))).await;
    let run = events.request_id.clone();
    let (mut steps, mut previews) = (Vec::new(), Vec::new());
    let complete = loop {
        let event = events.next().await.unwrap().data;
        match event["event"].as_str() {
            Some("progress") => {
                steps.push((event["step"].as_u64().unwrap(), event["steps"].as_u64().unwrap()));
                previews.extend(event["preview"].as_str().map(str::to_owned));
            }
            Some("complete") => break event,
            _ => {}
        }
    };
    assert_eq!(steps, [(1, 4), (2, 4), (3, 4), (4, 4)]);
    let preview =
        previews.first().and_then(|preview| preview.strip_prefix("data:image/png;base64,")).unwrap();
    let preview = base64::Engine::decode(&base64::engine::general_purpose::STANDARD, preview).unwrap();
    assert_eq!(decoded(&preview).dimensions(), (9, 8));
    assert_eq!(complete["output"]["images"].as_array().map(Vec::len), Some(1), "{complete}");
    // No log has a preview.
    let logged =
        client.events(client.request(reqwest::Method::GET, &format!("/v1/requests/{run}/events"))).await;
    let logged = logged.rest().await;
    assert!(!logged.iter().any(|event| event.data.to_string().contains("data:image")), "{logged:?}");
    home.stop().await;
}

#[tokio::test]
async fn cancelled_picture_ends_between_two_steps_and_the_model_goes_on() {
    let home = home().await;
    let client = home.client();
    let mut events = client.stream("/v1/generate", &streamed(slow_request())).await;
    let run = events.request_id.clone();
    events.next_named("progress").await;
    let worker = home.worker(MODEL).await;
    cancel_run(&client, &run).await;
    let complete = events.next_named("complete").await.data;
    assert_eq!(complete["finish_reason"], "cancelled", "{complete}");
    assert_eq!(complete["output"]["images"].as_array().map_or(0, Vec::len), 0, "{complete}");
    make(&client, &request("a fox", &json!({}))).await;
    assert_eq!(home.worker(MODEL).await, worker, "the model was loaded again");
    home.stop().await;
}

#[tokio::test]
async fn client_that_goes_away_stops_its_picture() {
    let home = home().await;
    let client = home.client();
    let mut events = client.stream("/v1/generate", &streamed(slow_request())).await;
    let run = events.request_id.clone();
    events.next_named("progress").await;
    drop(events);
    eventually("the end of the run", async || {
        let record = client.get(&format!("/v1/requests/{run}")).await.json();
        (record["state"] == "cancelled" || record["status"] == "cancelled").then_some(())
    })
    .await;
    home.stop().await;
}

#[tokio::test]
async fn texts_are_answered_while_a_picture_is_made_and_a_second_picture_waits() {
    let home = home().await;
    let client = home.client();
    let mut events = client.stream("/v1/generate", &streamed(slow_request())).await;
    let run = events.request_id.clone();
    let begun = events.next_named("progress").await.data["step"].as_u64();
    let mut second = client.stream("/v1/generate", &streamed(request("the cat", &json!({})))).await;
    assert_eq!(second.next_named("queued").await.data["position"], 1);
    let text = json!({"model": home.model, "input": {"prompt": "Hello!"}, "parameters": {"max_tokens": 8}});
    let answers = futures::future::join(make(&client, &text), make(&client, &text)).await;
    assert!(answers.0["modality"] == "text" && answers.1["modality"] == "text", "{answers:?}");
    // The picture is still being made.
    let later = events.next_named("progress").await.data;
    assert!(later["step"].as_u64() > begun && later["step"] != later["steps"], "{later}");
    cancel_run(&client, &run).await;
    let complete = second.next_named("complete").await.data;
    assert_eq!(complete["output"]["images"].as_array().map(Vec::len), Some(1), "{complete}");
    home.stop().await;
}

#[tokio::test]
async fn picture_of_a_killed_worker_is_made_again_and_three_crashes_stop_the_model() {
    let home = home().await;
    let client = home.client();
    let mut events = client
        .stream("/v1/generate", &streamed(request("a fox", &json!({"steps": 60, "size": "192x192"}))))
        .await;
    events.next_named("progress").await;
    signal("KILL", home.worker(MODEL).await).await;
    // Nothing of the picture had reached its client.
    let complete = events.next_named("complete").await.data;
    assert_eq!(complete["output"]["images"].as_array().map(Vec::len), Some(1), "{complete}");
    for _ in 0..2 {
        make(&client, &request("a fox", &json!({}))).await;
        let worker = home.worker(MODEL).await;
        signal("KILL", worker).await;
        eventually("the worker's end", async || {
            (home.worker_if_loaded(MODEL).await != Some(worker)).then_some(())
        })
        .await;
    }
    let refused = client.post("/v1/generate", &request("a fox", &json!({}))).await;
    let refused = refused.error(503, "model_load_failed");
    assert!(refused["message"].as_str().unwrap().contains("crashed 3 times"), "{refused}");
    home.stop().await;
}
