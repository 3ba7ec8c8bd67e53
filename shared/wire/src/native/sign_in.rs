//! `/v1/sign-in`: the ways to sign in, and the exchange of an identity provider's token for a login.

use hearth_domain::Secret;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// Ways to sign in to this gateway.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct SignInOptions {
    /// Identity providers, by name.
    pub providers: Vec<SignInProvider>,
}

/// Identity provider, at which a client carries out OpenID Connect's authorization code flow with PKCE, or OAuth's device
/// flow. Its discovery document has the addresses.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct SignInProvider {
    /// Name of the provider in this gateway.
    #[schema(example = "okta")]
    pub name: String,
    /// Issuer. Its discovery document is below it, at `/.well-known/openid-configuration`.
    #[schema(example = "https://example.okta.com")]
    pub issuer: String,
    /// Client id to send to the provider.
    pub client_id: String,
    /// Client secret, of a provider that gives one to public clients too. It is no secret.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub client_secret: Option<String>,
    /// Redirect URI that is registered at the provider. Without a port, any port of this machine works.
    #[schema(example = "http://127.0.0.1/callback")]
    pub redirect_uri: String,
    /// Scopes to request.
    pub scopes: Vec<String>,
}

/// Sign-in by an ID token of an identity provider.
#[derive(Debug, Clone, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct SignInByToken {
    /// Name of the provider, as in `GET /v1/sign-in`.
    #[schema(example = "okta", max_length = 200)]
    pub provider: String,
    /// ID token. It signs in once.
    #[schema(value_type = String, format = Password)]
    pub id_token: Secret,
    /// Nonce of the authorization request; absent for a device flow, which has none.
    #[schema(max_length = 200)]
    pub nonce: Option<String>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn id_token_is_hidden_and_unknown_fields_are_refused() {
        let body: SignInByToken =
            serde_json::from_str(r#"{"provider": "okta", "id_token": "ey.abc.def"}"#).unwrap();
        assert!(!format!("{body:?}").contains("abc") && body.nonce.is_none());
        for body in [r#"{"provider": "okta", "id_token": "a", "token": "b"}"#, r#"{"provider": "okta"}"#] {
            assert!(serde_json::from_str::<SignInByToken>(body).is_err(), "{body}");
        }
    }
}
