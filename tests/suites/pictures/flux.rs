//! FLUX.1: a folder with a file for each network, GGUF among them.

use std::{fs, path::Path};

use hearth_tests::{Client, Home, Setup};
use image::{ImageFormat, RgbImage};
use serde_json::{Value, json};
use tiny_flux::{TinyFlux, files};

use crate::{broken::listed, data_url, make, picture_of};

const SCHNELL: &str = "flux-schnell";
const DEV: &str = "flux-dev";

fn flux_request(model: &str, parameters: &Value) -> Value {
    let mut all = json!({"size": "64x80", "seed": 7});
    all.as_object_mut().unwrap().extend(parameters.as_object().unwrap().clone());
    json!({"model": model, "modality": "image", "input": {"prompt": "a fox"}, "parameters": all})
}

async fn home(models: &[(&str, TinyFlux)], change: impl FnOnce(&Path)) -> Home {
    let setup = Setup::new();
    for (name, model) in models {
        model.write(&setup.models_folder().join(name)).unwrap();
    }
    change(&setup.models_folder());
    setup.start().await
}

async fn picture(home: &Home, body: &Value) -> RgbImage {
    picture_of(home, &make(&home.client(), body).await).await
}

#[tokio::test]
async fn quantised_model_makes_pictures_that_depend_on_their_request() {
    let home = home(&[(SCHNELL, TinyFlux::SCHNELL), (DEV, TinyFlux::DEV)], |_| ()).await;
    let client = home.client();
    for (model, architecture) in [(SCHNELL, "flux-1-schnell"), (DEV, "flux-1-dev")] {
        let shown = listed(&client, model).await.unwrap();
        assert_eq!(
            (&shown["modality"], &shown["architecture"]),
            (&json!("image"), &json!(architecture)),
            "{shown}"
        );
    }
    let first = picture(&home, &flux_request(SCHNELL, &json!({}))).await;
    assert_eq!(first.dimensions(), (64, 80));
    assert_eq!(first, picture(&home, &flux_request(SCHNELL, &json!({}))).await);
    assert_ne!(first, picture(&home, &flux_request(SCHNELL, &json!({"seed": 8}))).await);
    let dev = picture(&home, &flux_request(DEV, &json!({"steps": 2}))).await;
    assert_ne!(dev, picture(&home, &flux_request(DEV, &json!({"steps": 2, "guidance_scale": 9.0}))).await);
    for (parameters, field) in
        [(json!({"negative_prompt": "a cat"}), "negative_prompt"), (json!({"size": "72x64"}), "size")]
    {
        let refused = client
            .post("/v1/generate", &flux_request(SCHNELL, &parameters))
            .await
            .error(400, "invalid_request");
        assert!(refused["param"].as_str().unwrap_or_default().contains(field), "{refused}");
    }
    home.stop().await;
}

#[tokio::test]
async fn stream_has_the_four_steps_of_schnell_with_previews() {
    let home = home(&[(SCHNELL, TinyFlux::SCHNELL)], |_| ()).await;
    let mut body = flux_request(SCHNELL, &json!({}));
    body["stream"] = json!(true);
    let mut events = home.client().stream("/v1/generate", &body).await;
    let (mut steps, mut previews) = (Vec::new(), 0);
    loop {
        let event = events.next().await.unwrap().data;
        match event["event"].as_str() {
            Some("progress") => {
                steps.push((event["step"].as_u64().unwrap(), event["steps"].as_u64().unwrap()));
                previews += usize::from(event["preview"].is_string());
            }
            Some("complete") => break,
            _ => {}
        }
    }
    assert_eq!(steps, [(1, 4), (2, 4), (3, 4), (4, 4)]);
    assert!(previews > 0);
    home.stop().await;
}

#[tokio::test]
async fn changed_picture_depends_on_its_input_and_the_strength() {
    let home = home(&[(SCHNELL, TinyFlux::SCHNELL)], |_| ()).await;
    let input = |colour| {
        let mut file = std::io::Cursor::new(Vec::new());
        RgbImage::from_pixel(64, 80, image::Rgb(colour)).write_to(&mut file, ImageFormat::Png).unwrap();
        data_url(&file.into_inner())
    };
    let body = |colour, strength: f64| {
        let mut body = flux_request(SCHNELL, &json!({"strength": strength}));
        body["input"]["images"] = json!([input(colour)]);
        body
    };
    let weak = picture(&home, &body([250, 9, 9], 0.3)).await;
    assert_eq!(weak.dimensions(), (64, 80));
    assert_ne!(weak, picture(&home, &body([250, 9, 9], 0.9)).await);
    assert_ne!(weak, picture(&home, &body([9, 9, 250], 0.3)).await);
    home.stop().await;
}

async fn assert_unusable(client: &Client, model: &str, reason: &str) {
    let refused =
        client.post("/v1/generate", &flux_request(model, &json!({}))).await.error(503, "model_load_failed");
    assert!(refused["message"].as_str().unwrap().contains(reason), "{refused}");
    let shown = listed(client, model).await.unwrap();
    assert!(shown.to_string().contains(reason), "{shown}");
}

#[tokio::test]
async fn missing_and_truncated_parts_are_listed_with_the_file_to_add_or_to_replace() {
    let models = [("whole", TinyFlux::SCHNELL), ("part", TinyFlux::SCHNELL), ("cut", TinyFlux::SCHNELL)];
    let home = home(&models, |folder| {
        fs::remove_file(folder.join("part").join(files::CLIP)).unwrap();
        let transformer = folder.join("cut").join(files::TRANSFORMER);
        let bytes = fs::read(&transformer).unwrap();
        fs::write(&transformer, &bytes[..bytes.len() / 2]).unwrap();
        fs::copy(folder.join("whole").join(files::TRANSFORMER), folder.join("lone.gguf")).unwrap();
        fs::copy(hearth_tests::tiny_chat(), folder.join("whole/beside.gguf")).unwrap();
    })
    .await;
    let client = home.client();
    assert_unusable(&client, "part", "lacks the text encoder CLIP-L (such as clip_l.safetensors)").await;
    assert_unusable(&client, "cut", &format!("{}: the model file is truncated", files::TRANSFORMER)).await;
    assert_unusable(&client, "lone", "put it into a folder").await;
    assert_eq!(listed(&client, "beside").await.unwrap()["modality"], "text");
    let whole = picture(&home, &flux_request("whole", &json!({}))).await;
    assert_eq!(whole.dimensions(), (64, 80));
    home.stop().await;
}
