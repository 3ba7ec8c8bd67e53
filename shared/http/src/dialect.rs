//! Layers of routes whose dialect has an error format of its own.

use std::panic::AssertUnwindSafe;

use axum::{
    extract::Request,
    middleware,
    middleware::Next,
    response::{IntoResponse as _, Response},
};
use futures::FutureExt as _;
use hearth_wire::{ApiError, ErrorCode};
use http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, header};

use crate::{
    documented_routes::Routes, error::HttpError, error_format::ErrorFormat, panic, request_id::RequestId,
};

/// Response header in which Anthropic's SDKs look for the request's id.
pub const REQUEST_ID: HeaderName = HeaderName::from_static("request-id");

/// Request header that only Anthropic's clients send.
pub const ANTHROPIC_VERSION: HeaderName = HeaderName::from_static("anthropic-version");

/// Request header in which only Google's clients send their key.
const GOOGLE_KEY: HeaderName = HeaderName::from_static("x-goog-api-key");

/// Methods of models in Google's API.
const GEMINI_METHODS: [&str; 5] =
    ["generateContent", "streamGenerateContent", "countTokens", "embedContent", "batchEmbedContents"];

/// Gives routes Anthropic's error format, and its header with the request's id. Called last: it covers the guard too.
pub fn anthropic(routes: Routes) -> Routes {
    routes.route_layer(middleware::from_fn(with_anthropic_errors))
}

/// Gives routes Ollama's error format. Bodies are parsed as JSON whatever their media type: the examples of Ollama's
/// documentation use `curl -d`, which sends that of a form. Called last: it covers the guard too.
pub fn ollama(routes: Routes) -> Routes {
    routes.route_layer(middleware::from_fn(async |mut request: Request, next: Next| {
        request.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
        with_ollama_errors(run(request, next).await)
    }))
}

/// Gives routes Google's error format. A key in the URL, which Google accepts, is refused: proxies log URLs, and browsers
/// store them. Called last: it covers the guard too.
pub fn gemini(routes: Routes) -> Routes {
    routes.route_layer(middleware::from_fn(async |request: Request, next: Next| {
        let response = match has_key(request.uri().query().unwrap_or_default()) {
            true => HttpError(key_in_url()).into_response(),
            false => run(request, next).await,
        };
        with_gemini_errors(response)
    }))
}

/// Redirects Google's clients, some of which request models below `/v1/models`, to the same path below `/v1beta`. Routes
/// can't distinguish them: one wildcard matches all ids. Called last: it covers the guard too.
pub fn redirect_gemini_clients(routes: Routes) -> Routes {
    routes.route_layer(middleware::from_fn(async |request: Request, next: Next| {
        let Some(location) = gemini_location(&request) else { return next.run(request).await };
        if has_key(request.uri().query().unwrap_or_default()) {
            return with_gemini_errors(HttpError(key_in_url()).into_response());
        }
        match HeaderValue::from_str(&location) {
            Ok(location) => (StatusCode::TEMPORARY_REDIRECT, [(header::LOCATION, location)]).into_response(),
            Err(_) => next.run(request).await,
        }
    }))
}

/// Returns the new location of a request below `/v1/models`, if a client of Google's sent it. The location is relative,
/// since a proxy may have a prefix before the path.
fn gemini_location(request: &Request) -> Option<String> {
    let path = request.uri().path();
    let rest = path.strip_prefix("/v1/models")?;
    let method = rest.rsplit_once(':').map(|(_, method)| method);
    let acts =
        *request.method() == Method::POST && method.is_some_and(|method| GEMINI_METHODS.contains(&method));
    let reads = *request.method() == Method::GET && request.headers().contains_key(GOOGLE_KEY);
    if !acts && !reads {
        return None;
    }
    let up = "../".repeat(path.matches('/').count().saturating_sub(1));
    let query = request.uri().query().map(|query| format!("?{query}")).unwrap_or_default();
    Some(format!("{up}v1beta/models{rest}{query}"))
}

/// Returns whether a query has an API key in the parameter of Google's API.
fn has_key(query: &str) -> bool {
    query.split('&').any(|pair| pair.split('=').next().is_some_and(|name| name.eq_ignore_ascii_case("key")))
}

fn key_in_url() -> ApiError {
    let message = "the URL has an API key (key=...), which is refused: URLs are logged and stored in histories. Send the \
                   token in the header x-goog-api-key, and replace the token that was in the URL";
    ApiError::new(ErrorCode::Unauthorized, message).at("key")
}

/// Marks a response: if it has an error, the error is written in Google's format.
pub(crate) fn with_gemini_errors(mut response: Response) -> Response {
    response.extensions_mut().insert(ErrorFormat::Gemini);
    response
}

/// Marks a response: if it has an error, the error is written in Ollama's format.
pub(crate) fn with_ollama_errors(mut response: Response) -> Response {
    response.extensions_mut().insert(ErrorFormat::Ollama);
    response
}

/// Gives routes that several dialects share the error format of the client: Anthropic's for its clients. Called last.
pub fn with_client_error_format(routes: Routes) -> Routes {
    routes.route_layer(middleware::from_fn(async |request: Request, next: Next| {
        if is_anthropic(request.headers()) {
            with_anthropic_errors(request, next).await
        } else {
            next.run(request).await
        }
    }))
}

/// Returns the betas of Anthropic's API that the client requests.
#[must_use]
pub fn betas(headers: &HeaderMap) -> Vec<String> {
    let values = headers.get_all("anthropic-beta").iter().filter_map(|value| value.to_str().ok());
    let names = values.flat_map(|value| value.split(',')).map(str::trim).filter(|name| !name.is_empty());
    names.map(str::to_owned).collect()
}

/// Returns whether the request comes from a client of Anthropic's API.
#[must_use]
pub fn is_anthropic(headers: &HeaderMap) -> bool {
    headers.contains_key(ANTHROPIC_VERSION)
}

/// Creates the response of an error outside of routes, in the error format of the client.
pub(crate) fn in_client_format(error: HttpError, headers: &HeaderMap) -> Response {
    let mut response = error.into_response();
    if is_anthropic(headers) {
        response.extensions_mut().insert(ErrorFormat::Anthropic);
    } else if headers.contains_key(GOOGLE_KEY) {
        response.extensions_mut().insert(ErrorFormat::Gemini);
    }
    response
}

/// Runs a route, and catches its panic: outside of this layer its error format isn't known.
async fn run(request: Request, next: Next) -> Response {
    let response = AssertUnwindSafe(next.run(request)).catch_unwind().await;
    response.unwrap_or_else(|panic| panic::response(&*panic))
}

async fn with_anthropic_errors(request: Request, next: Next) -> Response {
    let id = request.extensions().get::<RequestId>().copied();
    let mut response = run(request, next).await;
    response.extensions_mut().insert(ErrorFormat::Anthropic);
    if let Some(value) = id.and_then(RequestId::header) {
        response.headers_mut().insert(REQUEST_ID, value);
    }
    response
}

#[cfg(test)]
mod tests {
    use axum::{Router, body::to_bytes, routing::get};
    use serde_json::Value;
    use tower::ServiceExt as _;

    use super::*;
    use crate::RequestLayer;

    async fn refuse() -> HttpError {
        HttpError(ApiError::new(ErrorCode::Unauthorized, "no API token was sent"))
    }

    #[test]
    fn betas_are_read_from_one_header_or_several() {
        let mut headers = HeaderMap::new();
        for names in ["one, two", "three", " ,"] {
            headers.append("anthropic-beta", names.parse().unwrap());
        }
        assert_eq!(betas(&headers), ["one", "two", "three"]);
        assert!(betas(&HeaderMap::new()).is_empty());
    }

    #[test]
    fn gemini_clients_are_redirected_to_v1beta() {
        let location = |method: Method, uri: &str, header: &'static str| {
            let request = Request::builder().method(method).uri(uri).header(header, "x");
            gemini_location(&request.body(axum::body::Body::empty()).unwrap())
        };
        let (post, get, key) = (Method::POST, Method::GET, "x-goog-api-key");
        let path = "/v1/models/openai:a/b:streamGenerateContent?alt=sse";
        let expected = "../../../v1beta/models/openai:a/b:streamGenerateContent?alt=sse";
        assert_eq!(location(post.clone(), path, "x-api-key").as_deref(), Some(expected));
        assert_eq!(
            location(get.clone(), "/v1/models?pageSize=1", key).as_deref(),
            Some("../v1beta/models?pageSize=1")
        );
        assert_eq!(location(get.clone(), "/v1/models/m", key).as_deref(), Some("../../v1beta/models/m"));
        for (method, uri, header) in [
            (get, "/v1/models/m", "x-api-key"),
            (post.clone(), "/v1/models/m/load", key),
            (post, "/v1/models/m:b", key),
        ] {
            assert_eq!(location(method, uri, header), None, "{uri}");
        }
    }

    #[tokio::test]
    async fn errors_have_the_format_of_their_route() {
        let theirs = Router::new()
            .route("/theirs", get(refuse))
            .route_layer(middleware::from_fn(with_anthropic_errors));
        let router = Router::new().route("/ours", get(refuse)).merge(theirs);
        let router = router.layer(RequestLayer::default());
        for (path, kind) in [("/theirs", Some("error")), ("/ours", None)] {
            let request = Request::get(path).body(axum::body::Body::empty()).unwrap();
            let response = router.clone().oneshot(request).await.unwrap();
            assert_eq!(response.status(), 401);
            let header = |name: &str| response.headers().get(name).map(|id| id.to_str().unwrap().to_owned());
            let (id, theirs) = (header("x-request-id").unwrap(), header("request-id"));
            assert_eq!(theirs.as_deref(), kind.map(|_| id.as_str()));
            let body: Value =
                serde_json::from_slice(&to_bytes(response.into_body(), 1 << 16).await.unwrap()).unwrap();
            assert_eq!(
                (body["type"].as_str(), &body["error"]["type"]),
                (kind, &"authentication_error".into())
            );
            let body_id = if kind.is_some() { &body["request_id"] } else { &body["error"]["request_id"] };
            assert_eq!(body_id.as_str(), Some(id.as_str()));
        }
    }

    #[tokio::test]
    async fn panic_is_answered_in_the_format_of_its_route() {
        let panics = async || -> HttpError { panic!("a bug") };
        let router =
            Router::new().route("/", get(panics)).route_layer(middleware::from_fn(with_anthropic_errors));
        let request = Request::get("/").body(axum::body::Body::empty()).unwrap();
        let response = router.layer(RequestLayer::default()).oneshot(request).await.unwrap();
        assert_eq!(response.status(), 500);
        let body = to_bytes(response.into_body(), 1 << 16).await.unwrap();
        let body: Value = serde_json::from_slice(&body).unwrap();
        assert_eq!((&body["type"], &body["error"]["type"]), (&"error".into(), &"api_error".into()));
    }
}
