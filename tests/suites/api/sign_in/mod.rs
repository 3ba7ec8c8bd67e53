//! Sign-in by an identity provider, and its tokens in place of API tokens.

mod command_line;
mod id_tokens;
mod issuer_keys;
mod membership;

use hearth_tests::{Answer, Client, Home, OpenIdProvider, Setup};
use serde_json::{Value, json};

/// A gateway with the provider in its settings, with these changes of them.
async fn start(changes: Value) -> (Home, OpenIdProvider) {
    let provider = OpenIdProvider::start().await;
    let home =
        Setup::new().arguments(&["--no-node"]).settings(&provider.settings_file(changes)).start().await;
    (home, provider)
}

/// A client with an access token of the provider's present user.
fn bearer(home: &Home, provider: &OpenIdProvider) -> Client {
    home.client().with_token(Some(&provider.access_token(json!({}), json!({}))))
}

/// Exchanges an ID token for a login.
async fn exchange(home: &Home, id_token: &str, nonce: Option<&str>) -> Answer {
    let body = json!({"provider": "test", "id_token": id_token, "nonce": nonce});
    home.client().with_token(None).post("/v1/users/login/token", &body).await
}
