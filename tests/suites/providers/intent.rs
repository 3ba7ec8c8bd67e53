//! Prompts that ask for an image or a mesh in a request without a modality.

use hearth_tests::{Reply, Upstream};
use serde_json::json;

use crate::{
    answer,
    images::{GLB, PNG, drawn, of_kind_with_node},
    with_node,
};

#[tokio::test]
async fn prompt_for_an_image_sets_the_modality() {
    let upstream = Upstream::start().await;
    let home = of_kind_with_node("openai", &format!("{}/v1", upstream.url), "['gpt-5', 'gpt-image-1']").await;
    let client = home.client();
    upstream.reply(drawn(2));
    let input = json!({"prompt": "Please draw me a fox"});
    let response = client.post("/v1/generate", &json!({"input": input, "parameters": {"n": 2}})).await.json();
    assert_eq!(
        (&response["modality"], &response["model"]),
        (&json!("image"), &json!("gpt-image-1")),
        "{response}"
    );
    assert_eq!(response["output"]["images"].as_array().map(Vec::len), Some(2), "{response}");
    let reason = response["selection"]["reason"].as_str().unwrap();
    assert!(reason.starts_with("the prompt asks for an image (\"draw me a\"): "), "{reason}");
    let sent = upstream.received().pop().unwrap();
    assert_eq!((&sent.path[..], &sent.body["prompt"]), ("/v1/images/generations", &input["prompt"]));
    // The route preview has the same reason.
    let route = client.get("/v1/route?prompt=Please%20draw%20me%20a%20fox").await.json();
    assert_eq!(
        (&route["modality"], &route["candidates"][0]["reason"]),
        (&json!("image"), &json!(reason)),
        "{route}"
    );
    // An image in the request is edited.
    upstream.reply(drawn(1));
    let shown =
        json!({"prompt": "Make a watercolor of this", "images": [format!("data:image/png;base64,{PNG}")]});
    let response = client.post("/v1/generate", &json!({"model": "auto", "input": shown})).await.json();
    assert_eq!(response["modality"], "image", "{response}");
    assert_eq!(upstream.received().pop().unwrap().path, "/v1/images/edits");

    // A modality or a field of text requests, and other dialects, mean text.
    for more in [
        json!({"modality": "text"}),
        json!({"system_prompt": "Be brief."}),
        json!({"parameters": {"max_tokens": 9}}),
    ] {
        let mut body = json!({"input": input});
        body.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        let response = client.post("/v1/generate", &body).await.json();
        assert_eq!(
            (&response["modality"], &response["model"]),
            (&json!("text"), &json!("tiny-chat")),
            "{response}"
        );
    }
    let messages = json!([{"role": "user", "content": input["prompt"]}]);
    let response = client
        .post("/v1/chat/completions", &json!({"model": "auto", "messages": messages, "max_tokens": 4}))
        .await;
    assert_eq!(response.header("x-hearth-model"), "tiny-chat");
    let response = client.post("/v1/generate", &json!({"input": {"messages": messages}})).await.json();
    assert_eq!(response["modality"], "text", "{response}");
    home.stop().await;
}

#[tokio::test]
async fn rule_sets_the_modality_of_its_model() {
    let upstream = Upstream::start().await;
    let rules = "[selection]\nintent_words = false\n\
                 [[selection.rules]]\nwords = ['storyboard']\nmodel = 'rig0:flux'\n\
                 [[selection.rules]]\nwords = ['poem']\nmodel = 'rig0:big'\n";
    let home = with_node(&[&upstream], rules).await;
    let client = home.client();
    upstream.reply(drawn(1));
    let ask =
        async |prompt: &str| client.post("/v1/generate", &json!({"input": {"prompt": prompt}})).await.json();
    let response = ask("A storyboard of a fox hunt").await;
    assert_eq!((&response["modality"], &response["model"]), (&json!("image"), &json!("flux")), "{response}");
    assert_eq!(response["selection"]["reason"], "a rule sends prompts with \"storyboard\" to rig0:flux");
    upstream.reply(answer());
    let response = ask("A poem about a fox").await;
    assert_eq!((&response["modality"], &response["model"]), (&json!("text"), &json!("big")), "{response}");
    // The built-in words are switched off.
    let response = ask("Draw me a fox").await;
    assert_eq!(response["modality"], "text", "{response}");
    home.stop().await;
}

#[tokio::test]
async fn prompt_for_an_image_stays_text_without_an_image_model() {
    let upstream = Upstream::start().await;
    let home = with_node(&[&upstream], "").await;
    let response =
        home.client().post("/v1/generate", &json!({"input": {"prompt": "Draw me a fox"}})).await.json();
    assert_eq!(
        (&response["modality"], &response["model"]),
        (&json!("text"), &json!("tiny-chat")),
        "{response}"
    );
    let route = home.client().get("/v1/route?prompt=Draw%20me%20a%20fox").await.json();
    assert_eq!((&route["modality"], &route["candidates"][0]["model"]), (&json!("text"), &json!("tiny-chat")));
    assert!(upstream.received().is_empty());
    home.stop().await;
}

#[tokio::test]
async fn prompt_with_an_image_for_a_mesh_sets_the_modality() {
    let upstream = Upstream::start().await;
    let home = of_kind_with_node("stability", &upstream.url, "['stable-fast-3d']").await;
    upstream.reply(Reply::file("model/gltf-binary", GLB));
    let shown =
        json!({"prompt": "Turn this into a 3D model", "images": [format!("data:image/png;base64,{PNG}")]});
    let response = home.client().post("/v1/generate", &json!({"input": shown})).await.json();
    assert_eq!(
        (&response["modality"], &response["output"]["mesh"]["type"]),
        (&json!("3d"), &json!("mesh")),
        "{response}"
    );
    // The model makes no mesh from a text, and there is no other.
    let response =
        home.client().post("/v1/generate", &json!({"input": {"prompt": "Make a 3D model of a fox"}})).await;
    assert_eq!(response.json()["modality"], "text");
    home.stop().await;
}
