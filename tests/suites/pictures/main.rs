//! Pictures at home: a node's image model, made by the engine's own process, with random weights.

#![expect(clippy::unwrap_used, reason = "a failed step fails the test")]

mod broken;
mod change;
mod commands;
mod flux;
mod make;
mod relay;
mod run;

use base64::{Engine as _, engine::general_purpose::STANDARD};
use hearth_tests::{Answer, Client, Home, Setup};
use image::RgbImage;
use serde_json::{Value, json};

/// The image model in the model folder.
const MODEL: &str = "tiny-diffusion";

async fn home() -> Home {
    Setup::new().image_model(MODEL).start().await
}

/// A request for a picture with these parameters.
fn request(prompt: &str, parameters: &Value) -> Value {
    let mut all = json!({"size": "72x64", "steps": 2, "seed": 7});
    all.as_object_mut().unwrap().extend(parameters.as_object().unwrap().clone());
    json!({"model": MODEL, "modality": "image", "input": {"prompt": prompt}, "parameters": all})
}

/// A request for a picture that isn't finished while a test looks on.
fn slow_request() -> Value {
    request("a fox", &json!({"size": "384x384", "steps": 150}))
}

/// The complete answer to a request.
async fn make(client: &Client, body: &Value) -> Value {
    answered(client.post("/v1/generate", body).await)
}

#[expect(clippy::needless_pass_by_value, reason = "reads better where it is called")]
fn answered(answer: Answer) -> Value {
    assert!(answer.status.is_success(), "{answer:?}");
    answer.json()
}

/// The bytes of an answer's picture, from its link.
async fn bytes_of(home: &Home, answer: &Value, index: usize) -> Vec<u8> {
    let url = answer["output"]["images"][index]["url"].as_str().unwrap_or_else(|| panic!("{answer}"));
    let path = url.strip_prefix(&home.url).unwrap();
    let file = home.client().with_token(None).get(path).await;
    assert_eq!((file.status.as_u16(), file.header("content-type")), (200, "image/png"));
    file.body.to_vec()
}

async fn picture_of(home: &Home, answer: &Value) -> RgbImage {
    decoded(&bytes_of(home, answer, 0).await)
}

fn decoded(bytes: &[u8]) -> RgbImage {
    image::load_from_memory(bytes).unwrap().to_rgb8()
}

fn data_url(bytes: &[u8]) -> String {
    format!("data:image/png;base64,{}", STANDARD.encode(bytes))
}
