//! Fetches an issuer's discovery document and its keys (OpenID Connect Discovery 1.0).

use std::time::Duration;

use hearth_auth::{IssuerKeys, issuer::InvalidKeySet};
use hearth_settings::IdentityProviderSettings;
use serde::Deserialize;
use url::{Host, Url};

/// Path of the discovery document, below the issuer.
const DISCOVERY_PATH: &str = "/.well-known/openid-configuration";
/// Time for each of the two documents.
const FETCH_TIMEOUT: Duration = Duration::from_secs(5);
/// Bytes of a document.
const DOCUMENT_MAX_BYTES: usize = 512 << 10;

/// A reason why an issuer's keys can't be fetched.
#[derive(Debug, thiserror::Error)]
pub(super) enum FetchError {
    /// The request has failed.
    #[error("{document} can't be fetched: {source}")]
    Request { document: &'static str, source: reqwest::Error },
    /// The issuer's answer isn't the document.
    #[error("{document} can't be read: {problem}")]
    Content { document: &'static str, problem: String },
    /// Fetches are limited, and there was no success yet.
    #[error("the last attempts to fetch its keys have failed, and the next one is due within a minute")]
    Budget,
}

#[derive(Deserialize)]
struct Discovery {
    issuer: String,
    jwks_uri: String,
}

/// Fetches the keys of an issuer.
pub(super) async fn keys(http: &reqwest::Client, settings: &Issuer) -> Result<IssuerKeys, FetchError> {
    let content = |document, problem: String| FetchError::Content { document, problem };
    let document = "the discovery document";
    let json = fetch(http, &settings.discovery_url(), document).await?;
    let discovery: Discovery =
        serde_json::from_slice(&json).map_err(|error| content(document, error.to_string()))?;
    if discovery.issuer != settings.issuer {
        return Err(content(document, "it is of another issuer than the settings name".to_owned()));
    }
    let url = settings.check_keys_url(&discovery.jwks_uri).map_err(|problem| content(document, problem))?;
    let document = "the set of keys";
    let json = fetch(http, url.as_str(), document).await?;
    IssuerKeys::parse(&json).map_err(|error: InvalidKeySet| content(document, error.to_string()))
}

async fn fetch(http: &reqwest::Client, url: &str, document: &'static str) -> Result<Vec<u8>, FetchError> {
    let failed = |source: reqwest::Error| FetchError::Request { document, source: source.without_url() };
    let response = http.get(url).timeout(FETCH_TIMEOUT).send().await.map_err(failed)?;
    let mut response = response.error_for_status().map_err(failed)?;
    // The client follows no redirects: an issuer has its documents where it says.
    if !response.status().is_success() {
        let problem = format!("the issuer answers with status {}", response.status());
        return Err(FetchError::Content { document, problem });
    }
    let mut bytes = Vec::new();
    while let Some(chunk) = response.chunk().await.map_err(failed)? {
        bytes.extend_from_slice(&chunk);
        if bytes.len() > DOCUMENT_MAX_BYTES {
            let problem = format!("it has more than {DOCUMENT_MAX_BYTES} bytes");
            return Err(FetchError::Content { document, problem });
        }
    }
    Ok(bytes)
}

/// The address of an issuer.
#[derive(Debug)]
pub(super) struct Issuer {
    issuer: String,
    allow_http: bool,
}

impl Issuer {
    pub(super) fn new(settings: &IdentityProviderSettings) -> Self {
        Self { issuer: settings.issuer.clone(), allow_http: settings.allow_http }
    }

    fn discovery_url(&self) -> String {
        format!("{}{DISCOVERY_PATH}", self.issuer.trim_end_matches('/'))
    }

    /// Checks the address of the keys, which has TLS as the issuer has.
    fn check_keys_url(&self, text: &str) -> Result<Url, String> {
        let url = Url::parse(text).map_err(|_| "its jwks_uri is no address".to_owned())?;
        let is_loopback = match url.host() {
            Some(Host::Domain(name)) => name == "localhost",
            Some(Host::Ipv4(ip)) => ip.is_loopback(),
            Some(Host::Ipv6(ip)) => ip.is_loopback(),
            None => false,
        };
        if url.scheme() == "https" || (self.allow_http && url.scheme() == "http" && is_loopback) {
            Ok(url)
        } else {
            Err("its jwks_uri doesn't begin with https://".to_owned())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn discovery_document_is_below_the_issuer_and_keys_have_its_tls() {
        let issuer = |issuer: &str, allow_http| Issuer { issuer: issuer.to_owned(), allow_http };
        let expected = "https://a.example/t/.well-known/openid-configuration";
        for text in ["https://a.example/t", "https://a.example/t/"] {
            assert_eq!(issuer(text, false).discovery_url(), expected);
        }
        for (allow_http, url, is_valid) in [
            (false, "https://keys.example/", true),
            (false, "http://keys.example/", false),
            (true, "http://keys.example/", false),
            (false, "http://127.0.0.1/", false),
            (true, "http://127.0.0.1/", true),
            (true, "file:///etc/passwd", false),
            (true, "keys", false),
        ] {
            assert_eq!(issuer("i", allow_http).check_keys_url(url).is_ok(), is_valid, "{url} {allow_http}");
        }
    }
}
