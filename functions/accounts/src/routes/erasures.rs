//! `DELETE /v1/users/me`: the erasure of a user, and its report.

use axum::{Extension, Json, extract::State, http::StatusCode};
use hearth_domain::{ErasureId, UserId};
use hearth_gateway::Caller;
use hearth_http::{AppState, HttpError, JsonBody, PathParam};
use hearth_wire::{
    error::ErrorEnvelope,
    native::users::{EraseUser, ErasureBody},
};

/// Erase the caller and everything of theirs. It can't be undone.
///
/// The caller's credentials end at once. The data is deleted in the background: at home within seconds, in the cloud within about
/// twenty minutes. The report has an address of its own, which needs no credential.
#[utoipa::path(
    delete, path = "/v1/users/me", operation_id = "erase_me", tag = "accounts", security(("token" = [])),
    request_body(content = EraseUser, example = json!({"password": "a long sentence of mine"})),
    responses(
        (status = 202, description = "The erasure has begun", body = ErasureBody),
        (status = 400, description = "The request is malformed; `param` names the field", body = ErrorEnvelope),
        (status = 403, description = "The password is wrong, or the login isn't fresh", body = ErrorEnvelope),
        (status = 409, description = "The caller operates the gateway, or is the last owner of an organisation with other members", body = ErrorEnvelope),
    ),
)]
pub(crate) async fn erase_me(
    State(state): State<AppState>,
    Extension(caller): Extension<Caller>,
    JsonBody(request): JsonBody<EraseUser>,
) -> Result<(StatusCode, Json<ErasureBody>), HttpError> {
    let erasure = state.gateway.erase_caller(&caller, request.password.as_ref()).await?;
    Ok((StatusCode::ACCEPTED, Json(erasure)))
}

/// Erase a user and everything of theirs, as an operator of the gateway. It can't be undone.
#[utoipa::path(
    delete, path = "/v1/users/{id}", operation_id = "erase_user", tag = "accounts", security(("token" = [])),
    params(("id" = String, Path, description = "The user's id, `usr_...`")),
    responses(
        (status = 202, description = "The erasure has begun", body = ErasureBody),
        (status = 403, description = "The user's role may do more than the caller's", body = ErrorEnvelope),
        (status = 404, description = "No such user", body = ErrorEnvelope),
        (status = 409, description = "The user operates the gateway, or is the last owner of an organisation with other members", body = ErrorEnvelope),
    ),
)]
pub(crate) async fn erase(
    State(state): State<AppState>,
    Extension(caller): Extension<Caller>,
    PathParam(id): PathParam<UserId>,
) -> Result<(StatusCode, Json<ErasureBody>), HttpError> {
    Ok((StatusCode::ACCEPTED, Json(state.gateway.erase_user(&caller, id).await?)))
}

/// Get the report of an erasure. It has numbers and times alone, and its id is known only to the person who asked for it.
#[utoipa::path(
    get, path = "/v1/users/erasures/{id}", operation_id = "get_erasure", tag = "accounts", security(()),
    params(("id" = String, Path, description = "The erasure's id, `ers_...`")),
    responses(
        (status = 200, description = "The report", body = ErasureBody),
        (status = 404, description = "No such erasure", body = ErrorEnvelope),
    ),
)]
pub(crate) async fn get(
    State(state): State<AppState>,
    PathParam(id): PathParam<ErasureId>,
) -> Result<Json<ErasureBody>, HttpError> {
    Ok(Json(state.gateway.erasure(id).await?))
}
