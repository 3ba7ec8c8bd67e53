//! The model folder, while the node runs.

use std::fs;

use hearth_tests::{Client, Home, corrupt_copy, eventually, signal, tiny_chat, truncated_copy, whole_copy};
use serde_json::{Value, json};

use crate::{ask, cancel, endless_on, load, runtime, until_state};

async fn listed(client: &Client) -> Vec<String> {
    let list = client.get("/v1/models").await.json();
    let models: &Vec<Value> = list["models"].as_array().unwrap();
    models.iter().map(|model| model["id"].as_str().unwrap().to_owned()).collect()
}

async fn until_listed(client: &Client, model: &str, there: bool) {
    eventually("the list of models", async || {
        (listed(client).await.iter().any(|id| id == model) == there).then_some(())
    })
    .await;
}

#[tokio::test]
async fn what_is_copied_in_can_be_asked_and_what_is_removed_is_gone() {
    let home = Home::start().await;
    let client = home.client();
    let file = home.model_file("newcomer");
    whole_copy(&file);
    until_listed(&client, "newcomer", true).await;
    ask(&client, "newcomer").await;
    client.post("/v1/models/newcomer/unload", &json!({})).await;
    until_state(&client, "newcomer", "unloaded").await;
    fs::remove_file(&file).unwrap();
    until_listed(&client, "newcomer", false).await;
    let body = json!({"model": "newcomer", "input": {"prompt": "Hello!"}});
    client.post("/v1/generate", &body).await.error(404, "model_not_found");
    home.stop().await;
}

/// The first request after the copy needs no list to be asked for before.
#[tokio::test]
async fn a_new_file_can_be_asked_at_once() {
    let home = Home::start().await;
    let part = home.folder().join("part.gguf");
    whole_copy(&part);
    fs::rename(part, home.model_file("newcomer")).unwrap();
    ask(&home.client(), "newcomer").await;
    home.stop().await;
}

#[tokio::test]
async fn a_broken_file_fails_alone() {
    let home = Home::start().await;
    let client = home.client();
    truncated_copy(&home.model_file("half"));
    corrupt_copy(&home.model_file("no-magic"));
    for model in ["half", "no-magic"] {
        until_state(&client, model, "failed").await;
        let reason = runtime(&client, model).await["error"].clone();
        assert!(reason.as_str().is_some_and(|reason| !reason.is_empty()), "{model}: {reason}");
        let body = json!({"model": model, "input": {"prompt": "Hello!"}});
        let error = client.post("/v1/generate", &body).await.error(503, "model_load_failed");
        assert!(error["message"].as_str().unwrap().contains(model), "{error}");
    }
    ask(&client, &home.model).await;
    // Once it is whole, nobody need say so.
    whole_copy(&home.model_file("half"));
    until_state(&client, "half", "unloaded").await;
    ask(&client, "half").await;
    home.stop().await;
}

#[tokio::test]
async fn a_model_whose_file_is_deleted_serves_until_it_leaves_memory() {
    let home = Home::start().await;
    let client = home.client();
    let file = home.model_file("brief");
    let aside = home.folder().join("brief.gguf");
    whole_copy(&file);
    let mut stream = endless_on(&client, "brief").await;
    stream.next_named("delta").await;
    fs::rename(&file, &aside).unwrap();
    // However often the folder is looked at.
    for _ in 0..3 {
        assert!(listed(&client).await.contains(&"brief".to_owned()), "it is in memory, and not in the list");
        ask(&client, "brief").await;
        stream.next_named("delta").await;
    }
    cancel(&client, &stream).await;
    stream.rest().await;

    let unload = client.post("/v1/models/brief/unload", &json!({})).await;
    assert!(unload.status.is_success(), "{unload:?}");
    until_listed(&client, "brief", false).await;
    let body = json!({"model": "brief", "input": {"prompt": "Hello!"}});
    client.post("/v1/generate", &body).await.error(404, "model_not_found");

    fs::rename(&aside, &file).unwrap();
    until_listed(&client, "brief", true).await;
    ask(&client, "brief").await;
    home.stop().await;
}

#[tokio::test]
async fn a_model_whose_file_is_deleted_is_not_there_after_a_crash() {
    let home = Home::start().await;
    let client = home.client();
    let file = home.model_file("brief");
    let aside = home.folder().join("brief.gguf");
    whole_copy(&file);
    load(&client, "brief").await;
    fs::rename(&file, &aside).unwrap();
    signal("KILL", home.worker("brief").await).await;
    until_listed(&client, "brief", false).await;
    let body = json!({"model": "brief", "input": {"prompt": "Hello!"}});
    client.post("/v1/generate", &body).await.error(404, "model_not_found");
    ask(&client, &home.model).await;

    fs::rename(&aside, &file).unwrap();
    until_listed(&client, "brief", true).await;
    ask(&client, "brief").await;
    home.stop().await;
}

/// `cp` writes into the file that is there, which the worker has mapped.
#[tokio::test]
async fn a_file_that_is_overwritten_in_use_harms_nobody_else() {
    let home = Home::start().await;
    let client = home.client();
    let file = home.model_file("brief");
    whole_copy(&file);
    load(&client, "brief").await;
    fs::write(&file, b"").unwrap();
    let body = json!({"model": "brief", "input": {"prompt": "Hello!"}, "parameters": {"max_tokens": 8}});
    let answer = client.post("/v1/generate", &body).await;
    assert!(answer.status == 200 || answer.json()["error"]["message"].is_string(), "{answer:?}");
    ask(&client, &home.model).await;
    fs::copy(tiny_chat(), &file).unwrap();
    eventually("the model works again", async || {
        (client.post("/v1/generate", &body).await.status == 200).then_some(())
    })
    .await;
    home.stop().await;
}
