//! The content of a sealed credential of a provider.

use hearth_domain::{CredentialKind, Secret, Timestamp};
use hearth_providers::ServiceAccount;
use hearth_wire::{ApiError, native::provider_keys::CredentialBody};
use serde::Deserialize;
use serde_json::json;
use std::time::Duration;

/// Limits of the sizes of credentials.
const KEY_MAX_BYTES: usize = 8192;
const FILE_MAX_BYTES: usize = 64 << 10;
/// Characters of a key that its owner sees later.
const HINT_CHARS: usize = 4;
/// Length of the shortest key of which characters are shown.
const HINTED_KEY_MIN_CHARS: usize = 16;

/// A credential, with the address that it may be sent to.
#[derive(Debug, Clone, Deserialize)]
pub(crate) struct CredentialSecret {
    /// The vendor's kind.
    pub(crate) vendor: String,
    /// The address.
    pub(crate) base_url: String,
    /// The parts that depend on the kind.
    #[serde(flatten)]
    pub(crate) parts: SecretParts,
}

/// The secret parts of a credential.
#[derive(Debug, Clone, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub(crate) enum SecretParts {
    /// A key; none for a server that needs none.
    ApiKey {
        key: Option<Secret>,
    },
    OauthToken(OauthToken),
    ServiceAccount {
        file: Secret,
        scope: Option<String>,
    },
}

/// An access token of OAuth, and the refresh token.
#[derive(Debug, Clone, Deserialize)]
pub(crate) struct OauthToken {
    pub(crate) access_token: Secret,
    pub(crate) expires_at: Option<Timestamp>,
    pub(crate) refresh: Option<RefreshToken>,
}

/// A refresh token, and the client that it belongs to.
#[derive(Debug, Clone, Deserialize)]
pub(crate) struct RefreshToken {
    pub(crate) token: Secret,
    pub(crate) token_url: String,
    pub(crate) client_id: Option<String>,
    pub(crate) client_secret: Option<Secret>,
    pub(crate) scope: Option<String>,
}

impl SecretParts {
    /// Checks the fields of a request for this kind.
    ///
    /// # Errors
    /// `invalid_request`, naming the field that is missing, malformed, or of another kind.
    pub(crate) fn from_body(kind: CredentialKind, body: &CredentialBody) -> Result<Self, ApiError> {
        check_fields(kind, body)?;
        for (name, secret) in [
            ("key", &body.key),
            ("access_token", &body.access_token),
            ("refresh_token", &body.refresh_token),
            ("client_secret", &body.client_secret),
        ] {
            secret.as_ref().map_or(Ok(()), |secret| check_text(name, secret))?;
        }
        let needed = |name: &str, secret: &Option<Secret>| {
            secret.clone().ok_or_else(|| field(name, &format!("a credential of this kind needs {name}")))
        };
        match kind {
            CredentialKind::ApiKey => Ok(Self::ApiKey { key: Some(needed("key", &body.key)?) }),
            CredentialKind::EndpointKey if body.base_url.is_none() => {
                Err(field("base_url", "a credential of this kind needs base_url, the address of the API"))
            }
            CredentialKind::EndpointKey => Ok(Self::ApiKey { key: body.key.clone() }),
            CredentialKind::OauthToken => {
                let access_token = needed("access_token", &body.access_token)?;
                let expires_at =
                    body.expires_in.map(|seconds| Timestamp::now().plus(Duration::from_secs(seconds)));
                let refresh = match (&body.refresh_token, &body.token_url) {
                    (Some(token), Some(token_url)) => Some(RefreshToken {
                        token: token.clone(),
                        token_url: token_url.clone(),
                        client_id: body.client_id.clone(),
                        client_secret: body.client_secret.clone(),
                        scope: body.scope.clone(),
                    }),
                    (None, None) => None,
                    _ => return Err(field("token_url", "refresh_token and token_url go together")),
                };
                Ok(Self::OauthToken(OauthToken { access_token, expires_at, refresh }))
            }
            CredentialKind::ServiceAccount => {
                let file = needed("service_account", &body.service_account)?;
                if file.expose().len() > FILE_MAX_BYTES {
                    return Err(field("service_account", "the file has more than 64 KiB"));
                }
                ServiceAccount::parse(&file).map_err(|error| error.at("credential.service_account"))?;
                Ok(Self::ServiceAccount { file, scope: body.scope.clone() })
            }
        }
    }

    /// The addresses beside the API's that parts of the credential are sent to.
    pub(crate) fn token_url(&self) -> Option<String> {
        match self {
            Self::ApiKey { .. } => None,
            Self::OauthToken(token) => Some(token.refresh.as_ref()?.token_url.clone()),
            Self::ServiceAccount { file, .. } => Some(ServiceAccount::parse(file).ok()?.token_uri),
        }
    }

    /// The end of the stored access token.
    pub(crate) fn expires_at(&self) -> Option<Timestamp> {
        match self {
            Self::OauthToken(token) => token.expires_at,
            _ => None,
        }
    }

    /// A part that its owner may see: the last characters of a long key, or the name of a service account.
    pub(crate) fn hint(&self) -> String {
        match self {
            Self::ApiKey { key } => key.as_ref().map(last_characters).unwrap_or_default(),
            Self::OauthToken(token) => last_characters(&token.access_token),
            Self::ServiceAccount { file, .. } => {
                ServiceAccount::parse(file).map(|account| account.client_email).unwrap_or_default()
            }
        }
    }
}

impl CredentialSecret {
    /// Parses the text of [`CredentialSecret::to_secret`]. None if this version can't read it: a parser's message may
    /// show a part of its input.
    pub(crate) fn parse(text: &Secret) -> Option<Self> {
        serde_json::from_str(text.expose()).ok()
    }

    /// The text that is sealed.
    pub(crate) fn to_secret(&self) -> Secret {
        let Self { vendor, base_url, parts } = self;
        let text = |secret: &Option<Secret>| secret.as_ref().map(|secret| secret.expose().to_owned());
        let mut json = match parts {
            SecretParts::ApiKey { key } => json!({"kind": "api_key", "key": text(key)}),
            SecretParts::OauthToken(OauthToken { access_token, expires_at, refresh }) => {
                let refresh = refresh.as_ref().map(|refresh| {
                    json!({
                        "token": refresh.token.expose(),
                        "token_url": refresh.token_url,
                        "client_id": refresh.client_id,
                        "client_secret": text(&refresh.client_secret),
                        "scope": refresh.scope,
                    })
                });
                json!({
                    "kind": "oauth_token",
                    "access_token": access_token.expose(),
                    "expires_at": expires_at,
                    "refresh": refresh,
                })
            }
            SecretParts::ServiceAccount { file, scope } => {
                json!({"kind": "service_account", "file": file.expose(), "scope": scope})
            }
        };
        json["vendor"] = json!(vendor);
        json["base_url"] = json!(base_url);
        Secret::new(json.to_string())
    }
}

fn field(name: &str, problem: &str) -> ApiError {
    ApiError::invalid(format!("credential.{name}"), problem)
}

/// Refuses the fields that a kind doesn't have: one of them would be stored for nothing.
fn check_fields(kind: CredentialKind, body: &CredentialBody) -> Result<(), ApiError> {
    use CredentialKind::{ApiKey, EndpointKey, OauthToken, ServiceAccount};
    let is_address = matches!(kind, EndpointKey | OauthToken | ServiceAccount);
    let is_oauth = kind == OauthToken;
    for (name, is_there, belongs) in [
        ("key", body.key.is_some(), matches!(kind, ApiKey | EndpointKey)),
        ("base_url", body.base_url.is_some(), is_address),
        ("vendor", body.vendor.is_some(), is_address),
        ("access_token", body.access_token.is_some(), is_oauth),
        ("expires_in", body.expires_in.is_some(), is_oauth),
        ("refresh_token", body.refresh_token.is_some(), is_oauth),
        ("token_url", body.token_url.is_some(), is_oauth),
        ("client_id", body.client_id.is_some(), is_oauth),
        ("client_secret", body.client_secret.is_some(), is_oauth),
        ("scope", body.scope.is_some(), is_oauth || kind == ServiceAccount),
        ("service_account", body.service_account.is_some(), kind == ServiceAccount),
    ] {
        if is_there && !belongs {
            return Err(field(name, &format!("a credential of the kind {} has no {name}", kind.as_str())));
        }
    }
    Ok(())
}

fn check_text(name: &str, secret: &Secret) -> Result<(), ApiError> {
    let text = secret.expose();
    if text.trim() != text
        || text.is_empty()
        || text.len() > KEY_MAX_BYTES
        || text.chars().any(char::is_control)
    {
        let problem = format!("{name} must be 1 to {KEY_MAX_BYTES} characters, without spaces around it");
        return Err(field(name, &problem));
    }
    Ok(())
}

/// The last characters of a text that is long enough to stay secret without them.
fn last_characters(secret: &Secret) -> String {
    let text = secret.expose();
    let count = text.chars().count();
    if count < HINTED_KEY_MIN_CHARS {
        return "…".to_owned();
    }
    format!("…{}", text.chars().skip(count - HINT_CHARS).collect::<String>())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn body(json: serde_json::Value) -> CredentialBody {
        serde_json::from_value(json).unwrap()
    }

    #[test]
    fn fields_of_another_kind_and_missing_ones_are_named() {
        for (kind, json, name) in [
            (CredentialKind::ApiKey, json!({}), "credential.key"),
            (CredentialKind::ApiKey, json!({"key": " k"}), "credential.key"),
            (CredentialKind::ApiKey, json!({"key": "k", "base_url": "https://x"}), "credential.base_url"),
            (CredentialKind::EndpointKey, json!({"key": "k"}), "credential.base_url"),
            (CredentialKind::OauthToken, json!({}), "credential.access_token"),
            (
                CredentialKind::OauthToken,
                json!({"access_token": "a", "refresh_token": "r"}),
                "credential.token_url",
            ),
            (CredentialKind::ServiceAccount, json!({"service_account": "{}"}), "credential.service_account"),
        ] {
            let error = SecretParts::from_body(kind, &body(json.clone())).unwrap_err();
            assert_eq!(error.param.as_deref(), Some(name), "{json}");
        }
    }

    #[test]
    fn credential_is_read_as_it_was_written_and_debug_hides_it() {
        let json = json!({"access_token": "planted-a", "refresh_token": "planted-r", "token_url": "https://t",
            "client_id": "c", "client_secret": "planted-s", "expires_in": 60});
        let parts = SecretParts::from_body(CredentialKind::OauthToken, &body(json)).unwrap();
        let secret =
            CredentialSecret { vendor: "openai".to_owned(), base_url: "https://x".to_owned(), parts };
        let read = CredentialSecret::parse(&secret.to_secret()).unwrap();
        assert_eq!(format!("{read:?}"), format!("{secret:?}"));
        assert_eq!(read.to_secret(), secret.to_secret());
        assert!(!format!("{secret:?}").contains("planted"), "{secret:?}");
    }

    #[test]
    fn hint_shows_four_characters_of_a_long_key_and_none_of_a_short_one() {
        let hint = |key: &str| SecretParts::ApiKey { key: Some(Secret::new(key)) }.hint();
        assert_eq!((hint("sk-0123456789abcXYZ1").as_str(), hint("short-key").as_str()), ("…XYZ1", "…"));
    }
}
