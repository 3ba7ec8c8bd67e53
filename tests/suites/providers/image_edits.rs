//! Edits of images, requested by a form.

use hearth_tests::Upstream;
use serde_json::json;

use crate::{
    images::{PNG, drawn},
    with,
};

#[tokio::test]
async fn form_of_an_image_edit_reaches_the_provider() {
    let upstream = Upstream::start().await;
    let home = with(&[&upstream], "").await;
    let client = home.client();
    let png = {
        use base64::Engine as _;
        base64::engine::general_purpose::STANDARD.decode(PNG).unwrap()
    };
    let form = |fields: &[(&str, &str)], files: &[&str]| {
        let mut body = Vec::new();
        for (name, value) in fields {
            let head = format!("--x\r\nContent-Disposition: form-data; name=\"{name}\"\r\n\r\n{value}\r\n");
            body.extend(head.into_bytes());
        }
        for name in files {
            let head =
                format!("--x\r\nContent-Disposition: form-data; name=\"{name}\"; filename=\"a.png\"\r\n\r\n");
            body.extend(head.into_bytes());
            body.extend(&png);
            body.extend(b"\r\n");
        }
        body.extend(b"--x--\r\n");
        let request = client.request(reqwest::Method::POST, "/v1/images/edits");
        request.header("content-type", "multipart/form-data; boundary=x").body(body)
    };
    let model = ("model", "rig0:gpt-image-1");
    upstream.reply(drawn(2));
    let fields = [model, ("prompt", "in the rain"), ("n", "2"), ("input_fidelity", "high")];
    let response = client.send(form(&fields, &["image[]", "image[]", "mask"])).await.json();
    assert_eq!(response["data"].as_array().map(Vec::len), Some(2), "{response}");
    assert_eq!(response["data"][0]["b64_json"], PNG);
    let sent = upstream.received().pop().unwrap();
    assert_eq!(sent.path, "/v1/images/edits");
    let body = String::from_utf8_lossy(&sent.raw);
    for part in [
        "name=\"prompt\"\r\n\r\nin the rain\r\n",
        "name=\"n\"\r\n\r\n2\r\n",
        "name=\"input_fidelity\"\r\n\r\nhigh\r\n",
        "name=\"mask\"; filename=",
    ] {
        assert!(body.contains(part), "{part} isn't in {body}");
    }
    assert_eq!(body.matches("name=\"image[]\"; filename=").count(), 2);

    upstream.reply(drawn(1));
    let fields = [model, ("prompt", "in the rain"), ("stream", "true")];
    let mut events = client.events(form(&fields, &["image"])).await;
    assert_eq!(events.next().await.unwrap().data["type"], "image_edit.completed");
    assert_eq!(events.next().await, None);

    let refused = client.send(form(&[model, ("prompt", "a")], &[])).await.error(400, "invalid_request");
    assert_eq!(refused["param"], "image");
    let refused = client.send(form(&[model, ("prompt", "a"), ("size", "big")], &["image"])).await;
    assert_eq!(refused.error(400, "invalid_request")["param"], "size");
    client.post("/v1/images/edits", &json!({"prompt": "a"})).await.error(415, "unsupported_media_type");
    home.stop().await;
}
