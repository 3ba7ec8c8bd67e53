//! Access tokens of OAuth: from a refresh token (RFC 6749, section 6), and for a service account of Google (RFC 7523,
//! <https://developers.google.com/identity/protocols/oauth2/service-account>).

use std::time::Duration;

use base64::{
    Engine as _,
    prelude::{BASE64_STANDARD, BASE64_URL_SAFE_NO_PAD},
};
use bytes::Bytes;
use hearth_domain::{Secret, Timestamp};
use hearth_wire::{ApiError, ErrorCode};
use http::{
    HeaderValue, Request,
    header::{ACCEPT, CONTENT_TYPE},
};
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use ring::{
    rand::SystemRandom,
    signature::{RSA_PKCS1_SHA256, RsaKeyPair},
};
use serde::{Deserialize, Deserializer};
use serde_json::json;
use zeroize::Zeroizing;

use crate::{VendorClient, json_document, lenient};

/// Timeout of a request for a token.
const TOKEN_TIMEOUT: Duration = Duration::from_secs(10);
/// Maximum size of an answer.
const ANSWER_MAX_BYTES: usize = 64 << 10;
/// Lifetime of an assertion: Google's maximum.
const ASSERTION_TTL: Duration = Duration::from_secs(3600);
/// The scope that a service account asks for, if none is set.
const DEFAULT_SCOPE: &str = "https://www.googleapis.com/auth/cloud-platform";
const GRANT_TYPE: &str = "urn:ietf:params:oauth:grant-type:jwt-bearer";

/// The answer of a token endpoint.
#[derive(Debug, Deserialize)]
pub struct TokenAnswer {
    /// The access token.
    pub access_token: Secret,
    /// The refresh token that replaces the one that was used; absent: it stays.
    #[serde(default)]
    pub refresh_token: Option<Secret>,
    /// Seconds until the access token ends.
    #[serde(default, deserialize_with = "seconds")]
    pub expires_in: Option<u64>,
}

/// The key file of a service account.
#[derive(Debug, Deserialize)]
pub struct ServiceAccount {
    /// The account.
    pub client_email: String,
    /// The address of the token endpoint.
    pub token_uri: String,
    private_key: Secret,
    #[serde(default)]
    private_key_id: Option<String>,
}

impl ServiceAccount {
    /// Parses a key file.
    ///
    /// # Errors
    /// `invalid_request`, naming `service_account`.
    pub fn parse(json: &Secret) -> Result<Self, ApiError> {
        // The parser's message may show a part of the file.
        let account: Self = serde_json::from_str(json.expose()).map_err(|_| {
            let problem = "it isn't the JSON key file of a service account: client_email, token_uri and private_key are missing";
            ApiError::invalid("service_account", problem)
        })?;
        account.key()?;
        Ok(account)
    }

    /// The form that asks the token endpoint for an access token.
    ///
    /// # Errors
    /// `invalid_request` for a bad private key.
    pub fn form(&self, scope: Option<&str>, now: Timestamp) -> Result<Vec<(&'static str, Secret)>, ApiError> {
        let header = json!({"alg": "RS256", "typ": "JWT", "kid": self.private_key_id});
        let claims = json!({
            "iss": self.client_email,
            "scope": scope.unwrap_or(DEFAULT_SCOPE),
            "aud": self.token_uri,
            "iat": now.unix(),
            "exp": now.plus(ASSERTION_TTL).unix(),
        });
        let encode = |value: &serde_json::Value| BASE64_URL_SAFE_NO_PAD.encode(value.to_string());
        let signed = format!("{}.{}", encode(&header), encode(&claims));
        let key = self.key()?;
        let mut signature = vec![0; key.public().modulus_len()];
        key.sign(&RSA_PKCS1_SHA256, &SystemRandom::new(), signed.as_bytes(), &mut signature)
            .map_err(|_| bad_key())?;
        let assertion = format!("{signed}.{}", BASE64_URL_SAFE_NO_PAD.encode(signature));
        Ok(vec![("grant_type", Secret::new(GRANT_TYPE)), ("assertion", Secret::new(assertion))])
    }

    fn key(&self) -> Result<RsaKeyPair, ApiError> {
        let lines = self.private_key.expose().lines().map(str::trim);
        let body = Zeroizing::new(lines.filter(|line| !line.starts_with("-----")).collect::<String>());
        let der = Zeroizing::new(BASE64_STANDARD.decode(&*body).map_err(|_| bad_key())?);
        RsaKeyPair::from_pkcs8(&der).map_err(|_| bad_key())
    }
}

fn bad_key() -> ApiError {
    ApiError::invalid("service_account", "its private_key isn't an RSA key in PKCS #8 of 2048 bits or more")
}

/// Requests an access token by this form.
///
/// # Errors
/// `provider_auth` if the endpoint refuses it; `provider_error` or `provider_timeout` if there is no answer. The
/// messages have none of the endpoint's text.
pub async fn request_token(
    client: &VendorClient,
    url: &str,
    form: &[(&'static str, Secret)],
) -> Result<TokenAnswer, ApiError> {
    let failed = |problem: &str| {
        ApiError::new(ErrorCode::ProviderError, format!("the token endpoint {problem}; try again later"))
    };
    let request = request(url, form).ok_or_else(|| failed("has an address that isn't a URL"))?;
    let answer = async {
        let response = client.send(request).await.map_err(|_| failed("can't be reached"))?;
        let status = response.status;
        if status.is_client_error() {
            let message = format!(
                "the token endpoint refuses the stored credential (status {}); store a new one",
                status.as_u16()
            );
            return Err(ApiError::new(ErrorCode::ProviderAuth, message));
        }
        if !status.is_success() {
            return Err(failed(&format!("answers with the status {}", status.as_u16())));
        }
        // The reader's errors may show a part of the answer.
        let body = json_document::read_body(response, ANSWER_MAX_BYTES).await;
        let body =
            body.map_err(|_| failed("sends an answer that is cut off, too long or in an unknown coding"))?;
        json_document::parse(&body).map_err(|_| failed("sends an answer without an access token"))
    };
    tokio::time::timeout(TOKEN_TIMEOUT, answer).await.unwrap_or_else(|_| {
        let message = format!("the token endpoint didn't answer within {} s", TOKEN_TIMEOUT.as_secs());
        Err(ApiError::new(ErrorCode::ProviderTimeout, message))
    })
}

fn request(url: &str, form: &[(&'static str, Secret)]) -> Option<Request<Bytes>> {
    let encode = |text: &str| utf8_percent_encode(text, NON_ALPHANUMERIC).to_string();
    let fields: Vec<String> =
        form.iter().map(|(name, value)| format!("{name}={}", encode(value.expose()))).collect();
    let mut request = Request::post(url).body(Bytes::from(fields.join("&"))).ok()?;
    let form = HeaderValue::from_static("application/x-www-form-urlencoded");
    request.headers_mut().insert(CONTENT_TYPE, form);
    request.headers_mut().insert(ACCEPT, HeaderValue::from_static("application/json"));
    Some(request)
}

/// Reads a number of seconds, which some endpoints send as a text.
fn seconds<'de, D: Deserializer<'de>>(from: D) -> Result<Option<u64>, D::Error> {
    Ok(lenient::count(from)?.map(u64::from))
}

#[cfg(test)]
mod tests {
    use axum::{Router, http::header::CONTENT_ENCODING, routing::post};

    use super::*;
    use crate::decompress::gzipped;

    async fn token_of(answer: &'static str) -> Result<TokenAnswer, ApiError> {
        let _ = rustls::crypto::ring::default_provider().install_default();
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/token", listener.local_addr().unwrap());
        let answer = move || async move { ([(CONTENT_ENCODING, "gzip")], gzipped(answer.as_bytes())) };
        let router = Router::new().route("/token", post(answer));
        tokio::spawn(async move { axum::serve(listener, router).await });
        request_token(&crate::vendor_client().unwrap(), &url, &[("grant_type", Secret::new("x"))]).await
    }

    #[tokio::test]
    async fn answer_with_a_byte_order_mark_is_read_compressed() {
        let answer =
            token_of("\u{feff}{\"access_token\":\"at-1\",\"expires_in\":\"3599\",\"refresh_token\":null}")
                .await;
        let answer = answer.unwrap();
        assert_eq!((answer.access_token.expose(), answer.expires_in), ("at-1", Some(3599)));
        assert!(answer.refresh_token.is_none());
    }

    #[tokio::test]
    async fn error_has_none_of_the_endpoints_text() {
        for body in ["{\"error\":\"planted\"}", "event: error\ndata: planted\n\n", "planted", ""] {
            let error = token_of(body).await.unwrap_err();
            assert_eq!(error.code, ErrorCode::ProviderError);
            assert!(error.message.contains("without an access token"), "{error}");
            assert!(!error.message.contains("planted"), "{error}");
        }
    }
}
