//! Meshes with a mesh as input.

use hearth_tests::{Reply, Setup, Upstream};
use serde_json::json;

use crate::images::GLB;

#[tokio::test]
async fn mesh_input_reaches_the_provider() {
    use base64::Engine as _;
    let upstream = Upstream::start().await;
    let settings = format!(
        "[[selection.rules]]\nmesh = true\nmodel = 'own:trellis'\n\
         [providers.own]\nkind = 'huggingface'\nbase_url = '{0}'\napi_key = 'sk-rig'\n\
         [providers.rig]\nkind = 'stability'\nbase_url = '{0}'\napi_key = 'sk-rig'\n",
        upstream.url
    );
    let home = Setup::new().settings(&settings).without_node().start().await;
    let client = home.client();
    upstream.reply(Reply::file("model/gltf-binary", GLB));
    let request = json!({"model": "own:trellis", "modality": "3d", "input": {"prompt": "a chair"}});
    let first = client.post("/v1/generate", &request).await.json();
    let id = first["output"]["mesh"]["id"].clone();
    // The first mesh as input, by its id; a rule chooses the model.
    upstream.reply(Reply::file("model/gltf-binary", GLB));
    let input = json!({"mesh": id, "prompt": "in wood"});
    let response = client.post("/v1/generate", &json!({"input": input})).await.json();
    assert_eq!((&response["modality"], &response["model"]), (&json!("3d"), &json!("trellis")), "{response}");
    assert_eq!(response["selection"]["reason"], "a rule sends such requests to own:trellis");
    let sent = upstream.received().pop().unwrap();
    let glb = base64::engine::general_purpose::STANDARD.encode(GLB);
    assert_eq!(sent.body, json!({"inputs": glb, "parameters": {"prompt": "in wood"}}));
    // Another mesh as input, as data.
    upstream.reply(Reply::file("model/gltf-binary", GLB));
    let along = json!({"mesh": format!("data:model/gltf-binary;base64,{glb}")});
    let response = client.post("/v1/generate", &json!({"model": "own:trellis", "input": along})).await;
    assert_eq!(response.status, 200, "{response:?}");
    let route = client.get("/v1/route?mesh=true").await.json();
    assert_eq!((&route["modality"], &route["candidates"][0]["model"]), (&json!("3d"), &json!("trellis")));

    let refused = client.post("/v1/generate", &json!({"model": "rig:stable-fast-3d", "input": along})).await;
    let refused = refused.error(400, "invalid_request");
    assert_eq!(refused["param"], "input.mesh");
    assert!(refused["message"].as_str().unwrap().contains("huggingface"), "{refused}");
    let missing = json!({"mesh": "art_01J9ZX5V2QH8N4T6W0C3M7K1RB"});
    let refused = client.post("/v1/generate", &json!({"input": missing})).await.error(404, "not_found");
    assert_eq!(refused["param"], "input.mesh");
    let mixed = json!({"model": "rig:stable-fast-3d", "input": {"images": [id]}});
    let refused = client.post("/v1/generate", &mixed).await.error(400, "invalid_request");
    assert_eq!(refused["param"], "input.images");
    home.stop().await;
}
