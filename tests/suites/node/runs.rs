//! Runs beside each other, and runs whose client is gone.

use hearth_tests::Home;
use serde_json::json;

use crate::{MANY, cancel, ended, endless, long, runtime};

#[tokio::test]
async fn two_runs_share_the_model() {
    let home = long("slots = 2").start().await;
    let client = home.client();
    let (mut one, mut other) = (endless(&client).await, endless(&client).await);
    one.next_named("delta").await;
    other.next_named("delta").await;
    assert_eq!(runtime(&client, &home.model).await["active"], 2);
    for mut stream in [one, other] {
        cancel(&client, &stream).await;
        assert_eq!(stream.next_named("complete").await.data["finish_reason"], "cancelled");
    }
    home.stop().await;
}

#[tokio::test]
async fn a_client_that_goes_away_stops_its_run() {
    let home = long("slots = 1").start().await;
    let client = home.client();
    let mut stream = endless(&client).await;
    stream.next_named("delta").await;
    let id = stream.request_id.clone();
    drop(stream);
    let run = ended(&client, &id).await;
    assert_eq!(run["status"], "cancelled", "{run}");
    let made = run["usage"]["completion_tokens"].as_u64().unwrap();
    assert!(0 < made && made < MANY, "{run}");
    home.stop().await;
}

#[tokio::test]
async fn a_run_that_is_to_continue_goes_on_without_its_client() {
    let home = Home::start().await;
    let client = home.client();
    let body = json!({
        "input": {"prompt": "Tell me a story."},
        "parameters": {"ignore_eos": true, "max_tokens": 300},
        "on_disconnect": "continue",
        "stream": true,
    });
    let mut stream = client.stream("/v1/generate", &body).await;
    stream.next_named("delta").await;
    let id = stream.request_id.clone();
    drop(stream);
    let run = ended(&client, &id).await;
    assert_eq!((&run["status"], &run["finish_reason"]), (&json!("completed"), &json!("length")), "{run}");
    assert_eq!(run["usage"]["completion_tokens"], 300);
    home.stop().await;
}
