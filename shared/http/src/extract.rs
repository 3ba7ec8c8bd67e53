//! Extractors whose errors name the field at fault.

use std::{borrow::Cow, error::Error};

use axum::{
    body::{Body, Bytes},
    extract::{FromRequest, FromRequestParts, Path, Query, Request},
};
use hearth_wire::{ApiError, ErrorCode, run_options::option_error};
use http::{HeaderMap, header::CONTENT_TYPE, request::Parts};
use http_body_util::{BodyExt as _, Collected, LengthLimitError, Limited};
use serde::de::{DeserializeOwned, IgnoredAny};

use crate::{
    body_budget::{self, BODY_MAX_BYTES},
    error::HttpError,
    json_size,
    paced_body::BodyTooSlow,
};

/// Characters of the beginning and the end of a long value that an error quotes.
const QUOTED_BEGIN_MAX_COUNT: usize = 300;
const QUOTED_END_MAX_COUNT: usize = 100;

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

/// JSON body of a request, of any shape: also a list.
#[derive(Debug, Clone)]
pub struct AnyJson(pub serde_json::Value);

impl<S: Send + Sync> FromRequest<S> for AnyJson {
    type Rejection = HttpError;

    async fn from_request(request: Request, _: &S) -> Result<Self, HttpError> {
        check_media_type(request.headers())?;
        body_budget::admit(request.extensions(), request.headers()).await?;
        let body = read(request.into_body()).await?;
        json_size::check(&body)?;
        let value = serde_json::from_slice(&body);
        Ok(Self(value.map_err(|error| explain::<serde_json::Value>(&body, &error))?))
    }
}

/// Reads a body to its end.
pub(crate) async fn read(body: Body) -> Result<Bytes, ApiError> {
    let body = Limited::new(body, BODY_MAX_BYTES).collect().await;
    body.map(Collected::to_bytes).map_err(|error| unreadable(&*error))
}

/// Parses a JSON body.
///
/// # Errors
/// `invalid_request`, naming the field at fault.
pub fn parse_json<T: DeserializeOwned>(body: &[u8]) -> Result<T, ApiError> {
    json_size::check(body)?;
    // serde accepts a list for a struct, with the items as its fields.
    let is_list = body.trim_ascii_start().first() == Some(&b'[');
    match serde_json::from_slice(body) {
        Ok(_) if is_list => Err(not_an_object()),
        Ok(value) => Ok(value),
        Err(error) => Err(explain::<T>(body, &error)),
    }
}

/// Returns the error of a malformed body. The body is parsed again with the path of each field, which costs as much as
/// parsing it: valid bodies, which most are, don't pay for that.
fn explain<T: DeserializeOwned>(body: &[u8], error: &serde_json::Error) -> ApiError {
    let mut json = serde_json::Deserializer::from_slice(body);
    match serde_path_to_error::deserialize::<_, T>(&mut json) {
        Err(error) => {
            let is_json = serde_json::from_slice::<IgnoredAny>(body).is_ok();
            malformed(&error.path().to_string(), error.inner(), is_json)
        }
        // Text follows the value.
        Ok(_) => malformed(".", error, false),
    }
}

fn check_media_type(headers: &HeaderMap) -> Result<(), ApiError> {
    let media_type =
        headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or("application/json");
    let essence = media_type.split(';').next().unwrap_or_default().trim();
    if essence.eq_ignore_ascii_case("application/json") || essence.to_ascii_lowercase().ends_with("+json") {
        return Ok(());
    }
    let message = "the body must be JSON: send `content-type: application/json`";
    Err(ApiError::new(ErrorCode::UnsupportedMediaType, message))
}

fn unreadable(error: &(dyn Error + Send + Sync + 'static)) -> ApiError {
    if error.is::<LengthLimitError>() {
        let message = format!("the body is over the limit of {} MB", BODY_MAX_BYTES >> 20);
        return ApiError::new(ErrorCode::PayloadTooLarge, message).with("limit_bytes", BODY_MAX_BYTES);
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

/// Returns serde's error with the field's path. `is_json`: the body is valid JSON, of another shape than expected.
fn malformed(path: &str, error: &serde_json::Error, is_json: bool) -> ApiError {
    let text = in_json_terms(&error.to_string());
    let text = text.rsplit_once(" at line ").map_or(text.as_str(), |(message, _)| message);
    // serde quotes a value whole, and a field's name is part of its path.
    let (text, path) = (&*abridge(text), &*abridge(path));
    if let Some((option, problem)) = option_error(text) {
        let param = if path == "." { option.to_owned() } else { format!("{path}.{option}") };
        let message = format!("{param}: {problem}");
        return ApiError::invalid(param, message);
    }
    if path == "." && is_json && error.is_data() && !error.to_string().contains(" field `") {
        return not_an_object();
    }
    if text == "recursion limit exceeded" {
        let message = "the body is nested too deep: objects and lists in one another, 127 levels at most";
        return ApiError::new(ErrorCode::InvalidRequest, message);
    }
    // serde_json reports a number in place of an enum's name as a syntax error.
    let no_name = is_json && text == "expected value";
    let text = if no_name { "expected a name, which is a string" } else { text };
    if !error.is_data() && !no_name {
        let message = format!("the body isn't valid JSON: {error}");
        return ApiError::new(ErrorCode::InvalidRequest, message);
    }
    // For a missing or unknown field, serde has the path of its parent; the field's name is only in the message.
    let named = ["missing field `", "unknown field `"]
        .iter()
        .find_map(|start| text.strip_prefix(start)?.split('`').next());
    let param = match (path, named) {
        (".", Some(name)) => Some(name.to_owned()),
        (parent, Some(name)) if parent.rsplit('.').next() != Some(name) => Some(format!("{parent}.{name}")),
        (".", None) => None,
        (path, _) => Some(path.to_owned()),
    };
    let at = param.as_ref().map(|param| format!("{param}: ")).unwrap_or_default();
    let error = ApiError::new(ErrorCode::InvalidRequest, format!("{at}{text}"));
    match param {
        Some(param) => error.at(param),
        None => error,
    }
}

/// Leaves out the middle of a long text.
fn abridge(text: &str) -> Cow<'_, str> {
    let char_count = text.chars().count();
    if char_count <= QUOTED_BEGIN_MAX_COUNT + QUOTED_END_MAX_COUNT {
        return text.into();
    }
    let begin = text.chars().take(QUOTED_BEGIN_MAX_COUNT);
    let end = text.chars().skip(char_count - QUOTED_END_MAX_COUNT);
    begin.chain(" ... ".chars()).chain(end).collect::<String>().into()
}

fn not_an_object() -> ApiError {
    ApiError::new(ErrorCode::InvalidRequest, "the body must be a JSON object")
}

/// Replaces serde's messages that have names of Rust types.
fn in_json_terms(text: &str) -> String {
    if text.starts_with("data did not match any variant") {
        return "it has none of the allowed forms".to_owned();
    }
    let Some((before, after)) = text.split_once("expected ") else { return text.to_owned() };
    let kinds = ["struct ", "internally tagged enum ", "adjacently tagged enum ", "enum "];
    match kinds.iter().find_map(|kind| after.strip_prefix(kind)) {
        Some(name) => {
            let rest = name.trim_start_matches(|c: char| c.is_ascii_alphanumeric());
            format!("{before}expected an object{rest}")
        }
        None => text.to_owned(),
    }
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
        query.map(|Query(value)| Self(value)).map_err(|error| {
            let text = error.body_text();
            // Such as `Failed to deserialize query string: limit: invalid digit found in string`.
            let reason = text.split_once(": ").map_or(text.as_str(), |(_, reason)| reason);
            let error =
                ApiError::new(ErrorCode::InvalidRequest, format!("the query can't be read: {reason}"));
            HttpError(match reason.split_once(": ") {
                Some((param, _)) => error.at(param),
                None => error,
            })
        })
    }
}

#[cfg(test)]
mod tests {
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
        assert_eq!(error.message, "count: invalid type: integer `7`, expected an object");
        assert_eq!(param_of("").await, None);
        let long = format!(r#"{{"model": "a", "count": "{}"}}"#, "x".repeat(1_000_000));
        let request = Request::post("/").body(long.into()).unwrap();
        let HttpError(error) = JsonBody::<Outer>::from_request(request, &()).await.unwrap_err();
        assert!(error.message.ends_with("x\", expected an object"), "{}", error.message);
        assert!(error.message.len() < 500, "{}", error.message.len());
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
