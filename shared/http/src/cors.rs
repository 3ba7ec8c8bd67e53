//! CORS headers: any page may call. The API is protected by the token, which no browser sends by itself.

use std::sync::LazyLock;

use axum::response::Response;
use http::{HeaderMap, HeaderValue, header};

use crate::{dialect, prefer_async, request_id, response_headers};

/// Seconds that a browser may cache the response to a preflight request.
const PREFLIGHT_TTL: HeaderValue = HeaderValue::from_static("3600");
const ANY: HeaderValue = HeaderValue::from_static("*");
/// Request headers that the response depends on.
const VARY: HeaderValue = HeaderValue::from_static("access-control-request-headers");

/// Response headers that a page may read, beside those that CORS exposes by default.
static EXPOSED: LazyLock<HeaderValue> = LazyLock::new(|| {
    let own =
        [request_id::HEADER, dialect::REQUEST_ID, header::RETRY_AFTER, prefer_async::PREFERENCE_APPLIED];
    let names: Vec<String> =
        own.into_iter().chain(response_headers::ALL).map(|name| name.to_string()).collect();
    HeaderValue::try_from(names.join(",")).unwrap_or(HeaderValue::from_static(""))
});

/// Creates the response to a preflight request, which reaches no route.
pub(crate) fn preflight(request_headers: &HeaderMap) -> Response {
    let mut response = Response::default();
    let headers = response.headers_mut();
    headers.insert(header::VARY, VARY);
    headers.insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, ANY);
    headers.insert(header::ACCESS_CONTROL_ALLOW_METHODS, ANY);
    // A wildcard would leave out `Authorization` (Fetch Standard, section 4.9).
    if let Some(names) = request_headers.get(header::ACCESS_CONTROL_REQUEST_HEADERS) {
        headers.insert(header::ACCESS_CONTROL_ALLOW_HEADERS, names.clone());
    }
    headers.insert(header::ACCESS_CONTROL_MAX_AGE, PREFLIGHT_TTL);
    response
}

/// Adds the headers that let a page read a response.
pub(crate) fn allow(headers: &mut HeaderMap) {
    headers.append(header::VARY, VARY);
    headers.insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, ANY);
    headers.insert(header::ACCESS_CONTROL_EXPOSE_HEADERS, EXPOSED.clone());
}

#[cfg(test)]
mod tests {
    use std::{convert::Infallible, time::Duration};

    use axum::{body::Body, extract::Request};
    use tower::{Layer as _, ServiceExt as _, service_fn};
    use tower_http::cors::{AllowHeaders, Any, CorsLayer};

    use super::*;

    /// Returns the response of tower-http's implementation of the Fetch Standard.
    async fn reference(request: Request) -> Response {
        let own =
            [request_id::HEADER, dialect::REQUEST_ID, header::RETRY_AFTER, prefer_async::PREFERENCE_APPLIED];
        let layer = CorsLayer::new()
            .allow_origin(Any)
            .allow_methods(Any)
            .allow_headers(AllowHeaders::mirror_request())
            .expose_headers(own.into_iter().chain(response_headers::ALL).collect::<Vec<_>>())
            .max_age(Duration::from_secs(3600));
        let route = service_fn(async |_: Request| Ok::<_, Infallible>(Response::<Body>::default()));
        layer.layer(route).oneshot(request).await.unwrap()
    }

    #[tokio::test]
    async fn headers_are_those_of_tower_http() {
        for names in [None, Some("authorization,content-type")] {
            let mut request = Request::options("/v1/generate").header("origin", "https://app.example");
            if let Some(names) = names {
                request = request.header("access-control-request-headers", names);
            }
            let request = request.body(Body::empty()).unwrap();
            let answer = preflight(request.headers());
            assert_eq!(*answer.headers(), *reference(request).await.headers());
        }
        let mut headers = HeaderMap::new();
        allow(&mut headers);
        assert_eq!(headers, *reference(Request::new(Body::empty())).await.headers());
    }
}
