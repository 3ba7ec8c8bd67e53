//! Headers by which a browser is careful with a response.

use std::{convert::Infallible, net::IpAddr};

use axum::extract::FromRequestParts;
use http::{
    HeaderMap, HeaderName, HeaderValue,
    header::{
        CONTENT_SECURITY_POLICY, REFERRER_POLICY, STRICT_TRANSPORT_SECURITY, X_CONTENT_TYPE_OPTIONS,
        X_FRAME_OPTIONS,
    },
    request::Parts,
};

/// Policy of responses that are data: nothing in them is loaded or run, and no page shows them in a frame.
const DATA_POLICY: HeaderValue = HeaderValue::from_static("default-src 'none'; frame-ancestors 'none'");
/// A year, as browsers' lists of hosts ask for.
const HTTPS_ONLY: HeaderValue = HeaderValue::from_static("max-age=31536000");

/// The client's connection has TLS: that of API Gateway, or of a proxy that the operator trusts. A header that a client
/// can set decides nothing. The server puts it into the request's extensions.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct SecureTransport(pub bool);

impl SecureTransport {
    /// The transport of a connection from `peer`, by the `x-forwarded-proto` of a trusted proxy. The proxy's own value
    /// is the last one.
    #[must_use]
    pub fn of_connection(peer: IpAddr, headers: &HeaderMap, is_trusted: impl Fn(IpAddr) -> bool) -> Self {
        if !is_trusted(peer.to_canonical()) {
            return Self(false);
        }
        let last =
            headers.get_all("x-forwarded-proto").iter().next_back().and_then(|value| value.to_str().ok());
        let last = last.and_then(|value| value.rsplit(',').next()).map(str::trim);
        Self(last.is_some_and(|scheme| scheme.eq_ignore_ascii_case("https")))
    }
}

impl<S: Send + Sync> FromRequestParts<S> for SecureTransport {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Infallible> {
        Ok(parts.extensions.get::<Self>().copied().unwrap_or_default())
    }
}

/// Adds the headers that a handler hasn't set itself. `is_shown`: a browser may show the response, which one of a `GET`
/// is.
pub(crate) fn add(headers: &mut HeaderMap, is_shown: bool, transport: SecureTransport) {
    let mut add = |name: HeaderName, value: HeaderValue| {
        headers.entry(name).or_insert(value);
    };
    add(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    if is_shown {
        add(CONTENT_SECURITY_POLICY, DATA_POLICY);
        add(X_FRAME_OPTIONS, HeaderValue::from_static("DENY"));
        add(REFERRER_POLICY, HeaderValue::from_static("no-referrer"));
    }
    if transport.0 {
        add(STRICT_TRANSPORT_SECURITY, HTTPS_ONLY);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn policy_of_a_handler_stays() {
        let mut headers = HeaderMap::new();
        headers.insert(CONTENT_SECURITY_POLICY, "sandbox".parse().unwrap());
        add(&mut headers, true, SecureTransport(false));
        assert_eq!(headers[CONTENT_SECURITY_POLICY], "sandbox");
        assert_eq!(headers.get_all(CONTENT_SECURITY_POLICY).iter().count(), 1);
        assert_eq!(
            (&headers[X_CONTENT_TYPE_OPTIONS], &headers[X_FRAME_OPTIONS]),
            (&"nosniff".parse().unwrap(), &"DENY".parse().unwrap())
        );
        assert!(!headers.contains_key(STRICT_TRANSPORT_SECURITY));
        let mut headers = HeaderMap::new();
        add(&mut headers, false, SecureTransport(true));
        assert_eq!(headers.len(), 2, "{headers:?}");
        assert_eq!(headers[STRICT_TRANSPORT_SECURITY], HTTPS_ONLY);
    }

    #[test]
    fn only_a_trusted_proxy_says_that_there_is_tls() {
        let transport = |peer: &str, values: &[&str]| {
            let mut headers = HeaderMap::new();
            for value in values {
                headers.append("x-forwarded-proto", value.parse().unwrap());
            }
            let trusted = |address: IpAddr| address.to_string().starts_with("10.");
            SecureTransport::of_connection(peer.parse().unwrap(), &headers, trusted).0
        };
        assert!(transport("10.0.0.1", &["https"]));
        assert!(transport("::ffff:10.0.0.1", &["http, HTTPS"]));
        for (peer, values) in [
            ("203.0.113.7", &["https"][..]),
            ("10.0.0.1", &[]),
            ("10.0.0.1", &["http"]),
            ("10.0.0.1", &["https, http"]),
            ("10.0.0.1", &["https", "http"]),
        ] {
            assert!(!transport(peer, values), "{peer} {values:?}");
        }
    }
}
