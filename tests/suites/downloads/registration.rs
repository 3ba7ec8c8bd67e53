//! Registration of a model with a source at the hub.

use serde_json::{Value, json};

use super::{REPO, hub::Hub, start};

#[tokio::test]
async fn registered_model_has_its_card_and_a_hub_without_it_keeps_none_from_being_registered() {
    let hub = Hub::start().await;
    let home = start(&hub, "").await;
    let client = home.client();
    let entry = |id: &str, repository: &str| json!({"id": id, "target": home.model, "source_url": format!("huggingface:{repository}")});
    let answer = client.post("/v1/models", &entry("with-card", REPO)).await;
    assert_eq!(answer.status, 201, "{answer:?}");
    let model = client.get("/v1/models/with-card").await.json();
    assert_eq!(model["card"]["license"], "mit", "{model}");
    let list = client.get("/v1/models?source=registered").await.json();
    assert_eq!(list["models"][0]["card"], Value::Null);
    let guidance = client.get("/v1/schema?model=with-card").await.json()["guidance"].to_string();
    assert!(guidance.contains("0.6"), "{guidance}");

    let answer = client.post("/v1/models", &entry("without-card", "nobody/nothing")).await;
    assert_eq!(answer.status, 201, "{answer:?}");
    let model = client.get("/v1/models/without-card").await.json();
    home.stop().await;
    assert_eq!(model["source_url"], "huggingface:nobody/nothing");
}
