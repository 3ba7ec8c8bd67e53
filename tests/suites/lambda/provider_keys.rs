//! Stored keys of providers in the cloud: `accounts` encrypts them, and only `generate` decrypts them.

use hearth_tests::{Cloud, Reply, Upstream};
use lambda_emulator::{Emulator, Invocation};
use serde_json::{Value, json};

use crate::{Placeholders, invoke, of_operator};

/// Lets a key be for a server at a private address, as the played vendor's is.
pub(crate) const PRIVATE: [(&str, &str); 1] = [("HEARTH_KEYS__PRIVATE_ADDRESSES", "true")];

/// Sends a sample with another path and body.
pub(crate) async fn send(
    function: &Emulator,
    values: &Placeholders,
    sample: &str,
    path: &str,
    body: Option<&Value>,
) -> Invocation {
    let mut event = values.event(sample);
    event["path"] = path.into();
    event["body"] = body.map_or(Value::Null, |body| body.to_string().into());
    invoke(function, &event).await
}

/// Stores keys for the vendor, as the provider `mine` of the user, and `shared` of the organisation. Returns their ids.
pub(crate) async fn store(cloud: &Cloud, vendor: &Upstream, values: &Placeholders) -> [String; 2] {
    let accounts = cloud.function_with("hearth-fn-accounts", &PRIVATE).await;
    let address = format!("{}/v1", vendor.url);
    let key = |provider: &str, key: &str| json!({"provider": provider, "kind": "endpoint_key", "credential": {"base_url": address, "key": key}});
    let own = "/v1/users/provider-keys";
    let of_organisation = format!("/v1/organisations/{}/provider-keys", values.organisation);
    let mut ids = Vec::new();
    for (sample, path, body) in [
        ("post_v1.users.provider-keys.json", own, key("mine", "sk-mine-0123456789")),
        (
            "post_v1.organisations.id.provider-keys.json",
            of_organisation.as_str(),
            key("shared", "sk-shared-0123456789"),
        ),
    ] {
        let created = send(&accounts, values, sample, path, Some(&body)).await;
        let text = String::from_utf8_lossy(&created.body()).into_owned();
        assert_eq!(created.status, 201, "{text}");
        assert!(!text.contains("0123456789"), "{text}");
        ids.push(created.json().unwrap()["id"].as_str().unwrap().to_owned());
    }
    ids.try_into().unwrap()
}

/// Stores an access token that has ended, as the provider `token`. Returns the key's id.
pub(crate) async fn store_token(cloud: &Cloud, vendor: &Upstream, values: &Placeholders) -> String {
    let accounts = cloud.function_with("hearth-fn-accounts", &PRIVATE).await;
    let credential = json!({
        "base_url": format!("{}/v1", vendor.url), "access_token": "at-old-0123456789", "expires_in": 0,
        "refresh_token": "rt-first-0123456789", "token_url": format!("{}/token", vendor.url),
    });
    let body = json!({"provider": "token", "kind": "oauth_token", "credential": credential});
    let path = "/v1/users/provider-keys";
    let created = send(&accounts, values, "post_v1.users.provider-keys.json", path, Some(&body)).await;
    assert_eq!(created.status, 201, "{}", String::from_utf8_lossy(&created.body()));
    created.json().unwrap()["id"].as_str().unwrap().to_owned()
}

/// Has `function` check a key.
pub(crate) async fn verify(function: &Emulator, values: &Placeholders, id: &str) -> Value {
    let path = format!("/v1/provider-keys/{id}/verify");
    let answer = send(function, values, "post_v1.provider-keys.id.verify.json", &path, None).await;
    assert_eq!(answer.status, 200, "{}", String::from_utf8_lossy(&answer.body()));
    answer.json().unwrap()
}

/// Changes and deletes a key of the organisation, and one of the user.
pub(crate) async fn change_and_delete(cloud: &Cloud, function: &Emulator, values: &Placeholders) {
    let vendor = Upstream::start().await;
    let [mine, shared] = store(cloud, &vendor, values).await;
    let own = format!("/v1/users/provider-keys/{mine}");
    let of_organisation = format!("/v1/organisations/{}/provider-keys/{shared}", values.organisation);
    for (route, path) in
        [("users.provider-keys.id", own), ("organisations.id.provider-keys.key", of_organisation)]
    {
        let body = json!({"name": "other"});
        let changed = send(function, values, &format!("patch_v1.{route}.json"), &path, Some(&body)).await;
        assert_eq!(changed.json().unwrap()["name"], "other");
        let deleted = send(function, values, &format!("delete_v1.{route}.json"), &path, None).await;
        assert_eq!(deleted.status, 204);
    }
}

/// An answer of the vendor.
pub(crate) fn answer() -> Reply {
    Reply::chunks(&[
        json!({"choices": [{"index": 0, "delta": {"role": "assistant", "content": "ok"}, "finish_reason": null}]}),
        json!({"choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}]}),
        json!({"choices": [], "usage": {"prompt_tokens": 3, "completion_tokens": 2}}),
    ])
}

/// Asks a provider's model.
pub(crate) async fn chat(function: &Emulator, values: &Placeholders, model: &str) -> Invocation {
    let chat = json!({"model": model, "messages": [{"role": "user", "content": "Hi"}]});
    let sample = "post_v1.chat.completions.json";
    send(function, values, sample, "/v1/chat/completions", Some(&chat)).await
}

#[tokio::test]
async fn keys_of_user_and_organisation_are_used_and_checked() {
    let (cloud, vendor) = (Cloud::start().await, Upstream::start().await);
    let values = of_operator(&cloud).await;
    let [mine, shared] = store(&cloud, &vendor, &values).await;
    let generate = cloud.function_with("hearth-fn-generate", &PRIVATE).await;
    vendor.page("/v1/models", Reply::json(200, &json!({"data": [{"id": "big"}]})));
    for id in [&mine, &shared] {
        let result = verify(&generate, &values, id).await;
        assert_eq!(result["valid"], true, "{result}");
        assert!(result["result"].as_str().unwrap().contains("lists 1 models"), "{result}");
    }
    for (model, payer, key) in [
        ("mine:big", "user", "Bearer sk-mine-0123456789"),
        ("shared:big", "organisation", "Bearer sk-shared-0123456789"),
    ] {
        vendor.reply(answer());
        let run = chat(&generate, &values, model).await;
        assert_eq!(run.status, 200, "{}", String::from_utf8_lossy(&run.body()));
        assert_eq!(run.headers["x-hearth-payer"], payer);
        assert_eq!(vendor.received().pop().unwrap().headers["authorization"], key);
    }
    vendor.page("/v1/models", Reply::json(401, &json!({"error": {"message": "no such key"}})));
    assert_eq!(verify(&generate, &values, &mine).await["valid"], true, "checked a moment ago");
    let accounts = cloud.function_with("hearth-fn-accounts", &PRIVATE).await;
    let path = format!("/v1/users/provider-keys/{mine}");
    let credential = json!({"base_url": format!("{}/v1", vendor.url), "key": "sk-mine-0123456789"});
    let body = json!({"credential": credential});
    let changed = send(&accounts, &values, "patch_v1.users.provider-keys.id.json", &path, Some(&body)).await;
    assert_eq!(changed.status, 200, "{}", String::from_utf8_lossy(&changed.body()));
    let result = verify(&generate, &values, &mine).await;
    assert_eq!(result["valid"], false, "{result}");
    assert!(!result.to_string().contains("sk-mine"), "{result}");
}

#[tokio::test]
async fn ended_access_token_is_refreshed_and_stored_for_other_processes() {
    let (cloud, vendor) = (Cloud::start().await, Upstream::start().await);
    let values = of_operator(&cloud).await;
    store_token(&cloud, &vendor, &values).await;
    let (first, second) = (
        cloud.function_with("hearth-fn-generate", &PRIVATE).await,
        cloud.function_with("hearth-fn-generate", &PRIVATE).await,
    );
    let token =
        json!({"access_token": "at-new-0123456789", "refresh_token": "rt-second", "expires_in": 3600});
    vendor.reply(Reply::json(200, &token));
    vendor.reply(answer());
    let run = chat(&first, &values, "token:big").await;
    assert_eq!(run.status, 200, "{}", String::from_utf8_lossy(&run.body()));
    vendor.reply(answer());
    assert_eq!(chat(&second, &values, "token:big").await.status, 200);
    let received = vendor.received();
    assert_eq!(received.len(), 3, "one refresh for both processes");
    let form = String::from_utf8_lossy(&received[0].raw).into_owned();
    assert!(
        form.contains("grant_type=refresh%5Ftoken") && form.contains("refresh_token=rt%2Dfirst"),
        "{form}"
    );
    for run in &received[1..] {
        assert_eq!(run.headers["authorization"], "Bearer at-new-0123456789");
    }
}
