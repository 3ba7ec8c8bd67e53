//! Images and meshes by providers, and the artifacts that they become.

use hearth_tests::{Home, Reply, Setup, Upstream, eventually};
use serde_json::{Value, json};

use crate::{failure, with};

/// The smallest PNG there is: one pixel.
pub(crate) const PNG: &str =
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNkYPhfDwAChwGA60e6kgAAAABJRU5ErkJggg==";
/// The first bytes of a PNG.
const SIGNATURE: &[u8] = b"\x89PNG\r\n\x1a\n";
/// The head of a binary glTF.
pub(crate) const GLB: &[u8] = b"glTF\x02\x00\x00\x00\x0c\x00\x00\x00";

/// A `hearth up` with one provider of a kind, called `rig`, and without a node.
pub(crate) async fn of_kind(kind: &str, base_url: &str, models: &str) -> Home {
    setup_of_kind(kind, base_url, models).without_node().start().await
}

/// The same with a node, which has the small model.
pub(crate) async fn of_kind_with_node(kind: &str, base_url: &str, models: &str) -> Home {
    setup_of_kind(kind, base_url, models).start().await
}

fn setup_of_kind(kind: &str, base_url: &str, models: &str) -> Setup {
    let settings = format!(
        "[providers.rig]\nkind = '{kind}'\nbase_url = '{base_url}'\napi_key = 'sk-rig'\nmodels = {models}\n"
    );
    Setup::new().settings(&settings)
}

pub(crate) fn drawn(count: usize) -> Reply {
    let data = vec![json!({"b64_json": PNG, "revised_prompt": "a red fox"}); count];
    let usage = json!({"input_tokens": 8, "output_tokens": 90, "total_tokens": 98});
    Reply::json(200, &json!({"created": 1, "data": data, "usage": usage}))
}

/// The path and query of a link.
fn path_of<'a>(home: &Home, url: &'a Value) -> &'a str {
    let url = url.as_str().unwrap_or_default();
    url.strip_prefix(&home.url).unwrap_or_else(|| panic!("{url:?} doesn't begin with {}", home.url))
}

#[tokio::test]
async fn openai_client_gets_bytes_or_links() {
    let upstream = Upstream::start().await;
    let home = with(&[&upstream], "").await;
    let client = home.client();
    upstream.reply(drawn(2));
    let request = json!({
        "model": "rig0:gpt-image-1", "prompt": "a fox", "n": 2, "size": "1024x1536", "quality": "high",
        "output_format": "png", "background": "transparent", "moderation": "low",
    });
    let response = client.post("/v1/images/generations", &request).await.json();
    assert_eq!(response["data"].as_array().map(Vec::len), Some(2), "{response}");
    assert_eq!(response["data"][1], json!({"b64_json": PNG, "revised_prompt": "a red fox"}));
    assert_eq!((&response["output_format"], &response["size"]), (&json!("png"), &json!("1024x1536")));
    assert_eq!(
        (&response["usage"]["input_tokens"], &response["usage"]["total_tokens"]),
        (&json!(8), &json!(98))
    );
    let sent = upstream.received().pop().unwrap();
    assert_eq!(sent.path, "/v1/images/generations");
    assert_eq!(
        sent.body,
        json!({
            "moderation": "low", "model": "gpt-image-1", "prompt": "a fox", "n": 2, "size": "1024x1536",
            "quality": "high", "output_format": "png", "background": "transparent",
        })
    );

    upstream.reply(drawn(1));
    let request = json!({"model": "rig0:dall-e-3", "prompt": "a fox"});
    let response = client.post("/v1/images/generations", &request).await.json();
    let file = client.with_token(None).get(path_of(&home, &response["data"][0]["url"])).await;
    assert_eq!((file.status.as_u16(), file.header("content-type")), (200, "image/png"));
    assert!(file.body.starts_with(SIGNATURE));
    home.stop().await;
}

#[tokio::test]
async fn streamed_image_is_one_event() {
    let upstream = Upstream::start().await;
    let home = with(&[&upstream], "").await;
    upstream.reply(drawn(1));
    let request = json!({"model": "rig0:gpt-image-1", "prompt": "a fox", "stream": true});
    let mut events = home.client().stream("/v1/images/generations", &request).await;
    let event = events.next().await.unwrap();
    assert_eq!(
        (&event.data["type"], &event.data["b64_json"]),
        (&json!("image_generation.completed"), &json!(PNG))
    );
    assert_eq!(events.next().await, None);
    home.stop().await;
}

#[tokio::test]
async fn native_answer_has_artifacts() {
    let upstream = Upstream::start().await;
    let home = with(&[&upstream], "").await;
    let client = home.client();
    upstream.reply(drawn(1));
    let request = json!({"model": "rig0:gpt-image-1", "input": {"prompt": "a fox"}, "parameters": {"size": "1024x1024"}});
    let response = client.post("/v1/generate", &request).await.json();
    assert_eq!(
        (&response["modality"], &response["finish_reason"]),
        (&json!("image"), &json!("stop")),
        "{response}"
    );
    let image = &response["output"]["images"][0];
    assert_eq!((&image["type"], &image["media_type"]), (&json!("image"), &json!("image/png")), "{response}");
    assert_eq!(image, &response["output"]["artifacts"][0]);
    assert_eq!(image["revised_prompt"], "a red fox");
    let size = image["size_bytes"].as_u64().unwrap();

    // The signed link works without a token, the path only for the owner.
    let link = path_of(&home, &image["url"]).to_owned();
    let path = link.split('?').next().unwrap();
    let stranger = client.with_token(None);
    let file = stranger.get(&link).await;
    assert_eq!((file.status.as_u16(), file.body.len() as u64), (200, size));
    assert_eq!(file.header("x-content-type-options"), "nosniff");
    assert_eq!(file.header("content-security-policy"), "default-src 'none'; sandbox");
    assert!(file.header("content-disposition").ends_with(".png\""), "{file:?}");
    assert_eq!(client.get(path).await.body, file.body);
    stranger.get(path).await.error(401, "unauthorized");
    for forged in [link.replace("expires=", "expires=9"), link.replace("signature=", "signature=A")] {
        stranger.get(&forged).await.error(403, "forbidden");
    }
    let other = link.replace("art_", "art_0");
    assert!([403, 404].contains(&stranger.get(&other).await.status.as_u16()));
    client.get("/v1/artifacts/art_01J9ZX5V2QH8N4T6W0C3M7K1RB").await.error(404, "not_found");

    // Later reads of the run have the artifact with another link.
    let id = response["request_id"].as_str().unwrap();
    let record = client.get(&format!("/v1/requests/{id}")).await.json();
    assert_eq!(record["output"]["images"][0]["id"], image["id"], "{record}");
    assert_eq!(stranger.get(path_of(&home, &record["output"]["images"][0]["url"])).await.body, file.body);
    let mut events =
        client.events(client.request(reqwest::Method::GET, &format!("/v1/requests/{id}/events"))).await;
    let complete = events.next_named("complete").await.data;
    assert_eq!(stranger.get(path_of(&home, &complete["output"]["images"][0]["url"])).await.body, file.body);
    // Also after a restart.
    let home = home.restart().await;
    assert_eq!(home.client().get(path).await.body, file.body);
    home.stop().await;
}

#[tokio::test]
async fn native_stream_of_an_image_has_two_events() {
    let upstream = Upstream::start().await;
    let home = with(&[&upstream], "").await;
    upstream.reply(drawn(1));
    let request = json!({"model": "rig0:gpt-image-1", "input": {"prompt": "a fox"}, "stream": true});
    let mut events = home.client().stream("/v1/generate", &request).await;
    let first = events.next().await.unwrap().data;
    assert_eq!((&first["event"], &first["modality"]), (&json!("model_selected"), &json!("image")));
    let complete = events.next().await.unwrap().data;
    assert_eq!(complete["event"], "complete", "{complete}");
    let file =
        home.client().with_token(None).get(path_of(&home, &complete["output"]["images"][0]["url"])).await;
    assert!(file.body.starts_with(SIGNATURE));
    assert_eq!(events.next().await.unwrap().data, "[DONE]");
    home.stop().await;
}

#[tokio::test]
async fn artifact_link_expires() {
    let upstream = Upstream::start().await;
    let home = with(&[&upstream], "artifact_link_seconds = 1").await;
    upstream.reply(drawn(1));
    let request = json!({"model": "rig0:gpt-image-1", "prompt": "a fox", "response_format": "url"});
    let response = home.client().post("/v1/images/generations", &request).await.json();
    let link = path_of(&home, &response["data"][0]["url"]).to_owned();
    let stranger = home.client().with_token(None);
    let refused = eventually("the link's end", async || {
        let answer = stranger.get(&link).await;
        (answer.status != 200).then_some(answer)
    });
    refused.await.error(403, "forbidden");
    // The owner can still read it.
    assert_eq!(home.client().get(link.split('?').next().unwrap()).await.status, 200);
    home.stop().await;
}

#[tokio::test]
async fn file_that_is_no_image_is_not_stored() {
    let upstream = Upstream::start().await;
    let home = with(&[&upstream], "").await;
    // "<svg onload=alert(1)>"
    let script = json!({"data": [{"b64_json": "PHN2ZyBvbmxvYWQ9YWxlcnQoMSk+"}]});
    let link = json!({"data": [{"url": "http://169.254.169.254/"}]});
    let request = json!({"model": "rig0:gpt-image-1", "prompt": "a fox", "fallback": false});
    for body in [script, link] {
        for _ in 0..3 {
            upstream.reply(Reply::json(200, &body));
        }
        home.client().post("/v1/images/generations", &request).await.error(502, "provider_error");
    }
    home.stop().await;
}

#[tokio::test]
async fn fallback_draws_after_a_failure() {
    let (first, second) = (Upstream::start().await, Upstream::start().await);
    let home = with(&[&first, &second], "[fallbacks]\n'rig0:gpt-image-1' = ['rig1:flux']").await;
    first.reply(failure(401, "invalid_api_key"));
    second.reply(drawn(1));
    let request = json!({"model": "rig0:gpt-image-1", "input": {"prompt": "a fox"}});
    let response = home.client().post("/v1/generate", &request).await.json();
    assert_eq!(response["selection"]["selected_provider"], "rig1", "{response}");
    assert_eq!(response["output"]["images"].as_array().map(Vec::len), Some(1), "{response}");
    home.stop().await;
}

#[tokio::test]
async fn image_request_to_text_vendor_lists_image_vendors() {
    let upstream = Upstream::start().await;
    let home = of_kind_with_node("anthropic", &upstream.url, "['claude']").await;
    let client = home.client();
    let request = json!({"model": "rig:claude", "prompt": "a fox"});
    let refused = client.post("/v1/images/generations", &request).await.error(400, "invalid_request");
    assert!(refused["message"].as_str().unwrap().contains("stability"), "{refused}");
    // No provider for images is set up.
    let refused =
        client.post("/v1/generate", &json!({"modality": "image", "input": {"prompt": "a fox"}})).await;
    refused.error(503, "no_model_available");
    // The node's model is for text.
    let request = json!({"model": "tiny-chat", "modality": "image", "input": {"prompt": "a fox"}});
    let refused = client.post("/v1/generate", &request).await.error(400, "invalid_request");
    assert_eq!(refused["param"], "model");
    assert!(upstream.received().is_empty());
    home.stop().await;
}

#[tokio::test]
async fn first_image_model_serves_a_request_without_a_model() {
    let upstream = Upstream::start().await;
    let home = of_kind("openai", &format!("{}/v1", upstream.url), "['gpt-5', 'gpt-image-1']").await;
    upstream.reply(drawn(1));
    let response = home.client().post("/v1/images/generations", &json!({"prompt": "a fox"})).await.json();
    assert_eq!(response["data"][0]["b64_json"], PNG, "{response}");
    assert_eq!(upstream.received().pop().unwrap().body["model"], "gpt-image-1");
    home.stop().await;
}

#[tokio::test]
async fn google_image_is_an_artifact() {
    let upstream = Upstream::start().await;
    let home = of_kind("google", &format!("{}/v1beta", upstream.url), "[]").await;
    let parts = json!([{"text": "Here."}, {"inlineData": {"mimeType": "image/png", "data": PNG}}]);
    upstream.reply(Reply::json(
        200,
        &json!({
            "candidates": [{"content": {"parts": parts}, "finishReason": "STOP"}],
            "usageMetadata": {"promptTokenCount": 6, "candidatesTokenCount": 1290},
        }),
    ));
    let request = json!({"model": "rig:gemini-2.5-flash-image", "input": {"prompt": "a fox"}, "parameters": {"size": "1344x768"}});
    let response = home.client().post("/v1/generate", &request).await.json();
    assert_eq!(response["usage"]["completion_tokens"], 1290, "{response}");
    let sent = upstream.received().pop().unwrap();
    assert_eq!(sent.path, "/v1beta/models/gemini-2.5-flash-image:generateContent");
    assert_eq!(sent.body["generationConfig"]["imageConfig"]["aspectRatio"], "16:9");

    upstream.reply(Reply::json(200, &json!({"candidates": [{"finishReason": "IMAGE_SAFETY"}]})));
    let refused = home.client().post("/v1/generate", &request).await.error(400, "invalid_request");
    assert_eq!(refused["param"], "prompt");
    home.stop().await;
}

#[tokio::test]
async fn hugging_face_image_is_an_artifact() {
    use base64::Engine as _;
    let png = base64::engine::general_purpose::STANDARD.decode(PNG).unwrap();
    let upstream = Upstream::start().await;
    let home = of_kind("huggingface", &format!("{}/v1", upstream.url), "[]").await;
    // The first attempt finds the model loading.
    upstream.reply(Reply::json(503, &json!({"error": "Model is currently loading", "estimated_time": 1.0})));
    upstream.reply(Reply::file("image/png", &png));
    let model = "rig:stabilityai/stable-diffusion-xl-base-1.0";
    let request = json!({"model": model, "input": {"prompt": "a fox"}, "parameters": {"negative_prompt": "dogs", "seed": 7}});
    let response = home.client().post("/v1/generate", &request).await.json();
    assert_eq!(response["output"]["images"][0]["size_bytes"], json!(png.len()), "{response}");
    let sent = upstream.received().pop().unwrap();
    assert_eq!(sent.path, "/hf-inference/models/stabilityai/stable-diffusion-xl-base-1.0");
    assert_eq!(sent.body, json!({"inputs": "a fox", "parameters": {"negative_prompt": "dogs", "seed": 7}}));
    home.stop().await;
}

#[tokio::test]
async fn stability_makes_an_image_and_a_mesh() {
    use base64::Engine as _;
    let png = base64::engine::general_purpose::STANDARD.decode(PNG).unwrap();
    let upstream = Upstream::start().await;
    let home = of_kind("stability", &upstream.url, "[]").await;
    let client = home.client();
    upstream.reply(Reply::file("image/png", &png));
    let request = json!({"model": "rig:stable-image-core", "prompt": "a chair"});
    let response = client.post("/v1/images/generations", &request).await.json();
    assert_eq!(response["data"][0]["b64_json"], PNG, "{response}");
    let sent = upstream.received().pop().unwrap();
    assert_eq!(sent.path, "/v2beta/stable-image/generate/core");
    assert!(sent.headers["content-type"].to_str().unwrap().starts_with("multipart/form-data; boundary="));
    assert!(String::from_utf8_lossy(&sent.raw).contains("name=\"prompt\"\r\n\r\na chair\r\n"));

    upstream.reply(Reply::file("model/gltf-binary", GLB));
    let input = json!({"images": [format!("data:image/png;base64,{PNG}")]});
    let response =
        client.post("/v1/generate", &json!({"model": "rig:stable-fast-3d", "input": input})).await.json();
    assert_eq!(
        (&response["modality"], &response["output"]["mesh"]["type"]),
        (&json!("3d"), &json!("mesh")),
        "{response}"
    );
    assert_eq!(upstream.received().pop().unwrap().path, "/v2beta/3d/stable-fast-3d");
    let file = client.with_token(None).get(path_of(&home, &response["output"]["mesh"]["url"])).await;
    assert_eq!((file.header("content-type"), file.body.as_ref()), ("model/gltf-binary", GLB));
    assert!(file.header("content-disposition").starts_with("attachment"), "{file:?}");

    let request = json!({"model": "rig:stable-fast-3d", "input": {"prompt": "a chair"}});
    client.post("/v1/generate", &request).await.error(400, "invalid_request");
    let refusal = json!({"id": "1", "name": "content_moderation", "errors": ["It was flagged."]});
    upstream.reply(Reply::json(403, &refusal));
    let request = json!({"model": "rig:core", "prompt": "a chair"});
    let refused = client.post("/v1/images/generations", &request).await.error(400, "invalid_request");
    assert!(refused["message"].as_str().unwrap().contains("flagged"), "{refused}");
    // Stability has no models for text.
    let chat = json!({"model": "rig:core", "messages": [{"role": "user", "content": "Hi"}]});
    client.post("/v1/chat/completions", &chat).await.error(400, "invalid_request");
    home.stop().await;
}

#[tokio::test]
async fn disconnect_ends_an_image_request() {
    let upstream = Upstream::start().await;
    let home = with(&[&upstream], "").await;
    upstream.reply(Reply::json(200, &json!({})).then_silence());
    let request = json!({"model": "rig0:gpt-image-1", "input": {"prompt": "a fox"}, "stream": true});
    let mut events = home.client().stream("/v1/generate", &request).await;
    assert_eq!(events.next().await.unwrap().data["event"], "model_selected");
    // The first event precedes the provider's request.
    eventually("the provider's request", async || (!upstream.received().is_empty()).then_some(())).await;
    drop(events);
    upstream.left().await;
    home.stop().await;
}
