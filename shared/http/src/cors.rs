//! CORS headers: any page may call, or those that the operator lists. The API is protected by the token, which no
//! browser sends by itself.

use std::sync::{Arc, LazyLock};

use axum::response::Response;
use http::{HeaderMap, HeaderName, HeaderValue, header};

use crate::{dialect, prefer_async, rate_headers, request_id, response_headers};

/// Seconds that a browser may cache the response to a preflight request.
const PREFLIGHT_TTL: HeaderValue = HeaderValue::from_static("3600");
const ANY: HeaderValue = HeaderValue::from_static("*");
/// Request headers that the response depends on.
const VARY: HeaderValue = HeaderValue::from_static("origin, access-control-request-headers");

/// Headers of every route that a page may read.
const EXPOSED_OF_ROUTES: [HeaderName; 7] = [
    request_id::HEADER,
    dialect::REQUEST_ID,
    header::RETRY_AFTER,
    prefer_async::PREFERENCE_APPLIED,
    header::CONTENT_DISPOSITION,
    header::CONTENT_RANGE,
    header::ETAG,
];
/// Response headers that a page may read, beside those that CORS exposes by default.
static EXPOSED: LazyLock<HeaderValue> = LazyLock::new(|| {
    let names: Vec<String> = EXPOSED_OF_ROUTES
        .into_iter()
        .chain(response_headers::ALL)
        .chain(rate_headers::all())
        .map(|name| name.to_string())
        .collect();
    HeaderValue::try_from(names.join(",")).unwrap_or(HeaderValue::from_static(""))
});

/// Pages that may read responses.
#[derive(Debug, Clone, Default)]
pub(crate) enum AllowedOrigins {
    /// All.
    #[default]
    Any,
    /// Pages of these origins.
    Listed(Arc<[String]>),
}

/// The decision about the page of one request.
#[derive(Debug, Clone)]
pub(crate) struct PageAccess {
    /// Value of the header that allows the page to read the response; none if it may not.
    origin: Option<HeaderValue>,
    /// The request has an origin. Programs that aren't pages send none, and read all headers anyway.
    is_page: bool,
}

impl AllowedOrigins {
    pub(crate) fn listed(origins: &[String]) -> Self {
        Self::Listed(origins.into())
    }

    /// The decision about the page that sends a request.
    pub(crate) fn page(&self, request_headers: &HeaderMap) -> PageAccess {
        let origin = request_headers.get(header::ORIGIN);
        let is_page = origin.is_some();
        let Self::Listed(listed) = self else { return PageAccess { origin: Some(ANY), is_page } };
        let is_listed =
            |origin: &&HeaderValue| listed.iter().any(|listed| origin.as_bytes() == listed.as_bytes());
        PageAccess { origin: origin.filter(is_listed).cloned(), is_page }
    }
}

/// Creates the response to a preflight request, which reaches no route.
pub(crate) fn preflight(request_headers: &HeaderMap, page: &PageAccess) -> Response {
    let mut response = Response::default();
    let headers = response.headers_mut();
    headers.insert(header::VARY, VARY);
    let Some(origin) = &page.origin else { return response };
    headers.insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, origin.clone());
    headers.insert(header::ACCESS_CONTROL_ALLOW_METHODS, ANY);
    // A wildcard would leave out `Authorization` (Fetch Standard, section 4.9).
    if let Some(names) = request_headers.get(header::ACCESS_CONTROL_REQUEST_HEADERS) {
        headers.insert(header::ACCESS_CONTROL_ALLOW_HEADERS, names.clone());
    }
    headers.insert(header::ACCESS_CONTROL_MAX_AGE, PREFLIGHT_TTL);
    response
}

/// Adds the headers that let a page read a response. The long list of exposed headers is for pages alone.
pub(crate) fn allow(headers: &mut HeaderMap, page: &PageAccess) {
    headers.append(header::VARY, VARY);
    let Some(origin) = &page.origin else { return };
    headers.insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, origin.clone());
    if page.is_page {
        headers.insert(header::ACCESS_CONTROL_EXPOSE_HEADERS, EXPOSED.clone());
    }
}

#[cfg(test)]
mod tests {
    use std::{convert::Infallible, time::Duration};

    use axum::{body::Body, extract::Request};
    use tower::{Layer as _, ServiceExt as _, service_fn};
    use tower_http::cors::{AllowHeaders, Any, CorsLayer};

    use super::*;

    /// Returns the headers of tower-http's implementation of the Fetch Standard.
    async fn reference(request: Request) -> HeaderMap {
        let layer = CorsLayer::new()
            .allow_origin(Any)
            .allow_methods(Any)
            .allow_headers(AllowHeaders::mirror_request())
            .expose_headers(
                EXPOSED_OF_ROUTES
                    .into_iter()
                    .chain(response_headers::ALL)
                    .chain(rate_headers::all())
                    .collect::<Vec<_>>(),
            )
            .max_age(Duration::from_secs(3600));
        let route = service_fn(async |_: Request| Ok::<_, Infallible>(Response::<Body>::default()));
        let mut headers = layer.layer(route).oneshot(request).await.unwrap().headers().clone();
        // Ours depend on the origin too, since only pages get the exposed headers.
        assert_eq!(headers.insert(header::VARY, VARY).unwrap(), "access-control-request-headers");
        headers
    }

    #[tokio::test]
    async fn headers_are_those_of_tower_http() {
        for names in [None, Some("authorization,content-type")] {
            let mut request = Request::options("/v1/generate").header("origin", "https://app.example");
            if let Some(names) = names {
                request = request.header("access-control-request-headers", names);
            }
            let request = request.body(Body::empty()).unwrap();
            let answer = preflight(request.headers(), &AllowedOrigins::Any.page(request.headers()));
            assert_eq!(*answer.headers(), reference(request).await);
        }
        let of_page =
            HeaderMap::from_iter([(header::ORIGIN, HeaderValue::from_static("https://app.example"))]);
        let mut headers = HeaderMap::new();
        allow(&mut headers, &AllowedOrigins::Any.page(&of_page));
        assert_eq!(headers, reference(Request::new(Body::empty())).await);
    }

    #[test]
    fn request_without_an_origin_gets_no_list_of_exposed_headers() {
        let mut headers = HeaderMap::new();
        allow(&mut headers, &AllowedOrigins::Any.page(&HeaderMap::new()));
        assert!(!headers.contains_key(header::ACCESS_CONTROL_EXPOSE_HEADERS));
        assert_eq!(headers[header::ACCESS_CONTROL_ALLOW_ORIGIN], "*");
    }

    #[test]
    fn only_a_listed_page_may_read_responses() {
        let allowed = AllowedOrigins::listed(&["https://app.example".to_owned()]);
        for (origin, expected) in [
            (Some("https://app.example"), Some("https://app.example")),
            (Some("https://app.example.org"), None),
            (Some("http://app.example"), None),
            (Some("null"), None),
            (None, None),
        ] {
            let mut request = HeaderMap::new();
            if let Some(origin) = origin {
                request.insert(header::ORIGIN, origin.parse().unwrap());
            }
            let page = allowed.page(&request);
            let mut headers = HeaderMap::new();
            allow(&mut headers, &page);
            for headers in [&headers, preflight(&request, &page).headers()] {
                let sent =
                    headers.get(header::ACCESS_CONTROL_ALLOW_ORIGIN).map(|value| value.to_str().unwrap());
                assert_eq!(sent, expected, "{origin:?}");
                assert!(headers[header::VARY].to_str().unwrap().contains("origin"), "{origin:?}");
            }
        }
    }
}
