//! Pictures from prompts.

use base64::{Engine as _, engine::general_purpose::STANDARD};
use hearth_tests::eventually;
use serde_json::{Value, json};

use crate::{MODEL, bytes_of, decoded, home, make, picture_of, request};

#[tokio::test]
async fn picture_has_its_size_and_depends_on_seed_and_prompt() {
    let home = home().await;
    let client = home.client();
    let first = make(&client, &request("a fox", &json!({}))).await;
    assert_eq!((&first["modality"], &first["finish_reason"]), (&json!("image"), &json!("stop")), "{first}");
    assert_eq!(first["selection"]["selected_provider"], "local", "{first}");
    assert!(first["usage"]["prompt_tokens"].as_u64() > Some(2), "{first}");
    let picture = picture_of(&home, &first).await;
    assert_eq!(picture.dimensions(), (72, 64));
    let again = make(&client, &request("a fox", &json!({}))).await;
    assert_eq!(picture, picture_of(&home, &again).await, "the same request makes the same picture");
    for other in [
        request("a fox", &json!({"seed": 8})),
        request("the cat", &json!({})),
        request("a fox", &json!({"negative_prompt": "the cat"})),
        request("a fox", &json!({"guidance_scale": 1.5})),
        request("a fox", &json!({"steps": 3})),
    ] {
        let answer = make(&client, &other).await;
        assert_ne!(picture, picture_of(&home, &answer).await, "{other}");
    }
    home.stop().await;
}

#[tokio::test]
async fn several_pictures_of_a_request_differ_and_are_stored_as_artifacts() {
    let home = home().await;
    let client = home.client();
    let answer = make(&client, &request("a fox", &json!({"n": 2}))).await;
    assert_eq!(answer["output"]["images"].as_array().map(Vec::len), Some(2), "{answer}");
    let pictures = [bytes_of(&home, &answer, 0).await, bytes_of(&home, &answer, 1).await];
    assert_ne!(pictures[0], pictures[1]);
    let listed = client.get("/v1/artifacts").await.json();
    let ids: Vec<&Value> = listed["artifacts"]
        .as_array()
        .or(listed["data"].as_array())
        .unwrap()
        .iter()
        .map(|one| &one["id"])
        .collect();
    for image in answer["output"]["images"].as_array().unwrap() {
        assert!(ids.contains(&&image["id"]), "{listed}");
    }
    // Its record has the pictures after a restart.
    let id = answer["request_id"].as_str().unwrap().to_owned();
    let home = home.restart().await;
    let record = home.client().get(&format!("/v1/requests/{id}")).await.json();
    assert_eq!(record["output"]["images"][1]["id"], answer["output"]["images"][1]["id"], "{record}");
    home.stop().await;
}

#[tokio::test]
async fn openai_client_gets_the_bytes_of_a_local_models_picture() {
    let home = home().await;
    let body = json!({"model": MODEL, "prompt": "a fox", "size": "64x64", "steps": 2, "seed": 1});
    let answer = home.client().post("/v1/images/generations", &body).await;
    assert_eq!(answer.status, 200, "{answer:?}");
    let answer = answer.json();
    let bytes = STANDARD.decode(answer["data"][0]["b64_json"].as_str().unwrap()).unwrap();
    assert_eq!(decoded(&bytes).dimensions(), (64, 64));
    home.stop().await;
}

#[tokio::test]
async fn image_model_is_listed_and_chosen_for_a_request_without_a_model() {
    let home = home().await;
    let client = home.client();
    let models = client.get("/v1/models").await.json();
    let model = models["data"].as_array().unwrap().iter().find(|one| one["id"] == MODEL).unwrap().clone();
    assert_eq!(model["modality"], "image", "{model}");
    assert_eq!(model["architecture"], "stable-diffusion-1", "{model}");
    let mut body = request("a fox", &json!({}));
    body.as_object_mut().unwrap().remove("model");
    let answer = make(&client, &body).await;
    assert_eq!(answer["model"], MODEL, "{answer}");
    // The text model still answers, and the image model refuses texts by name.
    let text = json!({"model": home.model, "input": {"prompt": "Hello!"}});
    assert_eq!(make(&client, &text).await["modality"], "text");
    let text = json!({"model": MODEL, "input": {"prompt": "Hello!"}, "modality": "text"});
    let refused = client.post("/v1/generate", &text).await.error(400, "invalid_request");
    assert!(refused["message"].as_str().unwrap().contains("image"), "{refused}");
    home.stop().await;
}

#[tokio::test]
async fn fields_that_the_engine_cannot_obey_are_refused_by_name() {
    let home = home().await;
    let client = home.client();
    for (parameters, field) in [
        (json!({"size": "500x500"}), "size"),
        (json!({"steps": 1000}), "steps"),
        (json!({"background": "transparent"}), "background"),
        (json!({"guidance_scale": 99}), "guidance_scale"),
    ] {
        let refused =
            client.post("/v1/generate", &request("a fox", &parameters)).await.error(400, "invalid_request");
        assert!(refused["param"].as_str().unwrap_or_default().contains(field), "{refused}");
    }
    home.stop().await;
}

#[tokio::test]
async fn idle_image_model_is_unloaded_and_loaded_again() {
    let settings = "[node]\nidle_seconds = 1\n";
    let home = hearth_tests::Setup::new().settings(settings).image_model(MODEL).start().await;
    let client = home.client();
    make(&client, &request("a fox", &json!({}))).await;
    let worker = home.worker_if_loaded(MODEL).await;
    eventually("the image model's end", async || home.worker_if_loaded(MODEL).await.is_none().then_some(()))
        .await;
    make(&client, &request("a fox", &json!({}))).await;
    assert_ne!(home.worker_if_loaded(MODEL).await, worker);
    home.stop().await;
}
