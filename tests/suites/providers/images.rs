//! Images and meshes by providers, and the artifacts that they become.

use hearth_tests::{Home, Reply, Setup, Upstream, eventually};
use serde_json::{Value, json};

use crate::{failure, with};

/// The smallest PNG there is: one pixel.
const PNG: &str =
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNkYPhfDwAChwGA60e6kgAAAABJRU5ErkJggg==";
/// How it begins.
const SIGNATURE: &[u8] = b"\x89PNG\r\n\x1a\n";
/// The head of a binary glTF.
const GLB: &[u8] = b"glTF\x02\x00\x00\x00\x0c\x00\x00\x00";

/// A `hearth up` with one provider of a kind, called `rig`.
async fn of_kind(kind: &str, base_url: &str, models: &str) -> Home {
    let settings = format!(
        "[providers.rig]\nkind = '{kind}'\nbase_url = '{base_url}'\napi_key = 'sk-rig'\nmodels = {models}\n"
    );
    Setup::new().settings(&settings).start().await
}

fn drawn(count: usize) -> Reply {
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
async fn a_prompt_asks_for_a_picture_in_plain_words() {
    let upstream = Upstream::start().await;
    let home = of_kind("openai", &format!("{}/v1", upstream.url), "['gpt-5', 'gpt-image-1']").await;
    let client = home.client();
    upstream.reply(drawn(2));
    let input = json!({"prompt": "Please draw me a fox"});
    let told = client.post("/v1/generate", &json!({"input": input, "parameters": {"n": 2}})).await.json();
    assert_eq!((&told["modality"], &told["model"]), (&json!("image"), &json!("gpt-image-1")), "{told}");
    assert_eq!(told["output"]["images"].as_array().map(Vec::len), Some(2), "{told}");
    let reason = told["selection"]["reason"].as_str().unwrap();
    assert!(reason.starts_with("the prompt asks for an image (\"draw me a\"): "), "{reason}");
    let sent = upstream.received().pop().unwrap();
    assert_eq!((&sent.path[..], &sent.body["prompt"]), ("/v1/images/generations", &input["prompt"]));
    // The same is told beforehand.
    let route = client.get("/v1/route?prompt=Please%20draw%20me%20a%20fox").await.json();
    assert_eq!(
        (&route["modality"], &route["candidates"][0]["reason"]),
        (&json!("image"), &json!(reason)),
        "{route}"
    );
    // An image that goes with it is what to start from.
    upstream.reply(drawn(1));
    let shown =
        json!({"prompt": "Make a watercolor of this", "images": [format!("data:image/png;base64,{PNG}")]});
    let told = client.post("/v1/generate", &json!({"model": "auto", "input": shown})).await.json();
    assert_eq!(told["modality"], "image", "{told}");
    assert_eq!(upstream.received().pop().unwrap().path, "/v1/images/edits");

    // Whoever says that it is text, or asks for what only texts have, has text; and so do other dialects.
    for more in [
        json!({"modality": "text"}),
        json!({"system_prompt": "Be brief."}),
        json!({"parameters": {"max_tokens": 9}}),
    ] {
        let mut body = json!({"input": input});
        body.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        let told = client.post("/v1/generate", &body).await.json();
        assert_eq!((&told["modality"], &told["model"]), (&json!("text"), &json!("tiny-chat")), "{told}");
    }
    let said = json!([{"role": "user", "content": input["prompt"]}]);
    let told = client
        .post("/v1/chat/completions", &json!({"model": "auto", "messages": said, "max_tokens": 4}))
        .await;
    assert_eq!(told.header("x-hearth-model"), "tiny-chat");
    let told = client.post("/v1/generate", &json!({"input": {"messages": said}})).await.json();
    assert_eq!(told["modality"], "text", "{told}");
    home.stop().await;
}

#[tokio::test]
async fn a_rules_word_asks_for_what_its_model_makes() {
    let upstream = Upstream::start().await;
    let rules = "[selection]\nintent_words = false\n\
                 [[selection.rules]]\nwords = ['storyboard']\nmodel = 'rig0:flux'\n\
                 [[selection.rules]]\nwords = ['poem']\nmodel = 'rig0:big'\n";
    let home = with(&[&upstream], rules).await;
    let client = home.client();
    upstream.reply(drawn(1));
    let ask =
        async |prompt: &str| client.post("/v1/generate", &json!({"input": {"prompt": prompt}})).await.json();
    let told = ask("A storyboard of a fox hunt").await;
    assert_eq!((&told["modality"], &told["model"]), (&json!("image"), &json!("flux")), "{told}");
    assert_eq!(told["selection"]["reason"], "a rule sends prompts with \"storyboard\" to rig0:flux");
    upstream.reply(crate::answer());
    let told = ask("A poem about a fox").await;
    assert_eq!((&told["modality"], &told["model"]), (&json!("text"), &json!("big")), "{told}");
    // The words that are built in are turned off.
    let told = ask("Draw me a fox").await;
    assert_eq!(told["modality"], "text", "{told}");
    home.stop().await;
}

#[tokio::test]
async fn a_prompt_stays_text_where_nobody_draws() {
    let upstream = Upstream::start().await;
    let home = with(&[&upstream], "").await;
    let told =
        home.client().post("/v1/generate", &json!({"input": {"prompt": "Draw me a fox"}})).await.json();
    assert_eq!((&told["modality"], &told["model"]), (&json!("text"), &json!("tiny-chat")), "{told}");
    let route = home.client().get("/v1/route?prompt=Draw%20me%20a%20fox").await.json();
    assert_eq!((&route["modality"], &route["candidates"][0]["model"]), (&json!("text"), &json!("tiny-chat")));
    assert!(upstream.received().is_empty());
    home.stop().await;
}

#[tokio::test]
async fn a_picture_is_turned_into_a_mesh_in_plain_words() {
    let upstream = Upstream::start().await;
    let home = of_kind("stability", &upstream.url, "['stable-fast-3d']").await;
    upstream.reply(Reply::file("model/gltf-binary", GLB));
    let shown =
        json!({"prompt": "Turn this into a 3D model", "images": [format!("data:image/png;base64,{PNG}")]});
    let told = home.client().post("/v1/generate", &json!({"input": shown})).await.json();
    assert_eq!(
        (&told["modality"], &told["output"]["mesh"]["type"]),
        (&json!("3d"), &json!("mesh")),
        "{told}"
    );
    // Of words alone it makes none, and nobody else does.
    let told =
        home.client().post("/v1/generate", &json!({"input": {"prompt": "Make a 3D model of a fox"}})).await;
    assert_eq!(told.json()["modality"], "text");
    home.stop().await;
}

#[tokio::test]
async fn a_mesh_is_made_of_another() {
    use base64::Engine as _;
    let upstream = Upstream::start().await;
    let settings = format!(
        "[[selection.rules]]\nmesh = true\nmodel = 'own:trellis'\n\
         [providers.own]\nkind = 'huggingface'\nbase_url = '{0}'\napi_key = 'sk-rig'\n\
         [providers.rig]\nkind = 'stability'\nbase_url = '{0}'\napi_key = 'sk-rig'\n",
        upstream.url
    );
    let home = Setup::new().settings(&settings).start().await;
    let client = home.client();
    upstream.reply(Reply::file("model/gltf-binary", GLB));
    let asked = json!({"model": "own:trellis", "modality": "3d", "input": {"prompt": "a chair"}});
    let made = client.post("/v1/generate", &asked).await.json();
    let id = made["output"]["mesh"]["id"].clone();
    // The one that was made, by its id; the rule says who.
    upstream.reply(Reply::file("model/gltf-binary", GLB));
    let input = json!({"mesh": id, "prompt": "in wood"});
    let told = client.post("/v1/generate", &json!({"input": input})).await.json();
    assert_eq!((&told["modality"], &told["model"]), (&json!("3d"), &json!("trellis")), "{told}");
    assert_eq!(told["selection"]["reason"], "a rule sends such requests to own:trellis");
    let sent = upstream.received().pop().unwrap();
    let glb = base64::engine::general_purpose::STANDARD.encode(GLB);
    assert_eq!(sent.body, json!({"inputs": glb, "parameters": {"prompt": "in wood"}}));
    // Or another one, sent along.
    upstream.reply(Reply::file("model/gltf-binary", GLB));
    let along = json!({"mesh": format!("data:model/gltf-binary;base64,{glb}")});
    let told = client.post("/v1/generate", &json!({"model": "own:trellis", "input": along})).await;
    assert_eq!(told.status, 200, "{told:?}");
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
    drop(events);
    upstream.left().await;
    home.stop().await;
}
