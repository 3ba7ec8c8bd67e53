//! Images and meshes by providers, and the artifacts that they become.

use hearth_tests::{Home, Reply, Setup, Upstream, eventually};
use serde_json::{Value, json};

use crate::{failure, with};

/// The smallest PNG there is: one pixel.
pub(crate) const PNG: &str =
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNkYPhfDwAChwGA60e6kgAAAABJRU5ErkJggg==";
/// How it begins.
const SIGNATURE: &[u8] = b"\x89PNG\r\n\x1a\n";
/// The head of a binary glTF.
pub(crate) const GLB: &[u8] = b"glTF\x02\x00\x00\x00\x0c\x00\x00\x00";

/// A `hearth up` with one provider of a kind, called `rig`.
pub(crate) async fn of_kind(kind: &str, base_url: &str, models: &str) -> Home {
    let settings = format!(
        "[providers.rig]\nkind = '{kind}'\nbase_url = '{base_url}'\napi_key = 'sk-rig'\nmodels = {models}\n"
    );
    Setup::new().settings(&settings).start().await
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
async fn openais_clients_have_bytes_or_links() {
    let upstream = Upstream::start().await;
    let home = with(&[&upstream], "").await;
    let client = home.client();
    upstream.reply(drawn(2));
    let asked = json!({
        "model": "rig0:gpt-image-1", "prompt": "a fox", "n": 2, "size": "1024x1536", "quality": "high",
        "output_format": "png", "background": "transparent", "moderation": "low",
    });
    let told = client.post("/v1/images/generations", &asked).await.json();
    assert_eq!(told["data"].as_array().map(Vec::len), Some(2), "{told}");
    assert_eq!(told["data"][1], json!({"b64_json": PNG, "revised_prompt": "a red fox"}));
    assert_eq!((&told["output_format"], &told["size"]), (&json!("png"), &json!("1024x1536")));
    assert_eq!((&told["usage"]["input_tokens"], &told["usage"]["total_tokens"]), (&json!(8), &json!(98)));
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
    let asked = json!({"model": "rig0:dall-e-3", "prompt": "a fox"});
    let told = client.post("/v1/images/generations", &asked).await.json();
    let file = client.with_token(None).get(path_of(&home, &told["data"][0]["url"])).await;
    assert_eq!((file.status.as_u16(), file.header("content-type")), (200, "image/png"));
    assert!(file.body.starts_with(SIGNATURE));
    home.stop().await;
}

#[tokio::test]
async fn a_streamed_image_is_one_event() {
    let upstream = Upstream::start().await;
    let home = with(&[&upstream], "").await;
    upstream.reply(drawn(1));
    let asked = json!({"model": "rig0:gpt-image-1", "prompt": "a fox", "stream": true});
    let mut events = home.client().stream("/v1/images/generations", &asked).await;
    let event = events.next().await.unwrap();
    assert_eq!(
        (&event.data["type"], &event.data["b64_json"]),
        (&json!("image_generation.completed"), &json!(PNG))
    );
    assert_eq!(events.next().await, None);
    home.stop().await;
}

#[tokio::test]
async fn the_native_answer_has_artifacts() {
    let upstream = Upstream::start().await;
    let home = with(&[&upstream], "").await;
    let client = home.client();
    upstream.reply(drawn(1));
    let asked = json!({"model": "rig0:gpt-image-1", "input": {"prompt": "a fox"}, "parameters": {"size": "1024x1024"}});
    let told = client.post("/v1/generate", &asked).await.json();
    assert_eq!((&told["modality"], &told["finish_reason"]), (&json!("image"), &json!("stop")), "{told}");
    let image = &told["output"]["images"][0];
    assert_eq!((&image["type"], &image["media_type"]), (&json!("image"), &json!("image/png")), "{told}");
    assert_eq!(image, &told["output"]["artifacts"][0]);
    assert_eq!(image["revised_prompt"], "a red fox");
    let size = image["size_bytes"].as_u64().unwrap();

    // The link opens it for anybody, the path alone for its owner.
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

    // Whoever looks later has it too, with a link of its own.
    let id = told["request_id"].as_str().unwrap();
    let record = client.get(&format!("/v1/requests/{id}")).await.json();
    assert_eq!(record["output"]["images"][0]["id"], image["id"], "{record}");
    assert_eq!(stranger.get(path_of(&home, &record["output"]["images"][0]["url"])).await.body, file.body);
    let mut events =
        client.events(client.request(reqwest::Method::GET, &format!("/v1/requests/{id}/events"))).await;
    let complete = events.next_named("complete").await.data;
    assert_eq!(stranger.get(path_of(&home, &complete["output"]["images"][0]["url"])).await.body, file.body);
    // And after a restart.
    let home = home.restart().await;
    assert_eq!(home.client().get(path).await.body, file.body);
    home.stop().await;
}

#[tokio::test]
async fn a_stream_tells_who_draws_and_then_all() {
    let upstream = Upstream::start().await;
    let home = with(&[&upstream], "").await;
    upstream.reply(drawn(1));
    let asked = json!({"model": "rig0:gpt-image-1", "input": {"prompt": "a fox"}, "stream": true});
    let mut events = home.client().stream("/v1/generate", &asked).await;
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
async fn links_end() {
    let upstream = Upstream::start().await;
    let home = with(&[&upstream], "artifact_link_seconds = 1").await;
    upstream.reply(drawn(1));
    let asked = json!({"model": "rig0:gpt-image-1", "prompt": "a fox", "response_format": "url"});
    let told = home.client().post("/v1/images/generations", &asked).await.json();
    let link = path_of(&home, &told["data"][0]["url"]).to_owned();
    let stranger = home.client().with_token(None);
    let refused = eventually("the link's end", async || {
        let answer = stranger.get(&link).await;
        (answer.status != 200).then_some(answer)
    });
    refused.await.error(403, "forbidden");
    // Its owner has it still.
    assert_eq!(home.client().get(link.split('?').next().unwrap()).await.status, 200);
    home.stop().await;
}

#[tokio::test]
async fn what_is_no_image_is_kept_by_nobody() {
    let upstream = Upstream::start().await;
    let home = with(&[&upstream], "").await;
    // "<svg onload=alert(1)>"
    let script = json!({"data": [{"b64_json": "PHN2ZyBvbmxvYWQ9YWxlcnQoMSk+"}]});
    let link = json!({"data": [{"url": "http://169.254.169.254/"}]});
    let asked = json!({"model": "rig0:gpt-image-1", "prompt": "a fox", "fallback": false});
    for body in [script, link] {
        for _ in 0..3 {
            upstream.reply(Reply::json(200, &body));
        }
        home.client().post("/v1/images/generations", &asked).await.error(502, "provider_error");
    }
    home.stop().await;
}

#[tokio::test]
async fn another_draws_for_one_that_cant() {
    let (first, second) = (Upstream::start().await, Upstream::start().await);
    let home = with(&[&first, &second], "[fallbacks]\n'rig0:gpt-image-1' = ['rig1:flux']").await;
    first.reply(failure(401, "invalid_api_key"));
    second.reply(drawn(1));
    let asked = json!({"model": "rig0:gpt-image-1", "input": {"prompt": "a fox"}});
    let told = home.client().post("/v1/generate", &asked).await.json();
    assert_eq!(told["selection"]["selected_provider"], "rig1", "{told}");
    assert_eq!(told["output"]["images"].as_array().map(Vec::len), Some(1), "{told}");
    home.stop().await;
}

#[tokio::test]
async fn who_makes_none_says_who_does() {
    let upstream = Upstream::start().await;
    let home = of_kind("anthropic", &upstream.url, "['claude']").await;
    let client = home.client();
    let asked = json!({"model": "rig:claude", "prompt": "a fox"});
    let refused = client.post("/v1/images/generations", &asked).await.error(400, "invalid_request");
    assert!(refused["message"].as_str().unwrap().contains("stability"), "{refused}");
    // Nobody is set up that makes any.
    let refused =
        client.post("/v1/generate", &json!({"modality": "image", "input": {"prompt": "a fox"}})).await;
    refused.error(503, "no_model_available");
    // The model of the node makes text.
    let asked = json!({"model": "tiny-chat", "modality": "image", "input": {"prompt": "a fox"}});
    let refused = client.post("/v1/generate", &asked).await.error(400, "invalid_request");
    assert_eq!(refused["param"], "model");
    assert!(upstream.received().is_empty());
    home.stop().await;
}

#[tokio::test]
async fn without_a_name_the_first_that_draws_is_asked() {
    let upstream = Upstream::start().await;
    let home = of_kind("openai", &format!("{}/v1", upstream.url), "['gpt-5', 'gpt-image-1']").await;
    upstream.reply(drawn(1));
    let told = home.client().post("/v1/images/generations", &json!({"prompt": "a fox"})).await.json();
    assert_eq!(told["data"][0]["b64_json"], PNG, "{told}");
    assert_eq!(upstream.received().pop().unwrap().body["model"], "gpt-image-1");
    home.stop().await;
}

#[tokio::test]
async fn google_draws() {
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
    let asked = json!({"model": "rig:gemini-2.5-flash-image", "input": {"prompt": "a fox"}, "parameters": {"size": "1344x768"}});
    let told = home.client().post("/v1/generate", &asked).await.json();
    assert_eq!(told["usage"]["completion_tokens"], 1290, "{told}");
    let sent = upstream.received().pop().unwrap();
    assert_eq!(sent.path, "/v1beta/models/gemini-2.5-flash-image:generateContent");
    assert_eq!(sent.body["generationConfig"]["imageConfig"]["aspectRatio"], "16:9");

    upstream.reply(Reply::json(200, &json!({"candidates": [{"finishReason": "IMAGE_SAFETY"}]})));
    let refused = home.client().post("/v1/generate", &asked).await.error(400, "invalid_request");
    assert_eq!(refused["param"], "prompt");
    home.stop().await;
}

#[tokio::test]
async fn hugging_face_draws() {
    use base64::Engine as _;
    let png = base64::engine::general_purpose::STANDARD.decode(PNG).unwrap();
    let upstream = Upstream::start().await;
    let home = of_kind("huggingface", &format!("{}/v1", upstream.url), "[]").await;
    // It loads its model first.
    upstream.reply(Reply::json(503, &json!({"error": "Model is currently loading", "estimated_time": 1.0})));
    upstream.reply(Reply::file("image/png", &png));
    let model = "rig:stabilityai/stable-diffusion-xl-base-1.0";
    let asked = json!({"model": model, "input": {"prompt": "a fox"}, "parameters": {"negative_prompt": "dogs", "seed": 7}});
    let told = home.client().post("/v1/generate", &asked).await.json();
    assert_eq!(told["output"]["images"][0]["size_bytes"], json!(png.len()), "{told}");
    let sent = upstream.received().pop().unwrap();
    assert_eq!(sent.path, "/hf-inference/models/stabilityai/stable-diffusion-xl-base-1.0");
    assert_eq!(sent.body, json!({"inputs": "a fox", "parameters": {"negative_prompt": "dogs", "seed": 7}}));
    home.stop().await;
}

#[tokio::test]
async fn stability_draws_and_makes_a_mesh_of_it() {
    use base64::Engine as _;
    let png = base64::engine::general_purpose::STANDARD.decode(PNG).unwrap();
    let upstream = Upstream::start().await;
    let home = of_kind("stability", &upstream.url, "[]").await;
    let client = home.client();
    upstream.reply(Reply::file("image/png", &png));
    let asked = json!({"model": "rig:stable-image-core", "prompt": "a chair"});
    let told = client.post("/v1/images/generations", &asked).await.json();
    assert_eq!(told["data"][0]["b64_json"], PNG, "{told}");
    let sent = upstream.received().pop().unwrap();
    assert_eq!(sent.path, "/v2beta/stable-image/generate/core");
    assert!(sent.headers["content-type"].to_str().unwrap().starts_with("multipart/form-data; boundary="));
    assert!(String::from_utf8_lossy(&sent.raw).contains("name=\"prompt\"\r\n\r\na chair\r\n"));

    upstream.reply(Reply::file("model/gltf-binary", GLB));
    let input = json!({"images": [format!("data:image/png;base64,{PNG}")]});
    let told =
        client.post("/v1/generate", &json!({"model": "rig:stable-fast-3d", "input": input})).await.json();
    assert_eq!(
        (&told["modality"], &told["output"]["mesh"]["type"]),
        (&json!("3d"), &json!("mesh")),
        "{told}"
    );
    assert_eq!(upstream.received().pop().unwrap().path, "/v2beta/3d/stable-fast-3d");
    let file = client.with_token(None).get(path_of(&home, &told["output"]["mesh"]["url"])).await;
    assert_eq!((file.header("content-type"), file.body.as_ref()), ("model/gltf-binary", GLB));
    assert!(file.header("content-disposition").starts_with("attachment"), "{file:?}");

    let asked = json!({"model": "rig:stable-fast-3d", "input": {"prompt": "a chair"}});
    client.post("/v1/generate", &asked).await.error(400, "invalid_request");
    let refusal = json!({"id": "1", "name": "content_moderation", "errors": ["It was flagged."]});
    upstream.reply(Reply::json(403, &refusal));
    let asked = json!({"model": "rig:core", "prompt": "a chair"});
    let refused = client.post("/v1/images/generations", &asked).await.error(400, "invalid_request");
    assert!(refused["message"].as_str().unwrap().contains("flagged"), "{refused}");
    // It makes no text.
    let chat = json!({"model": "rig:core", "messages": [{"role": "user", "content": "Hi"}]});
    client.post("/v1/chat/completions", &chat).await.error(400, "invalid_request");
    home.stop().await;
}

#[tokio::test]
async fn who_goes_away_is_drawn_nothing() {
    let upstream = Upstream::start().await;
    let home = with(&[&upstream], "").await;
    upstream.reply(Reply::json(200, &json!({})).then_silence());
    let asked = json!({"model": "rig0:gpt-image-1", "input": {"prompt": "a fox"}, "stream": true});
    let mut events = home.client().stream("/v1/generate", &asked).await;
    assert_eq!(events.next().await.unwrap().data["event"], "model_selected");
    // It is told before the provider is asked.
    eventually("the provider's being asked", async || (!upstream.received().is_empty()).then_some(())).await;
    drop(events);
    upstream.left().await;
    home.stop().await;
}
