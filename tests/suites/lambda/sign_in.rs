//! Sign-in under the functions: the operator's password, and access tokens at each function.

use hearth_auth::password;
use hearth_domain::Secret;
use hearth_tests::{Cloud, operators_organisation};
use lambda_emulator::Emulator;
use serde_json::Value;

use crate::{Placeholders, invoke};

/// The address and the password of the samples.
const EMAIL: &str = "owner@example.org";
const PASSWORD: &str = "a long sentence of mine, yes";

/// Gives the operator the address and the password of the samples.
pub(crate) async fn set_password(cloud: &Cloud) {
    operators_organisation(cloud.store()).await;
    let operator = cloud.store().operator().await.unwrap();
    let hash = password::hash(&Secret::new(PASSWORD)).unwrap();
    let store = cloud.store();
    let users = store.users();
    let change = users.change(operator, |user| {
        user.email = Some(EMAIL.to_owned());
        user.password_hash = Some(hash.clone());
        true
    });
    assert!(change.await.unwrap().is_some(), "the operator has no record");
}

/// Signs the operator in at the function `accounts`.
pub(crate) async fn login(accounts: &Emulator) -> Value {
    let answer = invoke(accounts, &Placeholders::default().event("post_v1.users.login.json")).await;
    assert_eq!(answer.status.as_u16(), 200, "{}", String::from_utf8_lossy(&answer.body()));
    answer.json().unwrap()
}

/// The placeholders with the tokens of two logins: one is refreshed, the other is ended.
pub(crate) async fn with_logins(accounts: &Emulator, values: Placeholders) -> Placeholders {
    let (first, second) = (login(accounts).await, login(accounts).await);
    Placeholders { refresh_token: text(&first, "refresh_token"), login: text(&second, "login"), ..values }
}

fn text(body: &Value, field: &str) -> String {
    body[field].as_str().unwrap_or_else(|| panic!("no {field}: {body}")).to_owned()
}

/// The token with another character in its signature.
fn forged(token: &str) -> String {
    let (start, end) = token.split_at(token.len() - 10);
    let other = if end.starts_with('A') { 'B' } else { 'A' };
    format!("{start}{other}{}", &end[1..])
}

/// Signs the operator in, and sends the function a sample with the access token.
pub(crate) async fn use_access_token(cloud: &Cloud, function: &Emulator, sample: &str) {
    set_password(cloud).await;
    let accounts = cloud.function("hearth-fn-accounts").await;
    let token = text(&login(&accounts).await, "access_token");
    assert_eq!(status_of(function, sample, &token).await, 200, "{sample}");
}

/// Sends a sample with a login's access token in place of an API token.
async fn status_of(function: &Emulator, sample: &str, access_token: &str) -> u16 {
    let values = Placeholders { token: access_token.to_owned(), ..Placeholders::default() };
    invoke(function, &values.event(sample)).await.status.as_u16()
}

#[tokio::test]
async fn access_token_is_accepted_by_every_function_until_the_login_ends() {
    let cloud = Cloud::start().await;
    set_password(&cloud).await;
    let accounts = cloud.function("hearth-fn-accounts").await;
    let body = login(&accounts).await;
    let token = text(&body, "access_token");
    let names = ["hearth-fn-generate", "hearth-fn-models", "hearth-fn-nodes", "hearth-fn-ops"];
    let samples = ["get_v1.cache.stats.json", "get_v1.models.json", "get_v1.nodes.json", "get_metrics.json"];
    for (name, sample) in names.into_iter().zip(samples) {
        let function = cloud.function(name).await;
        assert_eq!(status_of(&function, sample, &token).await, 200, "{name}");
        assert_eq!(status_of(&function, sample, &forged(&token)).await, 401, "{name}");
    }
    assert_eq!(status_of(&accounts, "get_v1.users.me.logins.json", &token).await, 200);
    assert_eq!(status_of(&accounts, "post_v1.users.logout.json", &token).await, 204);
    // A process that hasn't seen the token before reads the login.
    let models = cloud.function("hearth-fn-models").await;
    assert_eq!(status_of(&models, "get_v1.models.json", &token).await, 401);
    assert_eq!(status_of(&accounts, "get_v1.users.me.logins.json", &token).await, 401);
}

#[tokio::test]
async fn rotation_in_one_process_leaves_tokens_of_the_earlier_key_valid_in_others() {
    let cloud = Cloud::start().await;
    set_password(&cloud).await;
    let (one, other) =
        (cloud.function("hearth-fn-accounts").await, cloud.function("hearth-fn-accounts").await);
    let models = cloud.function("hearth-fn-models").await;
    let before = text(&login(&one).await, "access_token");
    assert_eq!(status_of(&models, "get_v1.models.json", &before).await, 200);
    let operator = Placeholders { token: cloud.token.clone(), ..Placeholders::default() };
    let rotated = invoke(&other, &operator.event("post_v1.admin.signing-keys.rotate.json")).await;
    assert_eq!(rotated.status.as_u16(), 200, "{}", String::from_utf8_lossy(&rotated.body()));

    // The key is unknown to this process, which reads the keys again.
    let after = text(&login(&other).await, "access_token");
    assert_eq!(status_of(&models, "get_v1.models.json", &after).await, 200);
    // The process that signed before signs with the earlier key for up to a minute.
    let late = text(&login(&one).await, "access_token");
    let fresh = cloud.function("hearth-fn-models").await;
    for token in [&before, &after, &late] {
        assert_eq!(status_of(&models, "get_v1.models.json", token).await, 200);
        assert_eq!(status_of(&fresh, "get_v1.models.json", token).await, 200);
    }
    let keys = invoke(&one, &operator.event("get_.well-known.jwks.json.json")).await.json().unwrap();
    assert!(keys["keys"].as_array().is_some_and(|keys| !keys.is_empty()), "{keys}");
}
