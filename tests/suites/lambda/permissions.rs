//! Each function uses every permission of its role. That the role allows every call of every other test is checked by
//! [`Cloud`] itself.

use hearth_domain::{ModelId, Secret, Timestamp, TokenId};
use hearth_store::configuration::ConfigurationVersion;
use hearth_tests::{Cloud, Reply, Upstream};
use lambda_emulator::{Emulator, Invocation};
use serde_json::{Value, json};

use crate::{Placeholders, invoke, replay};

/// The smallest PNG there is: one pixel.
const PNG: &str =
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNkYPhfDwAChwGA60e6kgAAAABJRU5ErkJggg==";

fn values(cloud: &Cloud) -> Placeholders {
    Placeholders { token: cloud.token.clone(), ..Placeholders::default() }
}

/// Sends a sample with another path or body, and expects this status.
async fn send(
    function: &Emulator,
    values: &Placeholders,
    sample: &str,
    path: &str,
    body: Value,
    status: u16,
) -> Invocation {
    let mut event = values.event(sample);
    event["path"] = path.into();
    (event["queryStringParameters"], event["multiValueQueryStringParameters"]) = (Value::Null, Value::Null);
    event["body"] = if body.is_null() { body } else { body.to_string().into() };
    let answer = invoke(function, &event).await;
    assert_eq!(answer.status.as_u16(), status, "{path}: {}", String::from_utf8_lossy(&answer.body()));
    answer
}

fn version(number: u64, settings: &Value) -> ConfigurationVersion {
    ConfigurationVersion {
        number,
        settings: settings.to_string(),
        author: TokenId::new(),
        created_at: Timestamp::now(),
        message: None,
        restores: None,
    }
}

/// Configures the vendor as the provider `rig`. The current version can't be followed, so that a process looks for the one
/// before it.
async fn configure(cloud: &Cloud, first: u64, vendor: &Upstream) {
    let mut rig = json!({"kind": "openai_compatible", "base_url": format!("{}/v1", vendor.url), "models": ["big", "dall-e-3"]});
    let versions =
        [version(first, &json!({"providers": {"rig": rig}})), version(first + 1, &json!({"from": "later"}))];
    for version in &versions {
        cloud.store().configurations().push(version).await.unwrap();
    }
    rig["api_key"] = json!("sk-rig");
    cloud.store().put_provider_keys(&Secret::new(json!({"rig": rig}).to_string())).await.unwrap();
    vendor.page("/v1/models", Reply::json(200, &json!({"data": [{"id": "big"}]})));
}

/// An answer of the vendor with this text.
fn answer(text: &str) -> Reply {
    let chunk = |delta: Value, finish: Option<&str>| {
        json!({"id": "x", "object": "chat.completion.chunk",
               "choices": [{"index": 0, "delta": delta, "finish_reason": finish}]})
    };
    Reply::chunks(&[
        chunk(json!({"role": "assistant", "content": text}), None),
        chunk(json!({}), Some("stop")),
        json!({"choices": [], "usage": {"prompt_tokens": 3, "completion_tokens": 2}}),
    ])
}

/// Stores a model that its node doesn't have any more, as it stores `tiny-chat`.
async fn store_stale_model(cloud: &Cloud) {
    let mut model = cloud.store().models().list(None).await.unwrap().remove(0);
    model.id = ModelId::new("gone");
    cloud.store().models().put_discovered(&model).await.unwrap();
}

#[track_caller]
fn assert_all_used(cloud: &Cloud, function: &str) {
    let unused = cloud.unused_permissions(function);
    assert!(unused.is_empty(), "no call needs these permissions of infra/template.yaml: {unused:#?}");
}

#[tokio::test]
async fn generate_uses_every_permission() {
    const NAME: &str = "hearth-fn-generate";
    let (cloud, vendor) = (Cloud::start().await, Upstream::start().await);
    let mut values = values(&cloud);
    let function = cloud.function(NAME).await;
    let first = invoke(&function, &values.event("post_v1.generate.json")).await;
    values.run = first.headers["x-request-id"].to_str().unwrap().to_owned();
    replay(NAME, &function, &values).await;

    configure(&cloud, 1, &vendor).await;
    let function = cloud.function_with(NAME, &[("HEARTH_CACHE__ENABLED", "true")]).await;
    store_stale_model(&cloud).await;
    send(&function, &values, "get_v1beta.models.json", "/v1beta/models", Value::Null, 200).await;

    // A long text is an object.
    let text = "word ".repeat(8 << 10);
    let chat = json!({"model": "rig:big", "temperature": 0, "messages": [{"role": "user", "content": "Hi"}]});
    vendor.reply(answer(&text));
    let run =
        send(&function, &values, "post_v1.chat.completions.json", "/v1/chat/completions", chat, 200).await;
    let path = format!("/v1/requests/{}", run.headers["x-request-id"].to_str().unwrap());
    let stored = send(&function, &values, "get_v1.requests.id.json", &path, Value::Null, 200).await;
    assert_eq!(stored.json().unwrap()["output"]["text"], text);
    let deleted = send(&function, &values, "delete_v1.cache.json", "/v1/cache", Value::Null, 200).await;
    assert_eq!(deleted.json().unwrap()["deleted"], 1);

    // So is a long conversation.
    vendor.reply(answer("short"));
    let request = json!({"model": "rig:big", "input": "word ".repeat(25 << 10)});
    let response = send(&function, &values, "post_v1.responses.json", "/v1/responses", request, 200).await;
    let path = format!("/v1/responses/{}", response.json().unwrap()["id"].as_str().unwrap());
    send(&function, &values, "delete_v1.responses.id.json", &path, Value::Null, 200).await;

    // And a picture, which may be gone before its record.
    vendor.reply(Reply::json(200, &json!({"created": 1, "data": [{"b64_json": PNG}]})));
    let request = json!({"model": "rig:dall-e-3", "prompt": "a fox"});
    let sample = "post_v1.images.generations.json";
    let picture = send(&function, &values, sample, "/v1/images/generations", request, 200).await;
    let picture = picture.json().unwrap();
    let (_, path) = picture["data"][0]["url"].as_str().unwrap().split_once("/v1/artifacts/").unwrap();
    let id = path.split('?').next().unwrap();
    let path = format!("/v1/artifacts/{id}");
    send(&function, &values, "get_v1.artifacts.id.json", &path, Value::Null, 200).await;
    cloud.delete_object(&format!("artifacts/{id}")).await;
    send(&function, &values, "get_v1.artifacts.id.json", &path, Value::Null, 404).await;
    assert_all_used(&cloud, NAME);
}

#[tokio::test]
async fn models_uses_every_permission() {
    const NAME: &str = "hearth-fn-models";
    let (cloud, vendor) = (Cloud::start().await, Upstream::start().await);
    let values = values(&cloud);
    let function = cloud.function(NAME).await;
    replay(NAME, &function, &values).await;

    let current = cloud.store().configurations().current().await.unwrap().map_or(0, |current| current.number);
    configure(&cloud, current + 1, &vendor).await;
    let function = cloud.function(NAME).await;
    store_stale_model(&cloud).await;
    send(&function, &values, "get_v1.models.json", "/v1/models", Value::Null, 200).await;
    assert_all_used(&cloud, NAME);
}

#[tokio::test]
async fn accounts_uses_every_permission() {
    const NAME: &str = "hearth-fn-accounts";
    let cloud = Cloud::start().await;
    let function = cloud.function(NAME).await;
    let mut values = values(&cloud);
    let created = invoke(&function, &values.event("post_v1.users.tokens.json")).await.json().unwrap();
    values.other_token = created["id"].as_str().unwrap().to_owned();
    replay(NAME, &function, &values).await;
    assert_all_used(&cloud, NAME);
}

#[tokio::test]
async fn ops_uses_every_permission() {
    const NAME: &str = "hearth-fn-ops";
    let (cloud, vendor) = (Cloud::start().await, Upstream::start().await);
    configure(&cloud, 1, &vendor).await;
    let function = cloud.function(NAME).await;
    replay(NAME, &function, &values(&cloud)).await;
    assert_all_used(&cloud, NAME);
}
