//! JSON bodies of the gateway's requests.

use axum::{
    body::Bytes,
    extract::{FromRequest, Request},
    http::StatusCode,
};
use hearth_wire::{
    ApiError, ErrorCode,
    json_body::{abridge, parse_bytes},
    plain_reason,
};
use serde::de::DeserializeOwned;

use super::routes::LinkError;

/// JSON body of a request. A list in the place of an object is refused.
#[derive(Debug)]
pub(super) struct JsonBody<T>(pub(super) T);

impl<S: Send + Sync, T: DeserializeOwned> FromRequest<S> for JsonBody<T> {
    type Rejection = LinkError;

    async fn from_request(request: Request, state: &S) -> Result<Self, LinkError> {
        let body = Bytes::from_request(request, state).await.map_err(|rejection| {
            let code = match rejection.status() {
                StatusCode::PAYLOAD_TOO_LARGE => ErrorCode::PayloadTooLarge,
                _ => ErrorCode::InvalidRequest,
            };
            ApiError::new(code, rejection.body_text())
        })?;
        let value = parse_bytes(&body).map_err(|error| {
            let text = error.to_string();
            let reason = text.rsplit_once(" at line ").map_or(&*text, |(reason, _)| reason);
            let reason = plain_reason(reason);
            let reason = abridge(&reason);
            ApiError::new(ErrorCode::InvalidRequest, format!("the node can't read the request: {reason}"))
        })?;
        Ok(Self(value))
    }
}

#[cfg(test)]
mod tests {
    use hearth_wire::node::{NodeModelCommand, NodeModelSettings};

    use super::*;

    async fn parse<T: DeserializeOwned>(body: &'static str) -> Result<T, String> {
        let request = Request::post("/").body(body.into()).unwrap();
        let parsed = JsonBody::<T>::from_request(request, &()).await;
        parsed.map(|JsonBody(value)| value).map_err(|LinkError(error)| error.message)
    }

    #[tokio::test]
    async fn list_in_the_place_of_an_object_is_refused() {
        let command = parse::<NodeModelCommand>(r#"{"model": "tiny-chat"}"#).await.unwrap();
        assert_eq!(command.model, "tiny-chat");
        let error = parse::<NodeModelCommand>(r#"["tiny-chat"]"#).await.unwrap_err();
        assert!(error.contains("expected an object, not a list"), "{error}");
        let error = parse::<NodeModelSettings>(r#"{"models": {"a": [true]}}"#).await.unwrap_err();
        assert!(error.contains("expected an object, not a list"), "{error}");
    }
}
