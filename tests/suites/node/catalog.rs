//! Changes of the model folder while the node runs.

use std::fs;

use hearth_tests::{
    Client, Home, cancel_run, corrupt_copy, eventually, signal, tiny_chat, truncated_copy, whole_copy,
};
use serde_json::{Value, json};

use crate::{ask, load, runtime_status, setup_for_endless_runs, start_endless_on, wait_for_state};

async fn model_ids(client: &Client) -> Vec<String> {
    let list = client.get("/v1/models").await.json();
    let models: &Vec<Value> = list["models"].as_array().unwrap();
    models.iter().map(|model| model["id"].as_str().unwrap().to_owned()).collect()
}

/// Waits until the list of models contains the model, or doesn't.
async fn wait_for_listing(client: &Client, model: &str, listed: bool) {
    eventually("the list of models", async || {
        (model_ids(client).await.iter().any(|id| id == model) == listed).then_some(())
    })
    .await;
}

#[tokio::test]
async fn copied_model_is_served_and_removed_model_is_not_found() {
    let home = Home::start().await;
    let client = home.client();
    let file = home.model_file("newcomer");
    whole_copy(&file);
    wait_for_listing(&client, "newcomer", true).await;
    ask(&client, "newcomer").await;
    client.post("/v1/models/newcomer/unload", &json!({})).await;
    wait_for_state(&client, "newcomer", "unloaded").await;
    fs::remove_file(&file).unwrap();
    wait_for_listing(&client, "newcomer", false).await;
    let body = json!({"model": "newcomer", "input": {"prompt": "Hello!"}});
    client.post("/v1/generate", &body).await.error(404, "model_not_found");
    home.stop().await;
}

/// The first request after the copy needs no listing before.
#[tokio::test]
async fn new_model_is_served_at_once() {
    let home = Home::start().await;
    let part = home.folder().join("part.gguf");
    whole_copy(&part);
    fs::rename(part, home.model_file("newcomer")).unwrap();
    ask(&home.client(), "newcomer").await;
    home.stop().await;
}

#[tokio::test]
async fn broken_file_fails_only_its_model() {
    let home = Home::start().await;
    let client = home.client();
    truncated_copy(&home.model_file("half"));
    corrupt_copy(&home.model_file("no-magic"));
    for model in ["half", "no-magic"] {
        wait_for_state(&client, model, "failed").await;
        let reason = runtime_status(&client, model).await["error"].clone();
        assert!(reason.as_str().is_some_and(|reason| !reason.is_empty()), "{model}: {reason}");
        let body = json!({"model": model, "input": {"prompt": "Hello!"}});
        let error = client.post("/v1/generate", &body).await.error(503, "model_load_failed");
        assert!(error["message"].as_str().unwrap().contains(model), "{error}");
    }
    ask(&client, &home.model).await;
    // A repaired file is noticed without a request.
    whole_copy(&home.model_file("half"));
    wait_for_state(&client, "half", "unloaded").await;
    ask(&client, "half").await;
    home.stop().await;
}

#[tokio::test]
async fn model_with_deleted_file_serves_until_it_is_unloaded() {
    let home = setup_for_endless_runs(&["brief"], "slots = 2").start().await;
    let client = home.client();
    let file = home.model_file("brief");
    let aside = home.folder().join("brief.gguf");
    let mut stream = start_endless_on(&client, "brief").await;
    stream.next_named("delta").await;
    fs::rename(&file, &aside).unwrap();
    // After several scans of the folder.
    for _ in 0..3 {
        assert!(model_ids(&client).await.contains(&"brief".to_owned()), "the loaded model is not listed");
        ask(&client, "brief").await;
        stream.next_named("delta").await;
    }
    cancel_run(&client, &stream.request_id).await;
    stream.rest().await;

    let unload = client.post("/v1/models/brief/unload", &json!({})).await;
    assert!(unload.status.is_success(), "{unload:?}");
    wait_for_listing(&client, "brief", false).await;
    let body = json!({"model": "brief", "input": {"prompt": "Hello!"}});
    client.post("/v1/generate", &body).await.error(404, "model_not_found");

    fs::rename(&aside, &file).unwrap();
    wait_for_listing(&client, "brief", true).await;
    ask(&client, "brief").await;
    home.stop().await;
}

#[tokio::test]
async fn model_with_deleted_file_is_gone_after_a_crash() {
    let home = Home::start().await;
    let client = home.client();
    let file = home.model_file("brief");
    let aside = home.folder().join("brief.gguf");
    whole_copy(&file);
    load(&client, "brief").await;
    fs::rename(&file, &aside).unwrap();
    signal("KILL", home.worker("brief").await).await;
    wait_for_listing(&client, "brief", false).await;
    let body = json!({"model": "brief", "input": {"prompt": "Hello!"}});
    client.post("/v1/generate", &body).await.error(404, "model_not_found");
    ask(&client, &home.model).await;

    fs::rename(&aside, &file).unwrap();
    wait_for_listing(&client, "brief", true).await;
    ask(&client, "brief").await;
    home.stop().await;
}

/// `cp` overwrites the existing file, which the worker has mapped.
#[tokio::test]
async fn file_overwritten_in_use_breaks_no_other_model() {
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

/// A GGUF file without tensors whose metadata are these texts and lists of texts.
fn header_of_texts(texts: &[(&str, &str)], lists: &[(&str, &[&str])]) -> Vec<u8> {
    /// The types of texts and of arrays.
    const STRING: u32 = 8;
    const ARRAY: u32 = 9;
    let mut bytes = b"GGUF\x03\0\0\0".to_vec();
    bytes.extend(0_u64.to_le_bytes());
    bytes.extend(((texts.len() + lists.len()) as u64).to_le_bytes());
    let text = |bytes: &mut Vec<u8>, text: &str| {
        bytes.extend((text.len() as u64).to_le_bytes());
        bytes.extend(text.as_bytes());
    };
    for (key, value) in texts {
        text(&mut bytes, key);
        bytes.extend(STRING.to_le_bytes());
        text(&mut bytes, value);
    }
    for (key, values) in lists {
        text(&mut bytes, key);
        bytes.extend(ARRAY.to_le_bytes());
        bytes.extend(STRING.to_le_bytes());
        bytes.extend((values.len() as u64).to_le_bytes());
        values.iter().for_each(|value| text(&mut bytes, value));
    }
    bytes
}

#[tokio::test]
async fn model_with_long_metadata_is_listed_with_short_texts() {
    /// Largest text of a header in an answer.
    const TEXT_MAX_BYTES: usize = 256;
    let home = Home::start().await;
    let client = home.client();
    let long = "é".repeat(500_000);
    let texts = [
        "general.architecture",
        "general.name",
        "general.license",
        "general.license.link",
        "general.description",
        "general.url",
        "general.base_model.0.repo_url",
        "tokenizer.ggml.model",
        long.as_str(),
    ];
    let tags = vec![long.as_str(); 4];
    let bytes = header_of_texts(&texts.map(|key| (key, long.as_str())), &[("general.tags", &tags)]);
    // In one step, so that no scan reads half of it.
    let part = home.folder().join("part.gguf");
    fs::write(&part, bytes).unwrap();
    fs::rename(part, home.model_file("wordy")).unwrap();
    wait_for_listing(&client, "wordy", true).await;
    for path in ["/v1/models", "/v1/models/wordy", "/api/tags", "/v1beta/models"] {
        let answer = client.get(path).await;
        assert_eq!(answer.status, 200, "{path}");
        let body = answer.json().to_string();
        assert!(body.contains("wordy"), "{path}: {body:.2000}");
        assert!(!body.contains(&"é".repeat(TEXT_MAX_BYTES / 2 + 1)), "{path}: {body:.2000}");
    }
    let body = json!({"model": "wordy", "input": {"prompt": "Hello!"}});
    let refused = client.post("/v1/generate", &body).await;
    assert!(refused.status.as_u16() >= 400 && refused.body.len() < 4096, "{}", refused.status);
    ask(&client, &home.model).await;
    home.stop().await;
}
