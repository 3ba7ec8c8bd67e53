//! Models and the memory limit.

use hearth_tests::Setup;
use serde_json::json;

use crate::{ask, runtime_status};

/// The node's settings, with a memory limit in bytes, or without one.
fn settings(memory: Option<u64>) -> String {
    let memory = memory.map(|bytes| format!("memory = {bytes}")).unwrap_or_default();
    format!("[node]\nslots = 1\nmax_loaded_models = 9\n{memory}")
}

/// The small model's predicted and measured memory with these settings, in bytes.
async fn expected_and_measured() -> (u64, u64) {
    let home = Setup::new().settings(&settings(None)).start().await;
    let state = runtime_status(&home.client(), &home.model).await;
    home.stop().await;
    (state["memory_predicted_bytes"].as_u64().unwrap(), state["memory_bytes"].as_u64().unwrap())
}

#[tokio::test]
async fn idle_model_is_evicted_for_a_model_that_does_not_fit_beside_it() {
    let (expected, measured) = expected_and_measured().await;
    // Enough for the default and one more model, and not for a third.
    let memory = expected + measured + measured / 2;
    let home = Setup::new().models(&["a", "b"]).settings(&settings(Some(memory))).start().await;
    let client = home.client();
    let default = home.worker(&home.model).await;
    for (model, other) in [("a", "b"), ("b", "a"), ("a", "b")] {
        ask(&client, model).await;
        let states = (runtime_status(&client, model).await, runtime_status(&client, other).await);
        assert_eq!((&states.0["state"], &states.1["state"]), (&json!("loaded"), &json!("unloaded")));
    }
    assert_eq!(home.worker(&home.model).await, default);
    home.stop().await;
}

#[tokio::test]
async fn model_that_never_fits_is_refused_with_the_models_that_hold_the_memory() {
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
async fn context_beyond_the_memory_is_refused_with_its_size() {
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
async fn default_model_that_does_not_fit_is_failed_at_the_start() {
    let home = Setup::new().settings(&settings(Some(1 << 20))).start().await;
    let client = home.client();
    let state = runtime_status(&client, &home.model).await;
    assert_eq!(state["state"], "failed", "{state}");
    assert!(state["error"].as_str().unwrap().contains("memory"), "{state}");
    let body = json!({"input": {"prompt": "Hello!"}});
    let error = client.post("/v1/generate", &body).await;
    assert_eq!(error.status, 503, "{error:?}");
    home.stop().await;
}

/// The setting promises more memory than the system has.
#[tokio::test]
async fn failed_allocation_fails_only_its_model() {
    let tokens = 1 << 24;
    let setup = Setup::new().model_with_context("endless", tokens);
    let settings = format!("[node]\nslots = 4\ncontext_length = {tokens}\nmemory = {}", 1_u64 << 50);
    // The limit is on addresses, which count at their allocation rather than at their use.
    let setup = setup.settings(&settings).under(&["prlimit", "--as=16000000000", "--"]);
    let home = setup.start().await;
    let client = home.client();
    let body = json!({"model": "endless", "input": {"prompt": "Hello!"}});
    let error = client.post("/v1/generate", &body).await.error(503, "model_load_failed");
    assert!(error["message"].as_str().unwrap().contains("endless"), "{error}");
    let state = runtime_status(&client, "endless").await;
    assert_eq!((&state["state"], &state["error"].is_string()), (&json!("failed"), &true), "{state}");
    ask(&client, &home.model).await;
    home.stop().await;
}
