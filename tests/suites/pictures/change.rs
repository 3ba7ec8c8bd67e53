//! Pictures from pictures.

use hearth_tests::Home;
use image::{ImageFormat, Rgb, RgbImage, Rgba, RgbaImage};
use reqwest::Method;
use serde_json::{Value, json};

use crate::{MODEL, answered, bytes_of, data_url, decoded, home, make, picture_of, request};

fn png(image: impl Into<image::DynamicImage>) -> Vec<u8> {
    let mut file = std::io::Cursor::new(Vec::new());
    image.into().write_to(&mut file, ImageFormat::Png).unwrap();
    file.into_inner()
}

fn input() -> RgbImage {
    RgbImage::from_fn(72, 64, |x, y| Rgb([(x * 3) as u8, (y * 3) as u8, 90]))
}

async fn changed(home: &Home, image: &str, strength: f64) -> RgbImage {
    let mut body = request("in the rain", &json!({"strength": strength, "steps": 8}));
    body["input"]["images"] = json!([image]);
    picture_of(home, &make(&home.client(), &body).await).await
}

#[tokio::test]
async fn changed_picture_depends_on_its_input_and_the_strength() {
    let home = home().await;
    let (one, other) =
        (data_url(&png(input())), data_url(&png(RgbImage::from_pixel(72, 64, Rgb([250, 9, 9])))));
    let weak = changed(&home, &one, 0.2).await;
    assert_eq!(weak.dimensions(), (72, 64));
    assert_eq!(weak, changed(&home, &one, 0.2).await);
    assert_ne!(weak, changed(&home, &one, 0.9).await);
    assert_ne!(weak, changed(&home, &other, 0.2).await);
    home.stop().await;
}

#[tokio::test]
async fn only_the_transparent_area_of_a_mask_changes() {
    let home = home().await;
    let mask = RgbaImage::from_fn(72, 64, |x, _| Rgba([0, 0, 0, if x < 32 { 0 } else { 255 }]));
    let mut body = Vec::new();
    let fields = [("model", MODEL), ("prompt", "a lake"), ("size", "72x64"), ("seed", "3"), ("steps", "3")];
    for (name, value) in fields {
        body.extend(
            format!("--x\r\nContent-Disposition: form-data; name=\"{name}\"\r\n\r\n{value}\r\n").bytes(),
        );
    }
    for (name, bytes) in [("image", png(input())), ("mask", png(mask))] {
        let head = "Content-Type: image/png";
        let name = format!("Content-Disposition: form-data; name=\"{name}\"; filename=\"{name}.png\"");
        body.extend(format!("--x\r\n{name}\r\n{head}\r\n\r\n").bytes());
        body.extend(bytes);
        body.extend(b"\r\n");
    }
    body.extend(b"--x--\r\n");
    let client = home.client();
    let request = client.request(Method::POST, "/v1/images/edits");
    let request = request.header("content-type", "multipart/form-data; boundary=x").body(body);
    let answer = answered(client.send(request).await);
    let bytes = base64::Engine::decode(
        &base64::engine::general_purpose::STANDARD,
        answer["data"][0]["b64_json"].as_str().unwrap(),
    );
    let (picture, before) = (decoded(&bytes.unwrap()), input());
    let is_same = |(x, y, pixel): (u32, u32, &Rgb<u8>)| pixel == before.get_pixel(x, y);
    let (outside, inside): (Vec<_>, Vec<_>) = picture.enumerate_pixels().partition(|(x, ..)| *x >= 32);
    assert!(outside.into_iter().all(is_same));
    assert!(inside.into_iter().filter(|pixel| is_same(*pixel)).count() < 200);
    home.stop().await;
}

#[tokio::test]
async fn picture_of_a_turn_is_the_input_of_the_next() {
    let home = home().await;
    let client = home.client();
    let session: Value = answered(client.post("/v1/sessions", &json!({})).await);
    let path = format!("/v1/sessions/{}/generate", session["id"].as_str().unwrap());
    let first = answered(client.post(&path, &request("a fox", &json!({}))).await);
    assert_eq!(first["modality"], "image", "{first}");
    let turn = request("in the rain", &json!({"steps": 5}));
    let second = answered(client.post(&path, &turn).await);
    let changed = picture_of(&home, &second).await;
    // As the same change of the same picture outside of a session.
    let mut alone = turn.clone();
    alone["input"]["images"] = json!([data_url(&bytes_of(&home, &first, 0).await)]);
    assert_eq!(changed, picture_of(&home, &make(&client, &alone).await).await);
    assert_ne!(changed, picture_of(&home, &make(&client, &turn).await).await, "without a picture");
    let messages = client.get(path.trim_end_matches("/generate")).await.json();
    assert!(
        messages.to_string().contains(first["output"]["images"][0]["id"].as_str().unwrap()),
        "{messages}"
    );
    home.stop().await;
}

#[tokio::test]
async fn unreadable_input_is_refused_by_its_field() {
    let home = home().await;
    let mut body = request("a fox", &json!({}));
    // It begins as a PNG, and ends at once.
    body["input"]["images"] = json!([data_url(b"\x89PNG\r\n\x1a\n....")]);
    let refused = home.client().post("/v1/generate", &body).await.error(400, "invalid_request");
    assert!(refused["param"].as_str().unwrap_or_default().contains("images"), "{refused}");
    home.stop().await;
}
