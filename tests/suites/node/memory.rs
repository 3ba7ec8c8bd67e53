//! Models and the memory that there is for them.

use hearth_node::{
    gguf::Header,
    memory::{ContextSize, predict},
};
use hearth_tests::{Setup, tiny_chat};
use serde_json::json;

use crate::{ask, runtime};

/// What the small model is expected to take with one slot of so many tokens.
fn predicted(tokens: u64) -> u64 {
    let shape = Header::read(&tiny_chat()).unwrap().shape();
    predict(&shape, &ContextSize { cells: tokens, slots: 1, whole_windows: true }).total()
}

fn settings(memory: u64) -> String {
    format!("[node]\nslots = 1\ncontext_length = 4096\nmax_loaded_models = 9\nmemory = {memory}")
}

#[tokio::test]
async fn a_model_makes_room_for_one_that_would_not_fit_beside_it() {
    let one = predicted(4096);
    let home = Setup::new().models(&["a", "b"]).settings(&settings(2 * one)).start().await;
    let client = home.client();
    let default = home.worker(&home.model).await;
    ask(&client, "a").await;
    let measured = runtime(&client, "a").await["memory_bytes"].as_u64().unwrap();
    assert!(one / 2 < measured && measured <= one, "{measured} bytes, and {one} were expected");
    ask(&client, "b").await;
    assert_eq!(runtime(&client, "a").await["state"], "unloaded");
    assert_eq!(home.worker(&home.model).await, default);
    home.stop().await;
}

#[tokio::test]
async fn a_model_that_never_fits_is_refused_and_who_has_the_memory_is_told() {
    let one = predicted(4096);
    let home = Setup::new().models(&["a"]).settings(&settings(one + one / 4)).start().await;
    let client = home.client();
    let body = json!({"model": "a", "input": {"prompt": "Hello!"}});
    for (path, body) in [("/v1/generate", body), ("/v1/models/a/load", json!({}))] {
        let error = client.post(path, &body).await.error(503, "no_model_available");
        assert_eq!(error["details"]["needed_bytes"], one, "{error}");
        assert!(error["details"]["free_bytes"].as_u64().unwrap() < one, "{error}");
        assert_eq!(error["details"]["holding"], json!([home.model]), "{error}");
        assert!(error["message"].as_str().unwrap().contains(&home.model), "{error}");
    }
    ask(&client, &home.model).await;
    home.stop().await;
}

#[tokio::test]
async fn a_context_beyond_all_memory_is_refused_with_its_size() {
    let tokens = 1 << 24;
    let setup = Setup::new().model_with_context("endless", tokens);
    let home = setup.settings(&format!("[node]\nslots = 8\ncontext_length = {tokens}")).start().await;
    let client = home.client();
    let body = json!({"model": "endless", "input": {"prompt": "Hello!"}});
    let error = client.post("/v1/generate", &body).await.error(503, "no_model_available");
    assert!(error["details"]["needed_bytes"].as_u64().unwrap() > 100 << 30, "{error}");
    assert!(error["message"].as_str().unwrap().contains("shorter context"), "{error}");
    ask(&client, &home.model).await;
    home.stop().await;
}

#[tokio::test]
async fn a_default_that_does_not_fit_is_told_at_the_start() {
    let home = Setup::new().settings(&settings(1 << 20)).start().await;
    let client = home.client();
    let state = runtime(&client, &home.model).await;
    assert_eq!(state["state"], "failed", "{state}");
    assert!(state["error"].as_str().unwrap().contains("memory"), "{state}");
    let body = json!({"input": {"prompt": "Hello!"}});
    let error = client.post("/v1/generate", &body).await;
    assert_eq!(error.status, 503, "{error:?}");
    home.stop().await;
}

/// The check is told that there is memory, and the system has none to give.
#[tokio::test]
async fn a_model_that_gets_no_memory_fails_alone() {
    let tokens = 1 << 24;
    let setup = Setup::new().model_with_context("endless", tokens);
    let settings = format!("[node]\nslots = 4\ncontext_length = {tokens}\nmemory = {}", 1_u64 << 50);
    // Of addresses, since those are counted when they are asked for, and not when they are used.
    let setup = setup.settings(&settings).under(&["prlimit", "--as=16000000000", "--"]);
    let home = setup.start().await;
    let client = home.client();
    let body = json!({"model": "endless", "input": {"prompt": "Hello!"}});
    let error = client.post("/v1/generate", &body).await.error(503, "model_load_failed");
    assert!(error["message"].as_str().unwrap().contains("endless"), "{error}");
    let state = runtime(&client, "endless").await;
    assert_eq!((&state["state"], &state["error"].is_string()), (&json!("failed"), &true), "{state}");
    ask(&client, &home.model).await;
    home.stop().await;
}
