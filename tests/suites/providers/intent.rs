//! Prompts that ask for a picture or a mesh, where the request doesn't say what to make.

use hearth_tests::{Reply, Upstream};
use serde_json::json;

use crate::{
    answer,
    images::{GLB, PNG, drawn, of_kind},
    with,
};

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
    upstream.reply(answer());
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
