//! Sessions across a kill and a restart of the gateway.

use hearth_tests::Home;
use serde_json::json;

use crate::{create, items, prompt, texts};

#[tokio::test]
async fn turn_of_a_killed_gateway_is_interrupted_with_its_text_and_the_session_goes_on() {
    let home = Home::start().await;
    let client = home.client();
    let session = create(&client, &json!({"system_prompt": "Be brief."})).await;
    crate::post(&client, &format!("/v1/sessions/{session}/generate"), &prompt("Hello!")).await;
    let mut body = hearth_tests::endless_run();
    body["session_id"] = json!(session);
    let mut stream = client.stream("/v1/generate", &body).await;
    stream.next_named("delta").await;
    let followed =
        client.request(reqwest::Method::GET, &format!("/v1/requests/{}/events", stream.request_id));
    client.events(followed).await.next_named("delta").await;

    let home = home.crash_and_restart().await;
    let client = home.client();
    let before = items(&client, &session).await;
    assert_eq!(before.len(), 4, "{before:?}");
    assert_eq!((&before[3]["status"], &before[3]["role"]), (&json!("incomplete"), &json!("assistant")));
    assert!(!before[3]["content"][0]["text"].as_str().unwrap().is_empty(), "{before:?}");
    let body =
        json!({"input": {"prompt": "What is the capital of France?"}, "parameters": {"max_tokens": 20}});
    let next = client.post(&format!("/v1/sessions/{session}/generate"), &body).await;
    assert_eq!(next.status, 200, "{next:?}");
    let texts = texts(&client, &session).await;
    assert_eq!(texts.len(), 6);
    // It stays so across an orderly restart.
    let home = home.restart().await;
    assert_eq!(crate::texts(&home.client(), &session).await, texts);
    home.stop().await;
}
