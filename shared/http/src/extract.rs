//! Extractors whose errors name the field at fault.

use std::error::Error;

use axum::{
    body::{Body, Bytes},
    extract::{FromRequest, FromRequestParts, Path, Query, Request},
};
use hearth_wire::{
    ApiError, ErrorCode,
    json_body::{parse_any_json, parse_json},
    plain_reason,
};
use http::{HeaderMap, header::CONTENT_TYPE, request::Parts};
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

/// JSON body of a request, of any shape: also a list.
#[derive(Debug, Clone)]
pub struct AnyJson(pub serde_json::Value);

impl<S: Send + Sync> FromRequest<S> for AnyJson {
    type Rejection = HttpError;

    async fn from_request(request: Request, _: &S) -> Result<Self, HttpError> {
        check_media_type(request.headers())?;
        body_budget::admit(request.extensions(), request.headers()).await?;
        let body = read(request.into_body()).await?;
        Ok(Self(parse_any_json(&body)?))
    }
}

/// Reads a body to its end.
pub(crate) async fn read(body: Body) -> Result<Bytes, ApiError> {
    let body = Limited::new(body, BODY_MAX_BYTES).collect().await;
    body.map(Collected::to_bytes).map_err(|error| unreadable(&*error))
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
            let reason = &*plain_reason(reason);
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
