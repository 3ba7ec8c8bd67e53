//! Public URL of the gateway: the beginning of the links in its responses.

use std::convert::Infallible;

use axum::extract::FromRequestParts;
use http::{HeaderMap, header::HOST, request::Parts};

/// Address at which the client reaches the gateway, without a slash at its end. It comes from the client's own headers,
/// and appears only in responses to that client. Empty if they have no valid host.
///
/// A server whose routes lie below a path puts it into the request's extensions; elsewhere it is made of the headers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PublicUrl(pub String);

impl PublicUrl {
    /// Address that a request with these headers was sent to, with `base_path` before the routes. A proxy reports the
    /// scheme and the host that its client used.
    #[must_use]
    pub fn from_headers(headers: &HeaderMap, base_path: &str) -> Self {
        let first = |name: &str| {
            let value = headers.get(name)?.to_str().ok()?;
            value.split(',').next().map(str::trim).filter(|value| !value.is_empty())
        };
        let host =
            first("x-forwarded-host").or_else(|| first(HOST.as_str())).filter(|host| is_authority(host));
        let scheme = first("x-forwarded-proto").filter(|scheme| *scheme == "https").unwrap_or("http");
        Self(host.map(|host| format!("{scheme}://{host}{base_path}")).unwrap_or_default())
    }
}

impl<S: Send + Sync> FromRequestParts<S> for PublicUrl {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Infallible> {
        Ok(match parts.extensions.get::<Self>() {
            Some(url) => url.clone(),
            None => Self::from_headers(&parts.headers, ""),
        })
    }
}

/// Returns whether a text is a host with an optional port, and nothing else.
fn is_authority(text: &str) -> bool {
    text.parse::<http::uri::Authority>().is_ok_and(|authority| !authority.as_str().contains('@'))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn url(headers: &[(&'static str, &'static str)], base_path: &str) -> String {
        let headers = headers.iter().map(|(name, value)| (name.parse().unwrap(), value.parse().unwrap()));
        PublicUrl::from_headers(&headers.collect(), base_path).0
    }

    #[test]
    fn url_has_the_scheme_and_host_of_the_client() {
        assert_eq!(url(&[("host", "127.0.0.1:8080")], ""), "http://127.0.0.1:8080");
        let proxied =
            [("host", "10.0.0.2"), ("x-forwarded-host", "ai.example.org"), ("x-forwarded-proto", "https")];
        assert_eq!(url(&proxied, ""), "https://ai.example.org");
        let cloud = [("host", "a1.execute-api.eu-west-1.amazonaws.com"), ("x-forwarded-proto", "https")];
        assert_eq!(url(&cloud, "/prod"), "https://a1.execute-api.eu-west-1.amazonaws.com/prod");
        for odd in ["", "a b", "user@host", "host/path"] {
            assert_eq!(url(&[("host", odd)], ""), "", "{odd:?}");
        }
    }

    #[tokio::test]
    async fn url_of_the_extensions_is_extracted() {
        let request = http::Request::builder().header("host", "a.example");
        let url = PublicUrl("https://b.example/prod".to_owned());
        let (mut parts, ()) = request.extension(url.clone()).body(()).unwrap().into_parts();
        assert_eq!(PublicUrl::from_request_parts(&mut parts, &()).await.unwrap(), url);
        parts.extensions.clear();
        let url = PublicUrl::from_request_parts(&mut parts, &()).await.unwrap();
        assert_eq!(url.0, "http://a.example");
    }
}
