//! `/v1/users/me/consents`: what the caller has consented to, and when.

use axum::{Extension, Json, extract::State, http::StatusCode};
use hearth_gateway::Caller;
use hearth_http::{AppState, HttpError, JsonBody};
use hearth_wire::{
    error::ErrorEnvelope,
    native::users::{ConsentBody, ConsentList, GiveConsent},
};

/// Record the caller's consent to a version of a document, with the present time. It is never changed.
#[utoipa::path(
    post, path = "/v1/users/me/consents", operation_id = "give_consent", tag = "accounts", security(("token" = [])),
    request_body(content = GiveConsent, example = json!({"document": "terms", "version": "2026-01"})),
    responses(
        (status = 201, description = "The consent", body = ConsentBody),
        (status = 400, description = "The request is malformed; `param` names the field", body = ErrorEnvelope),
        (status = 409, description = "The caller has given too many", body = ErrorEnvelope),
    ),
)]
pub(crate) async fn give(
    State(state): State<AppState>,
    Extension(caller): Extension<Caller>,
    JsonBody(request): JsonBody<GiveConsent>,
) -> Result<(StatusCode, Json<ConsentBody>), HttpError> {
    Ok((StatusCode::CREATED, Json(state.gateway.give_consent(&caller, request).await?)))
}

/// List the caller's consents, oldest first.
#[utoipa::path(
    get, path = "/v1/users/me/consents", operation_id = "list_consents", tag = "accounts", security(("token" = [])),
    responses((status = 200, description = "The consents", body = ConsentList)),
)]
pub(crate) async fn list(
    State(state): State<AppState>,
    Extension(caller): Extension<Caller>,
) -> Result<Json<ConsentList>, HttpError> {
    Ok(Json(state.gateway.list_consents(&caller).await?))
}
