//! Turns of sessions in several processes, which share the table.

use futures::future::join_all;
use hearth_tests::Cloud;
use serde_json::{Value, json};

use crate::{MODEL, invoke, of_operator, with_session};

#[tokio::test]
async fn turns_of_two_processes_are_carried_out_one_after_the_other() {
    const NAME: &str = "hearth-fn-generate";
    let cloud = Cloud::start().await;
    let values = with_session(&cloud, of_operator(&cloud).await).await;
    let functions = [cloud.function(NAME).await, cloud.function(NAME).await];
    let asks = functions.iter().enumerate().map(|(number, function)| {
        let mut event = values.event("post_v1.sessions.id.generate.json");
        let (prompt, parameters) = (format!("Question {number}"), json!({"max_tokens": 8}));
        let body = json!({"model": MODEL, "input": {"prompt": prompt}, "parameters": parameters});
        event["body"] = body.to_string().into();
        async move { invoke(function, &event).await }
    });
    for answer in join_all(asks).await {
        assert_eq!(answer.status.as_u16(), 200, "{}", String::from_utf8_lossy(&answer.body()));
    }
    let listed = invoke(&functions[0], &values.event("get_v1.conversations.id.items.json")).await;
    let listed = listed.json().unwrap();
    let items = listed["data"].as_array().unwrap();
    let roles: Vec<&Value> = items.iter().map(|item| &item["role"]).collect();
    assert_eq!(roles, ["assistant", "user", "assistant", "user"], "{listed}");
    assert!(items.iter().all(|item| item["status"] == "completed"), "{listed}");
}
