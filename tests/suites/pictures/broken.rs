//! Checkpoints that can't be used.

use std::fs;

use hearth_tests::{Client, Setup};
use serde_json::{Value, json};

use crate::{MODEL, make, request};

const UNET: &str = "unet/diffusion_pytorch_model.safetensors";

/// The entry of a model in the list.
pub(crate) async fn listed(client: &Client, model: &str) -> Option<Value> {
    let models = client.get("/v1/models").await.json();
    models["data"].as_array().unwrap().iter().find(|one| one["id"] == model).cloned()
}

#[tokio::test]
async fn damaged_checkpoints_are_listed_with_their_problem_and_harm_no_other_model() {
    let setup = Setup::new().image_model(MODEL).image_model("cut").image_model("wrong");
    let folder = setup.models_folder();
    let cut = folder.join("cut").join(UNET);
    let bytes = fs::read(&cut).unwrap();
    fs::write(&cut, &bytes[..bytes.len() / 2]).unwrap();
    // Its header promises networks that its tensors aren't.
    let config = folder.join("wrong/unet/config.json");
    let text = fs::read_to_string(&config).unwrap();
    fs::write(&config, text.replace("\"layers_per_block\": 1", "\"layers_per_block\": 2")).unwrap();
    fs::write(folder.join("adapter.safetensors"), adapter()).unwrap();
    let home = setup.start().await;
    let client = home.client();
    for (model, reason) in [("cut", "unfinished"), ("wrong", "missing")] {
        let mut body = request("a fox", &json!({}));
        body["model"] = json!(model);
        let refused = client.post("/v1/generate", &body).await.error(503, "model_load_failed");
        assert!(refused["message"].as_str().unwrap().contains(reason), "{refused}");
        let shown = listed(&client, model).await.unwrap();
        assert!(shown.to_string().contains(reason), "{shown}");
    }
    assert_eq!(listed(&client, "adapter").await, None, "an adapter is no model");
    make(&client, &request("a fox", &json!({}))).await;
    home.stop().await;
}

/// A safetensors file with one tensor that belongs to no model.
fn adapter() -> Vec<u8> {
    let header =
        json!({"lora_up.weight": {"dtype": "F16", "shape": [1], "data_offsets": [0, 2]}}).to_string();
    let mut bytes = (header.len() as u64).to_le_bytes().to_vec();
    bytes.extend(header.as_bytes());
    bytes.extend([0, 0]);
    bytes
}
