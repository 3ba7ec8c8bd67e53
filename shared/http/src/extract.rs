//! Extractors whose errors name the field at fault.

use std::error::Error;

use axum::{
    body::{Body, Bytes},
    extract::{FromRequest, FromRequestParts, Path, Query, Request},
};
use hearth_wire::{
    ApiError, ErrorCode, field_of_reason,
    json_body::{abridge, parse_json},
    plain_reason,
};
use http::{
    HeaderMap,
    header::{CONTENT_ENCODING, CONTENT_TYPE},
    request::Parts,
};
use http_body_util::{BodyExt as _, Collected, LengthLimitError, Limited};
use serde::de::DeserializeOwned;

use crate::{
    body_budget::{self, BODY_MAX_BYTES},
    error::HttpError,
    paced_body::BodyTooSlow,
};

/// JSON body of a request.
#[derive(Debug, Clone, Copy)]
pub struct JsonBody<T>(pub T);

impl<S: Send + Sync, T: DeserializeOwned> FromRequest<S> for JsonBody<T> {
    type Rejection = HttpError;

    async fn from_request(request: Request, _: &S) -> Result<Self, HttpError> {
        check_media_type(request.headers())?;
        body_budget::admit(request.extensions(), request.headers()).await?;
        let body = read(request.into_body()).await?;
        Ok(Self(parse_json(&body)?))
    }
}

/// JSON body of a request whose fields are all optional: no body is an empty object.
#[derive(Debug, Clone, Copy)]
pub struct OptionalJsonBody<T>(pub T);

impl<S: Send + Sync, T: DeserializeOwned> FromRequest<S> for OptionalJsonBody<T> {
    type Rejection = HttpError;

    async fn from_request(request: Request, _: &S) -> Result<Self, HttpError> {
        body_budget::admit(request.extensions(), request.headers()).await?;
        let is_json = check_media_type(request.headers());
        let body = read(request.into_body()).await?;
        if body.trim_ascii().is_empty() {
            return Ok(Self(parse_json(b"{}")?));
        }
        is_json?;
        Ok(Self(parse_json(&body)?))
    }
}

/// Reads a body to its end.
pub(crate) async fn read(body: Body) -> Result<Bytes, ApiError> {
    let body = Limited::new(body, BODY_MAX_BYTES).collect().await;
    body.map(Collected::to_bytes).map_err(|error| unreadable(&*error))
}

fn check_media_type(headers: &HeaderMap) -> Result<(), ApiError> {
    check_encoding(headers)?;
    let Some(media_type) = headers.get(CONTENT_TYPE) else { return Ok(()) };
    let media_type = media_type.to_str().unwrap_or_default();
    let essence = media_type.split(';').next().unwrap_or_default().trim();
    if essence.eq_ignore_ascii_case("application/json") || essence.to_ascii_lowercase().ends_with("+json") {
        return Ok(());
    }
    let message = "the body must be JSON: send `content-type: application/json`";
    Err(ApiError::new(ErrorCode::UnsupportedMediaType, message))
}

/// Checks that a body isn't compressed: nothing here would decompress it.
///
/// # Errors
/// `unsupported_media_type`.
pub(crate) fn check_encoding(headers: &HeaderMap) -> Result<(), ApiError> {
    let is_plain = |encoding: &http::HeaderValue| encoding.as_bytes().eq_ignore_ascii_case(b"identity");
    if headers.get_all(CONTENT_ENCODING).iter().all(is_plain) {
        return Ok(());
    }
    let message = "the body is compressed: send it as it is, without `content-encoding`";
    Err(ApiError::new(ErrorCode::UnsupportedMediaType, message))
}

fn unreadable(error: &(dyn Error + Send + Sync + 'static)) -> ApiError {
    if error.is::<LengthLimitError>() {
        return body_budget::too_large();
    }
    if BodyTooSlow::caused(error) {
        return too_slow();
    }
    ApiError::new(ErrorCode::InvalidRequest, "the body was cut off")
}

/// Returns the error of a body that came too slowly.
pub(crate) fn too_slow() -> ApiError {
    ApiError::new(ErrorCode::RequestTimeout, "the body came too slowly, or stopped; send it again")
}

/// Parameter of the path. One that can't be parsed names nothing: 404.
#[derive(Debug, Clone, Copy)]
pub struct PathParam<T>(pub T);

impl<S: Send + Sync, T: DeserializeOwned + Send> FromRequestParts<S> for PathParam<T> {
    type Rejection = HttpError;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, HttpError> {
        let path = Path::<T>::from_request_parts(parts, state).await;
        path.map(|Path(value)| Self(value))
            .map_err(|_| HttpError(ApiError::new(ErrorCode::NotFound, "no resource has this id").at("id")))
    }
}

/// Query of the URL.
#[derive(Debug, Clone, Copy)]
pub struct QueryParams<T>(pub T);

impl<S: Send + Sync, T: DeserializeOwned> FromRequestParts<S> for QueryParams<T> {
    type Rejection = HttpError;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, HttpError> {
        let query = Query::<T>::from_request_parts(parts, state).await;
        query.map(|Query(value)| Self(value)).map_err(|error| HttpError(unreadable_query(&error.body_text())))
    }
}

/// Returns the error of a query, of which axum says why it can't be read, such as `Failed to deserialize query string: limit: invalid
/// digit found in string`.
fn unreadable_query(text: &str) -> ApiError {
    let reason = text.split_once(": ").map_or(text, |(_, reason)| reason);
    let (path, reason) = match reason.split_once(": ") {
        Some((path, reason)) if !path.contains([' ', '`']) => (Some(path), reason),
        _ => (None, reason),
    };
    let field = field_of_reason(reason);
    let plain = match reason.strip_prefix("duplicate field ") {
        Some(parameter) => format!("{parameter} is there twice"),
        None => plain_reason(reason).replace("field `", "parameter `"),
    };
    let param = field.or(path).map(|param| abridge(param).into_owned());
    let at = param.as_ref().filter(|_| field.is_none()).map(|param| format!("{param}: "));
    let message = format!("the query can't be read: {}{}", at.unwrap_or_default(), abridge(&plain));
    let error = ApiError::new(ErrorCode::InvalidRequest, message);
    match param {
        Some(param) => error.at(param),
        None => error,
    }
}

#[cfg(test)]
mod tests {
    use hearth_domain::SemanticVersion;
    use serde::Deserialize;

    use super::*;

    #[derive(Debug, Deserialize)]
    #[serde(deny_unknown_fields)]
    #[expect(dead_code, reason = "only parsed")]
    struct Outer {
        model: String,
        items: Option<Vec<Inner>>,
        count: Option<Count>,
        kind: Option<Kind>,
    }

    #[derive(Debug, Deserialize)]
    #[serde(rename_all = "lowercase")]
    enum Kind {
        Round,
    }

    #[derive(Debug, Deserialize)]
    #[expect(dead_code, reason = "only parsed")]
    struct Count {
        count_of: u32,
    }

    #[derive(Debug, Deserialize)]
    #[serde(deny_unknown_fields)]
    #[expect(dead_code, reason = "only parsed")]
    struct Inner {
        count: u32,
    }

    #[derive(Debug, Deserialize)]
    struct Loose {
        count_of: u32,
    }

    async fn param_of(body: &'static str) -> Option<String> {
        let request = Request::post("/").body(body.into()).unwrap();
        JsonBody::<Outer>::from_request(request, &()).await.unwrap_err().0.param
    }

    #[tokio::test]
    async fn error_names_the_field_at_any_depth() {
        assert_eq!(param_of(r#"{}"#).await.as_deref(), Some("model"));
        assert_eq!(param_of(r#"{"model": 1}"#).await.as_deref(), Some("model"));
        assert_eq!(param_of(r#"{"model": "a", "modle": 1}"#).await.as_deref(), Some("modle"));
        assert_eq!(
            param_of(r#"{"model": "a", "items": [{"count": -1}]}"#).await.as_deref(),
            Some("items[0].count")
        );
        assert_eq!(param_of(r#"{"model": "a", "items": [{}]}"#).await.as_deref(), Some("items[0].count"));
        assert_eq!(param_of(r#"{"model": "a", "count": {}}"#).await.as_deref(), Some("count.count_of"));
        assert_eq!(param_of(r#"{"model": "a", "kind": "square"}"#).await.as_deref(), Some("kind"));
        assert_eq!(param_of(r#"{"model": "a", "kind": 1}"#).await.as_deref(), Some("kind"));
        assert_eq!(param_of(r#"{"model": "a", "kind": +}"#).await, None);
        assert_eq!(param_of(r#"{"model": "#).await, None);
        for body in [r#"[]"#, r#"["m", null, null, null]"#, r#""text""#, "7", "null"] {
            let request = Request::post("/").body(body.into()).unwrap();
            let HttpError(error) = JsonBody::<Outer>::from_request(request, &()).await.unwrap_err();
            assert_eq!((error.param, &*error.message), (None, "the body must be a JSON object"), "{body}");
        }
        let request = Request::post("/").body(r#"{"model": "a", "count": 7}"#.into()).unwrap();
        let HttpError(error) = JsonBody::<Outer>::from_request(request, &()).await.unwrap_err();
        assert_eq!(error.message, "count: expected an object, not the number 7");
        assert_eq!(param_of("").await, None);
        let long = format!(r#"{{"model": "a", "count": "{}"}}"#, "x".repeat(1_000_000));
        let request = Request::post("/").body(long.into()).unwrap();
        let HttpError(error) = JsonBody::<Outer>::from_request(request, &()).await.unwrap_err();
        assert!(
            error.message.starts_with("count: expected an object, not the text \"x"),
            "{}",
            error.message
        );
        assert!(error.message.len() < 500, "{}", error.message.len());
    }

    #[derive(Debug, Deserialize)]
    #[serde(deny_unknown_fields)]
    #[expect(dead_code, reason = "only parsed")]
    struct Page {
        limit: Option<u32>,
        kind: Option<Kind>,
        is_open: Option<bool>,
        expected: Option<SemanticVersion>,
    }

    #[tokio::test]
    async fn error_names_the_parameter_of_the_query() {
        for (query, param, message) in [
            ("limit=a", "limit", "limit: must be a whole number"),
            ("limit=", "limit", "limit: must be a whole number, and is empty"),
            ("limit=-1", "limit", "limit: must be a whole number"),
            ("limit=99999999999", "limit", "limit: is too large"),
            ("is_open=1", "is_open", "is_open: must be true or false"),
            ("kind=square", "kind", "kind: unknown value `square`, expected `round`"),
            ("limit=1&limit=2", "limit", "`limit` is there twice"),
            (
                "limt=1",
                "limt",
                "unknown parameter `limt`, expected one of `limit`, `kind`, `is_open`, `expected`",
            ),
            (
                "expected=a",
                "expected",
                "expected: must be a version such as 1.2.0, with numbers up to 999999",
            ),
        ] {
            let request = Request::get(format!("/?{query}")).body(Body::empty()).unwrap();
            let (mut parts, _) = request.into_parts();
            let HttpError(error) =
                QueryParams::<Page>::from_request_parts(&mut parts, &()).await.unwrap_err();
            assert_eq!(error.param.as_deref(), Some(param), "{query}");
            assert_eq!(error.message, format!("the query can't be read: {message}"), "{query}");
        }
    }

    #[tokio::test]
    async fn body_that_is_not_json_is_refused_in_plain_words() {
        let cases: [(&'static [u8], &str); 7] = [
            (b"", "the body is empty; it must be JSON"),
            (b" \n", "the body is empty; it must be JSON"),
            (b"{", "the body isn't valid JSON: it ends within an object at line 1 column 1"),
            (b"{\"model\": ", "the body isn't valid JSON: it ends before a value at line 1 column 10"),
            (b"{\"model\": \"\xff\"}", "the body isn't valid JSON: it isn't encoded in UTF-8"),
            (b"{\"model\": 1e999}", "model: number out of range"),
            (b"{\"model\": \"a\", \"model\": \"b\"}", "model: duplicate field `model`"),
        ];
        for (body, message) in cases {
            let request = Request::post("/").body(body.into()).unwrap();
            let HttpError(error) = JsonBody::<Outer>::from_request(request, &()).await.unwrap_err();
            assert_eq!((error.code, &*error.message), (ErrorCode::InvalidRequest, message));
        }
    }

    #[tokio::test]
    async fn body_nested_too_deep_is_refused() {
        let deep = |open: &str, close: &str| open.repeat(20_000) + "1" + &close.repeat(20_000);
        for body in [deep("[", "]"), deep("{\"a\":", "}"), format!("{{\"schema\":{}}}", deep("[", "]"))] {
            let request = Request::post("/").body(body.into()).unwrap();
            let HttpError(error) =
                JsonBody::<serde_json::Value>::from_request(request, &()).await.unwrap_err();
            assert_eq!(error.code, ErrorCode::InvalidRequest);
            assert!(error.message.contains("nested too deep"), "{}", error.message);
        }
        // Unknown fields are skipped at any depth.
        let body = format!("{{\"unknown\":{},\"count_of\":7}}", deep("[", "]"));
        let request = Request::post("/").body(body.into()).unwrap();
        let JsonBody(Loose { count_of }) = JsonBody::from_request(request, &()).await.unwrap();
        assert_eq!(count_of, 7);
    }
}
