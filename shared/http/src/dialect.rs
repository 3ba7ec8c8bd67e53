//! Routes whose dialect has errors of its own shape.

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

use crate::{HttpError, RequestId, Routes, panic};

/// The header in which Anthropic's SDKs look for the request's id.
pub const REQUEST_ID: HeaderName = HeaderName::from_static("request-id");

/// The header that Anthropic's clients send, and no others.
pub const ANTHROPIC_VERSION: HeaderName = HeaderName::from_static("anthropic-version");

/// The header in which Google's clients send their key, and no others.
const GOOGLE_KEY: HeaderName = HeaderName::from_static("x-goog-api-key");

/// What Google's clients ask models for.
const GEMINI_METHODS: [&str; 5] =
    ["generateContent", "streamGenerateContent", "countTokens", "embedContent", "batchEmbedContents"];

/// The shape of a route's errors.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) enum ErrorShape {
    /// The gateway's own, which OpenAI's SDKs read too.
    #[default]
    Own,
    /// Anthropic's.
    Anthropic,
    /// Google's.
    Gemini,
    /// Ollama's.
    Ollama,
}

/// Routes that answer as Anthropic's do: their errors have its shape, whoever refuses the request, and the
/// request's id is where its SDKs look for it. Called last: it covers the guard too.
pub fn anthropic(routes: Routes) -> Routes {
    routes.route_layer(middleware::from_fn(as_anthropic))
}

/// Routes that answer as Ollama's do: their errors have its shape, and a body is read as JSON whatever its media type
/// says, since Ollama's documentation sends none with `curl -d`. Called last: it covers the guard too.
pub fn ollama(routes: Routes) -> Routes {
    routes.route_layer(middleware::from_fn(async |mut request: Request, next: Next| {
        request.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
        in_ollamas_shape(run(request, next).await)
    }))
}

/// Routes that answer as Google's do: their errors have its shape, and a key in the URL is refused, which Google takes:
/// URLs are logged on the way, and kept in histories. Called last: it covers the guard too.
pub fn gemini(routes: Routes) -> Routes {
    routes.route_layer(middleware::from_fn(async |request: Request, next: Next| {
        let response = match has_key(request.uri().query().unwrap_or_default()) {
            true => HttpError(key_in_url()).into_response(),
            false => run(request, next).await,
        };
        in_geminis_shape(response)
    }))
}

/// Routes below `/v1/models`, where some of Google's clients ask too: they are redirected to the same below `/v1beta`. One
/// wildcard takes all ids here, so that the two can't be told apart by routes. Called last: it covers the guard too.
pub fn with_geminis_models(routes: Routes) -> Routes {
    routes.route_layer(middleware::from_fn(async |request: Request, next: Next| {
        let Some(location) = geminis_location(&request) else { return next.run(request).await };
        if has_key(request.uri().query().unwrap_or_default()) {
            return in_geminis_shape(HttpError(key_in_url()).into_response());
        }
        match HeaderValue::from_str(&location) {
            Ok(location) => (StatusCode::TEMPORARY_REDIRECT, [(header::LOCATION, location)]).into_response(),
            Err(_) => next.run(request).await,
        }
    }))
}

/// Where a request below `/v1/models` belongs, if it is one of Google's clients: relative, since a proxy may have put
/// something before the path.
fn geminis_location(request: &Request) -> Option<String> {
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

/// Whether a query has an API key, as Google's has.
fn has_key(query: &str) -> bool {
    query.split('&').any(|pair| pair.split('=').next().is_some_and(|name| name.eq_ignore_ascii_case("key")))
}

fn key_in_url() -> ApiError {
    let message = "the URL has an API key (key=...), which isn't taken: URLs are logged and kept in histories. Send the \
                   token in the header x-goog-api-key, and replace the token that was in the URL";
    ApiError::new(ErrorCode::Unauthorized, message).at("key")
}

/// The answer, whose error has Google's shape, if it is one.
pub(crate) fn in_geminis_shape(mut response: Response) -> Response {
    response.extensions_mut().insert(ErrorShape::Gemini);
    response
}

/// The answer, whose error has Ollama's shape, if it is one.
pub(crate) fn in_ollamas_shape(mut response: Response) -> Response {
    response.extensions_mut().insert(ErrorShape::Ollama);
    response
}

/// Routes that several dialects have: who asks as Anthropic's clients do gets its errors too. Called last.
pub fn as_asked(routes: Routes) -> Routes {
    routes.route_layer(middleware::from_fn(async |request: Request, next: Next| {
        if is_anthropic(request.headers()) {
            as_anthropic(request, next).await
        } else {
            next.run(request).await
        }
    }))
}

/// The betas of Anthropic's API that the client names.
#[must_use]
pub fn betas(headers: &HeaderMap) -> Vec<String> {
    let values = headers.get_all("anthropic-beta").iter().filter_map(|value| value.to_str().ok());
    let names = values.flat_map(|value| value.split(',')).map(str::trim).filter(|name| !name.is_empty());
    names.map(str::to_owned).collect()
}

/// Whether a client of Anthropic's asks.
#[must_use]
pub fn is_anthropic(headers: &HeaderMap) -> bool {
    headers.contains_key(ANTHROPIC_VERSION)
}

/// An error outside of any route, in the shape that the client reads.
pub(crate) fn in_the_clients_shape(error: HttpError, headers: &HeaderMap) -> Response {
    let mut response = error.into_response();
    if is_anthropic(headers) {
        response.extensions_mut().insert(ErrorShape::Anthropic);
    } else if headers.contains_key(GOOGLE_KEY) {
        response.extensions_mut().insert(ErrorShape::Gemini);
    }
    response
}

/// The route's answer, also where it panics: further out the shape of its errors isn't known.
async fn run(request: Request, next: Next) -> Response {
    let response = AssertUnwindSafe(next.run(request)).catch_unwind().await;
    response.unwrap_or_else(|panic| panic::response(&*panic))
}

async fn as_anthropic(request: Request, next: Next) -> Response {
    let id = request.extensions().get::<RequestId>().copied();
    let mut response = run(request, next).await;
    response.extensions_mut().insert(ErrorShape::Anthropic);
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
    fn betas_are_named_in_one_header_or_in_several() {
        let mut headers = HeaderMap::new();
        for names in ["one, two", "three", " ,"] {
            headers.append("anthropic-beta", names.parse().unwrap());
        }
        assert_eq!(betas(&headers), ["one", "two", "three"]);
        assert!(betas(&HeaderMap::new()).is_empty());
    }

    #[test]
    fn googles_clients_are_sent_to_their_own_routes() {
        let location = |method: Method, uri: &str, header: &'static str| {
            let request = Request::builder().method(method).uri(uri).header(header, "x");
            geminis_location(&request.body(axum::body::Body::empty()).unwrap())
        };
        let (post, get, key) = (Method::POST, Method::GET, "x-goog-api-key");
        let asked = "/v1/models/openai:a/b:streamGenerateContent?alt=sse";
        let told = "../../../v1beta/models/openai:a/b:streamGenerateContent?alt=sse";
        assert_eq!(location(post.clone(), asked, "x-api-key").as_deref(), Some(told));
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
    async fn errors_have_the_shape_of_their_route() {
        let theirs =
            Router::new().route("/theirs", get(refuse)).route_layer(middleware::from_fn(as_anthropic));
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
            let told = if kind.is_some() { &body["request_id"] } else { &body["error"]["request_id"] };
            assert_eq!(told.as_str(), Some(id.as_str()));
        }
    }

    #[tokio::test]
    async fn panic_is_answered_in_the_shape_of_its_route() {
        let panics = async || -> HttpError { panic!("a bug") };
        let router = Router::new().route("/", get(panics)).route_layer(middleware::from_fn(as_anthropic));
        let request = Request::get("/").body(axum::body::Body::empty()).unwrap();
        let response = router.layer(RequestLayer::default()).oneshot(request).await.unwrap();
        assert_eq!(response.status(), 500);
        let body = to_bytes(response.into_body(), 1 << 16).await.unwrap();
        let body: Value = serde_json::from_slice(&body).unwrap();
        assert_eq!((&body["type"], &body["error"]["type"]), (&"error".into(), &"api_error".into()));
    }
}
