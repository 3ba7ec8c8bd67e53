//! Which model serves a request.

use hearth_tests::{Home, eventually, tiny_chat};
use serde_json::json;

use crate::{capital_of_france, with};

/// Puts another model into the folder.
async fn add(home: &Home, name: &str) {
    std::fs::copy(tiny_chat(), home.data().join("models").join(format!("{name}.gguf"))).unwrap();
    let client = home.client();
    eventually("the new model in the catalog", async || {
        (client.get(&format!("/v1/models/{name}")).await.status == 200).then_some(())
    })
    .await;
}

#[tokio::test]
async fn default_model_serves_while_the_named_one_loads() {
    let home = Home::start().await;
    let client = home.client();
    add(&home, "other").await;
    let body = with(with(capital_of_france(), "model", "other"), "while_loading", "default");
    let answer = client.post("/v1/generate", &body).await.json();
    let selection = &answer["selection"];
    assert_eq!(selection["selected_model"], home.model.as_str(), "{answer}");
    assert_eq!(
        (&selection["fallback_used"], &selection["fallback_reason"]),
        (&json!(true), &json!("loading"))
    );
    assert!(selection["reason"].as_str().unwrap().contains("default model"), "{answer}");

    eventually("the named model, loaded meanwhile", async || {
        let status = client.get("/v1/models/other/status").await.json();
        (status["runtime_status"]["state"] == "loaded").then_some(())
    })
    .await;
    let answer = client.post("/v1/generate", &body).await.json();
    assert_eq!(answer["selection"]["selected_model"], "other", "{answer}");
    assert_eq!(answer["selection"]["fallback_used"], false);
    home.stop().await;
}

#[tokio::test]
async fn request_waits_for_the_named_model_by_default() {
    let home = Home::start().await;
    let client = home.client();
    add(&home, "other").await;
    let answer = client.post("/v1/generate", &with(capital_of_france(), "model", "other")).await.json();
    assert_eq!(answer["model"], "other", "{answer}");
    assert_eq!(answer["selection"]["fallback_reason"], json!(null));
    home.stop().await;
}

#[tokio::test]
async fn model_of_another_modality_is_refused() {
    let home = Home::start().await;
    let client = home.client();
    let ask = |model: &str| json!({"model": model, "input": "Hello!"});
    let error = client.post("/v1/embeddings", &ask(&home.model)).await.error(400, "invalid_request");
    assert_eq!(error["param"], "model");
    client.post("/v1/embeddings", &ask("no-such-model")).await.error(404, "model_not_found");
    client.post("/v1/embeddings", &ask("auto")).await.error(503, "no_model_available");
    let body = with(capital_of_france(), "modality", "embedding");
    let error = client.post("/v1/generate", &body).await.error(400, "invalid_request");
    assert_eq!(error["param"], "modality");
    home.stop().await;
}
