//! `GET /v1/users/me/export`: everything of the caller's, as a zip file. It streams, as all routes of this function do.

use axum::{
    Extension,
    body::Body,
    extract::State,
    http::header::{CACHE_CONTROL, CONTENT_DISPOSITION, CONTENT_TYPE},
    response::{IntoResponse as _, Response},
};
use hearth_gateway::Caller;
use hearth_http::{AppState, HttpError};

/// Export everything that the caller has stored: profile, consents, tokens without their texts, logins, runs, conversations, jobs,
/// batches, webhooks, definitions, files and artifacts.
#[utoipa::path(
    get, path = "/v1/users/me/export", operation_id = "export_me", tag = "accounts", security(("token" = [])),
    responses((status = 200, description = "A zip file", content_type = "application/zip", body = Vec<u8>)),
)]
pub(crate) async fn export(
    State(state): State<AppState>,
    Extension(caller): Extension<Caller>,
) -> Result<Response, HttpError> {
    let archive = Body::from_stream(state.gateway.export_user(&caller).await?);
    let head = [
        (CONTENT_TYPE, "application/zip"),
        (CONTENT_DISPOSITION, "attachment; filename=\"hearth-export.zip\""),
        (CACHE_CONTROL, "no-store"),
    ];
    Ok((head, archive).into_response())
}
