//! Authentication of the node link.

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

/// Maximum length of a request's body. A conversation has at most 10 MB at the gateway; JSON within JSON is longer.
pub(super) const BODY_MAX_BYTES: usize = 24 << 20;

/// Passes a request on if its credential is valid for this node, call and body.
pub(super) async fn check(State(verifier): State<LinkVerifier>, request: Request, next: Next) -> Response {
    let (parts, body) = request.into_parts();
    let Ok(body) = to_bytes(body, BODY_MAX_BYTES).await else {
        return refuse(StatusCode::PAYLOAD_TOO_LARGE, "the body is too large or incomplete");
    };
    let credential = parts.headers.get(AUTHORIZATION).and_then(|value| value.to_str().ok());
    let credential = credential.and_then(|value| value.strip_prefix("Bearer ")).unwrap_or_default();
    let path = parts.uri.path_and_query().map_or("/", |path| path.as_str());
    match verifier.verify(credential, &format!("{} {path}", parts.method), &body) {
        Ok(_) => next.run(Request::from_parts(parts, Body::from(body))).await,
        Err(error) => {
            tracing::warn!(%error, "a request on the node link was refused");
            refuse(StatusCode::UNAUTHORIZED, "this node accepts requests of its gateway only")
        }
    }
}

fn refuse(status: StatusCode, message: &str) -> Response {
    (status, Json(ApiError::new(ErrorCode::Unauthorized, message))).into_response()
}
