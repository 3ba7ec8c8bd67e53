//! Where a client reaches the gateway: what links begin with.

use std::convert::Infallible;

use axum::extract::FromRequestParts;
use http::{HeaderMap, header::HOST, request::Parts};

/// The gateway's address as the client at hand knows it, without a slash at its end. It is the client's own word,
/// and only told to that client again. Empty if the client says nothing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PublicUrl(pub String);

impl<S: Send + Sync> FromRequestParts<S> for PublicUrl {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Infallible> {
        #[cfg(feature = "lambda")]
        let stage = stage(parts).unwrap_or_default();
        #[cfg(not(feature = "lambda"))]
        let stage = String::new();
        Ok(Self(address(&parts.headers, &stage)))
    }
}

/// What API Gateway has before the routes in its own address: `/prod`. A domain of one's own has nothing there.
#[cfg(feature = "lambda")]
fn stage(parts: &Parts) -> Option<String> {
    use lambda_http::request::RequestContext;
    let RequestContext::ApiGatewayV1(context) = parts.extensions.get()? else { return None };
    context.path.as_deref()?.strip_suffix(parts.uri.path()).map(str::to_owned)
}

/// The address that a request was sent to. A proxy tells the scheme and the host that it was asked for.
fn address(headers: &HeaderMap, stage: &str) -> String {
    let first = |name: &str| {
        let value = headers.get(name)?.to_str().ok()?;
        value.split(',').next().map(str::trim).filter(|value| !value.is_empty()).map(str::to_owned)
    };
    let host = first("x-forwarded-host").or_else(|| first(HOST.as_str())).filter(|host| is_authority(host));
    let scheme = first("x-forwarded-proto").filter(|scheme| scheme == "https");
    host.map(|host| format!("{}://{host}{stage}", scheme.as_deref().unwrap_or("http"))).unwrap_or_default()
}

/// Whether a text is a host and perhaps a port, and nothing else.
fn is_authority(text: &str) -> bool {
    text.parse::<http::uri::Authority>().is_ok_and(|authority| !authority.as_str().contains('@'))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(headers: &[(&'static str, &'static str)], stage: &str) -> String {
        let headers = headers.iter().map(|(name, value)| (name.parse().unwrap(), value.parse().unwrap()));
        address(&headers.collect(), stage)
    }

    #[test]
    fn links_begin_where_the_client_has_asked() {
        assert_eq!(told(&[("host", "127.0.0.1:8080")], ""), "http://127.0.0.1:8080");
        let proxied =
            [("host", "10.0.0.2"), ("x-forwarded-host", "ai.example.org"), ("x-forwarded-proto", "https")];
        assert_eq!(told(&proxied, ""), "https://ai.example.org");
        let cloud = [("host", "a1.execute-api.eu-west-1.amazonaws.com"), ("x-forwarded-proto", "https")];
        assert_eq!(told(&cloud, "/prod"), "https://a1.execute-api.eu-west-1.amazonaws.com/prod");
        for odd in ["", "a b", "user@host", "host/path"] {
            assert_eq!(told(&[("host", odd)], ""), "", "{odd:?}");
        }
    }
}
