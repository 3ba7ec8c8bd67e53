//! `/v1/users/login` and what follows from it: access tokens, refresh tokens, logins.

use hearth_domain::{LoginId, MemberRole, OrganisationId, Secret, UserId};
use serde::{Deserialize, Serialize, Serializer};
use utoipa::ToSchema;

/// Sign-in by a password.
#[derive(Debug, Clone, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct LoginRequest {
    /// Address of e-mail, in any spelling.
    #[schema(example = "ada@example.org", max_length = 320)]
    pub email: String,
    /// Password.
    #[schema(value_type = String, format = Password)]
    pub password: Secret,
    /// Organisation in which to act, `org_...`; absent: the one that the user joined first.
    #[schema(value_type = Option<String>)]
    pub organisation: Option<OrganisationId>,
}

/// Replacement of a refresh token.
#[derive(Debug, Clone, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct RefreshRequest {
    /// Refresh token, `hrt_...`. It is replaced: use the one of the response from now on.
    #[schema(value_type = String, format = Password)]
    pub refresh_token: Secret,
}

/// End of a login.
#[derive(Debug, Clone, Copy, Default, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct LogoutRequest {
    /// Ends every login of the user, and not only this one.
    #[serde(default)]
    pub everywhere: bool,
}

/// Tokens of a login.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct LoginBody {
    /// Access token: send it as `Authorization: Bearer <token>`.
    #[schema(value_type = String)]
    #[serde(serialize_with = "exposed")]
    pub access_token: Secret,
    /// Always `Bearer`.
    pub token_type: String,
    /// Seconds until the access token expires.
    pub expires_in: u64,
    /// Refresh token. It replaces the earlier one.
    #[schema(value_type = String)]
    #[serde(serialize_with = "exposed")]
    pub refresh_token: Secret,
    /// Expiry of the refresh token, unless it is used before, ISO 8601.
    pub refresh_expires_at: String,
    /// Id of the login.
    #[schema(value_type = String)]
    pub login: LoginId,
    /// Id of the user.
    #[schema(value_type = String)]
    pub user: UserId,
    /// Organisation in which the user acts.
    #[schema(value_type = String)]
    pub organisation: OrganisationId,
    /// Role of the user in the organisation.
    #[schema(value_type = String)]
    pub role: MemberRole,
}

/// Login, without its tokens.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct LoginItem {
    /// Id of the login.
    pub id: String,
    /// The login that this request was sent with.
    pub current: bool,
    /// `password`, or the name of the identity provider.
    pub method: String,
    /// Organisation in which the user acts.
    pub organisation: String,
    /// Client, as it named itself.
    pub client: Option<String>,
    /// Address that the user signed in from.
    pub address: Option<String>,
    /// Time of the sign-in, ISO 8601.
    pub created_at: String,
    /// Time at which the refresh token was last used, ISO 8601.
    pub refreshed_at: String,
    /// Expiry of the refresh token, unless it is used before, ISO 8601.
    pub expires_at: String,
}

/// Valid logins of the caller's user, newest last.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct LoginList {
    /// Logins.
    pub logins: Vec<LoginItem>,
}

/// Public key in the format of RFC 7517 and RFC 8037.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Jwk {
    /// Always `OKP`.
    pub kty: String,
    /// Always `Ed25519`.
    pub crv: String,
    /// Always `EdDSA`.
    pub alg: String,
    /// Always `sig`.
    #[serde(rename = "use")]
    pub usage: String,
    /// Id of the key, as in the header of a token.
    pub kid: String,
    /// Public key, base64url.
    pub x: String,
}

/// Public keys that verify access tokens.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct JwkSet {
    /// Keys.
    pub keys: Vec<Jwk>,
}

/// Replacement of the key that signs access tokens.
#[derive(Debug, Clone, Copy, Default, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct RotateSigningKey {
    /// Also refuses the tokens of all earlier keys: for a key that may have been copied. Clients refresh their logins.
    #[serde(default)]
    pub revoke: bool,
}

/// Key that signs, or has signed, access tokens.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct SigningKeyBody {
    /// Id of the key.
    pub kid: String,
    /// `signing`, or `verifying` until the last token that it signed has expired.
    pub state: String,
    /// Time of creation, ISO 8601.
    pub created_at: String,
    /// Time at which another key took its place, ISO 8601.
    pub replaced_at: Option<String>,
    /// Time from which its tokens are refused, ISO 8601.
    pub verifies_until: Option<String>,
}

/// Signing keys, newest last.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct SigningKeyList {
    /// Keys.
    pub keys: Vec<SigningKeyBody>,
}

/// Writes a secret that the response is there to deliver.
fn exposed<S: Serializer>(secret: &Secret, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(secret.expose())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tokens_are_in_the_body_and_not_in_debug() {
        let body = LoginBody {
            access_token: Secret::new("eyJabc"),
            token_type: "Bearer".to_owned(),
            expires_in: 900,
            refresh_token: Secret::new("hrt_abc"),
            refresh_expires_at: String::new(),
            login: LoginId::new(),
            user: UserId::new(),
            organisation: OrganisationId::new(),
            role: MemberRole::Owner,
        };
        assert!(!format!("{body:?}").contains("abc"));
        let json = serde_json::to_value(&body).unwrap();
        assert_eq!((&json["access_token"], &json["refresh_token"]), (&"eyJabc".into(), &"hrt_abc".into()));
        assert_eq!(serde_json::from_value::<LoginBody>(json).unwrap().refresh_token.expose(), "hrt_abc");
    }

    #[test]
    fn unknown_field_is_refused() {
        for body in [r#"{"email": "a", "password": "b", "otp": "1"}"#, r#"{"email": "a"}"#] {
            assert!(serde_json::from_str::<LoginRequest>(body).is_err(), "{body}");
        }
        assert!(serde_json::from_str::<LogoutRequest>(r#"{"everywhere": "yes"}"#).is_err());
        assert!(!serde_json::from_str::<LogoutRequest>("{}").unwrap().everywhere);
    }
}
