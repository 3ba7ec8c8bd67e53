//! Who may call.

use axum::{
    Json,
    body::{Body, to_bytes},
    extract::{Request, State},
    http::{StatusCode, header::AUTHORIZATION},
    middleware::Next,
    response::{IntoResponse as _, Response},
};
use hearth_auth::LinkVerifier;
use hearth_wire::{ApiError, ErrorCode};

use super::MAX_BODY;

/// Lets a request pass if its credential is good for this node, this call and its body.
pub(super) async fn check(State(verifier): State<LinkVerifier>, request: Request, next: Next) -> Response {
    let (parts, body) = request.into_parts();
    let Ok(body) = to_bytes(body, MAX_BODY).await else {
        return refuse(StatusCode::PAYLOAD_TOO_LARGE, "the body is too large, or was cut");
    };
    let credential = parts.headers.get(AUTHORIZATION).and_then(|value| value.to_str().ok());
    let credential = credential.and_then(|value| value.strip_prefix("Bearer ")).unwrap_or_default();
    let path = parts.uri.path_and_query().map_or("/", |path| path.as_str());
    match verifier.verify(credential, &format!("{} {path}", parts.method), &body) {
        Ok(_) => next.run(Request::from_parts(parts, Body::from(body))).await,
        Err(error) => {
            tracing::warn!(%error, "a call on the node link was refused");
            refuse(StatusCode::UNAUTHORIZED, "this node takes calls from its gateway only")
        }
    }
}

fn refuse(status: StatusCode, message: &str) -> Response {
    (status, Json(ApiError::new(ErrorCode::Unauthorized, message))).into_response()
}
