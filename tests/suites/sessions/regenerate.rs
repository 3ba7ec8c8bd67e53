//! Answers that are generated again.

use hearth_tests::{Home, Reply, Upstream};
use serde_json::json;

use crate::{answer, create, played, prompt, texts};

#[tokio::test]
async fn latest_answer_is_replaced_with_other_parameters() {
    let upstream = Upstream::start().await;
    let home = played(&upstream, "").await;
    let client = home.client();
    let session = create(&client, &json!({"model": "rig:big"})).await;
    upstream.reply(answer("First."));
    let body = json!({"input": {"prompt": "Hi"}, "parameters": {"temperature": 0.25, "max_tokens": 9}});
    crate::post(&client, &format!("/v1/sessions/{session}/generate"), &body).await;
    upstream.reply(answer("Second."));
    let path = format!("/v1/sessions/{session}/regenerate");
    let again = client.post(&path, &json!({"parameters": {"temperature": 1.5}})).await.json();
    assert_eq!((&again["output"]["text"], &again["session_id"]), (&json!("Second."), &json!(session)));
    let sent = upstream.received().pop().unwrap().body;
    assert_eq!((&sent["temperature"], &sent["max_tokens"]), (&json!(1.5), &json!(9)), "{sent}");
    assert_eq!(sent["messages"], json!([{"role": "user", "content": "Hi"}]));
    assert_eq!(texts(&client, &session).await, ["Hi", "Second."]);
    // By the request of the answer that was replaced.
    upstream.reply(answer("Third."));
    let body = json!({"request_id": again["request_id"], "stream": true, "parameters": {"max_tokens": null}});
    let events = client.stream(&path, &body).await.rest().await;
    assert_eq!(events[events.len() - 2].data["output"]["text"], "Third.");
    assert!(upstream.received().pop().unwrap().body.get("max_tokens").is_none());
    assert_eq!(texts(&client, &session).await, ["Hi", "Third."]);
    home.stop().await;
}

#[tokio::test]
async fn turn_is_appended_with_the_context_that_it_had() {
    let upstream = Upstream::start().await;
    let home = played(&upstream, "").await;
    let client = home.client();
    let session = create(&client, &json!({"model": "rig:big"})).await;
    let path = format!("/v1/sessions/{session}/generate");
    let mut requests = Vec::new();
    for number in ["one", "two"] {
        upstream.reply(answer(number));
        let turn = client.post(&path, &prompt(&format!("Say {number}"))).await.json();
        requests.push(turn["message_id"].clone());
    }
    upstream.reply(answer("uno"));
    let path = format!("/v1/sessions/{session}/regenerate");
    let body = json!({"mode": "append", "message_id": requests[0], "model": "rig:other"});
    let again = client.post(&path, &body).await.json();
    assert_eq!(again["model"], "other", "{again}");
    let sent = upstream.received().pop().unwrap().body;
    assert_eq!(sent["messages"], json!([{"role": "user", "content": "Say one"}]));
    assert_eq!(texts(&client, &session).await, ["Say one", "one", "Say two", "two", "Say one", "uno"]);
    // An earlier turn that is replaced ends its branch.
    upstream.reply(answer("eins"));
    let again = client.post(&path, &json!({"message_id": requests[0]})).await;
    assert_eq!(again.status, 200, "{again:?}");
    assert_eq!(texts(&client, &session).await, ["Say one", "eins"]);
    home.stop().await;
}

#[tokio::test]
async fn turns_that_do_not_exist_and_bad_parameters_are_refused() {
    let home = Home::start().await;
    let client = home.client();
    let session = create(&client, &json!({})).await;
    let path = format!("/v1/sessions/{session}/regenerate");
    client.post(&path, &json!({})).await.error(409, "conflict");
    let body = json!({"input": {"prompt": "Hello!"}, "parameters": {"max_tokens": 4}});
    let turn = client.post(&format!("/v1/sessions/{session}/generate"), &body).await.json();
    let (run, message) = ("req_01J9ZX5V2QH8N4T6W0C3M7K1RB", "msg_01J9ZX5V2QH8N4T6W0C3M7K1RB");
    for (body, param) in
        [(json!({"request_id": run}), "request_id"), (json!({"message_id": message}), "message_id")]
    {
        assert_eq!(client.post(&path, &body).await.error(404, "not_found")["param"], param);
    }
    for (body, param) in [
        (json!({"request_id": turn["request_id"], "message_id": turn["message_id"]}), "request_id"),
        (json!({"parameters": {"temperature": 9}}), "parameters.temperature"),
        (json!({"mode": "both"}), "mode"),
        (json!({"input": {"prompt": "x"}}), "input"),
    ] {
        assert_eq!(client.post(&path, &body).await.error(400, "invalid_request")["param"], param, "{body}");
    }
    let error = client.post(&path, &json!({"parameters": {"temprature": 1}})).await;
    assert!(error.error(400, "invalid_request")["message"].as_str().unwrap().contains("temprature"));
    assert_eq!(texts(&client, &session).await.len(), 2);
    home.stop().await;
}

#[tokio::test]
async fn picture_is_drawn_again_from_the_same_input() {
    let upstream = Upstream::start().await;
    let home = played(&upstream, "").await;
    let client = home.client();
    let session = create(&client, &json!({})).await;
    let drawn = json!({"created": 1, "data": [{"b64_json": crate::PNG}]});
    upstream.reply(Reply::json(200, &drawn));
    let body = json!({"model": "rig:gpt-image-1", "input": {"prompt": "a fox"}, "parameters": {"size": "1024x1024"}});
    crate::post(&client, &format!("/v1/sessions/{session}/generate"), &body).await;
    upstream.reply(Reply::json(200, &drawn));
    let body = json!({"parameters": {"quality": "high"}});
    let again = crate::post(&client, &format!("/v1/sessions/{session}/regenerate"), &body).await;
    assert_eq!(again["modality"], "image", "{again}");
    let sent = upstream.received().pop().unwrap();
    assert_eq!(sent.path, "/v1/images/generations");
    let fields = (&sent.body["prompt"], &sent.body["size"], &sent.body["quality"]);
    assert_eq!(fields, (&json!("a fox"), &json!("1024x1024"), &json!("high")));
    home.stop().await;
}
