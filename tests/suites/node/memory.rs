//! Models and the memory that there is for them.

use hearth_tests::Setup;
use serde_json::json;

use crate::{ask, runtime};

/// The node's settings, with this much memory in bytes, or with what there is.
fn settings(memory: Option<u64>) -> String {
    let memory = memory.map(|bytes| format!("memory = {bytes}")).unwrap_or_default();
    format!("[node]\nslots = 1\nmax_loaded_models = 9\n{memory}")
}

/// What the small model is expected to take with these settings, and what it takes.
async fn expected_and_measured() -> (u64, u64) {
    let home = Setup::new().settings(&settings(None)).start().await;
    let state = runtime(&home.client(), &home.model).await;
    home.stop().await;
    (state["memory_predicted_bytes"].as_u64().unwrap(), state["memory_bytes"].as_u64().unwrap())
}

#[tokio::test]
async fn a_model_makes_room_for_one_that_would_not_fit_beside_it() {
    let (expected, measured) = expected_and_measured().await;
    // For the default and one more; and not for half of a third.
    let memory = expected + measured + measured / 2;
    let home = Setup::new().models(&["a", "b"]).settings(&settings(Some(memory))).start().await;
    let client = home.client();
    let default = home.worker(&home.model).await;
    for (model, other) in [("a", "b"), ("b", "a"), ("a", "b")] {
        ask(&client, model).await;
        let states = (runtime(&client, model).await, runtime(&client, other).await);
        assert_eq!((&states.0["state"], &states.1["state"]), (&json!("loaded"), &json!("unloaded")));
    }
    assert_eq!(home.worker(&home.model).await, default);
    home.stop().await;
}

#[tokio::test]
async fn a_model_that_never_fits_is_refused_and_who_has_the_memory_is_told() {
    let (expected, measured) = expected_and_measured().await;
    let memory = expected.max(measured) + (1 << 20);
    let home = Setup::new().models(&["a"]).settings(&settings(Some(memory))).start().await;
    let client = home.client();
    let body = json!({"model": "a", "input": {"prompt": "Hello!"}});
    for (path, body) in [("/v1/generate", body), ("/v1/models/a/load", json!({}))] {
        let error = client.post(path, &body).await.error(503, "no_model_available");
        assert_eq!(error["details"]["needed_bytes"], expected, "{error}");
        assert!(error["details"]["free_bytes"].as_u64().unwrap() < expected, "{error}");
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
    let home = Setup::new().settings(&settings(Some(1 << 20))).start().await;
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
