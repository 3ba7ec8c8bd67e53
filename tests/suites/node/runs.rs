//! Concurrent runs, and runs whose client disconnects.

use hearth_tests::{Home, cancel_run};
use serde_json::json;

use crate::{LONG_RUN_TOKENS, runtime_status, setup_for_endless_runs, start_endless, wait_for_end};

#[tokio::test]
async fn two_runs_are_served_at_once() {
    let home = setup_for_endless_runs(&[], "slots = 2").start().await;
    let client = home.client();
    let (mut one, mut other) = (start_endless(&client).await, start_endless(&client).await);
    one.next_named("delta").await;
    other.next_named("delta").await;
    assert_eq!(runtime_status(&client, &home.model).await["active"], 2);
    for mut stream in [one, other] {
        cancel_run(&client, &stream.request_id).await;
        assert_eq!(stream.next_named("complete").await.data["finish_reason"], "cancelled");
    }
    home.stop().await;
}

#[tokio::test]
async fn disconnect_cancels_the_run() {
    let home = setup_for_endless_runs(&[], "slots = 1").start().await;
    let client = home.client();
    let mut stream = start_endless(&client).await;
    stream.next_named("delta").await;
    let id = stream.request_id.clone();
    drop(stream);
    let run = wait_for_end(&client, &id).await;
    assert_eq!(run["status"], "cancelled", "{run}");
    let generated = run["usage"]["completion_tokens"].as_u64().unwrap();
    assert!(0 < generated && generated < LONG_RUN_TOKENS, "{run}");
    home.stop().await;
}

#[tokio::test]
async fn run_with_on_disconnect_continue_completes() {
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
    let run = wait_for_end(&client, &id).await;
    assert_eq!((&run["status"], &run["finish_reason"]), (&json!("completed"), &json!("length")), "{run}");
    assert_eq!(run["usage"]["completion_tokens"], 300);
    home.stop().await;
}
