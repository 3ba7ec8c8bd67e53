//! `/v1/users/access-keys`: access keys, which run named local models.

use axum::{Extension, Json, extract::State, http::StatusCode};
use hearth_domain::AccessKeyId;
use hearth_gateway::{Caller, access::access_keys::access_key_body};
use hearth_http::{AppState, AuditNote, HttpError, JsonBody, PathParam};
use hearth_wire::{
    error::ErrorEnvelope,
    native::tokens::{AccessKeyList, CreateAccessKey, CreatedAccessKey},
};

/// Create an access key, which runs the named local models and does nothing else. Its text is in this response and stored nowhere.
#[utoipa::path(
    post, path = "/v1/users/access-keys", operation_id = "create_access_key", tag = "accounts", security(("token" = [])),
    request_body(content = CreateAccessKey, example = json!({"name": "kiosk", "models": ["tiny-chat"]})),
    responses(
        (status = 201, description = "The key; its text is shown this once", body = CreatedAccessKey),
        (status = 400, description = "The request is malformed; `param` names the field", body = ErrorEnvelope),
        (status = 403, description = "The caller's token may not use one of the models, or ends sooner", body = ErrorEnvelope),
    ),
)]
pub(crate) async fn create(
    State(state): State<AppState>,
    Extension(caller): Extension<Caller>,
    note: AuditNote,
    JsonBody(request): JsonBody<CreateAccessKey>,
) -> Result<(StatusCode, Json<CreatedAccessKey>), HttpError> {
    let (key, record) = state.gateway.access().create_access_key(&caller, request).await?;
    note.resource(record.id);
    let created = CreatedAccessKey { key: key.expose().to_owned(), record: access_key_body(record) };
    Ok((StatusCode::CREATED, Json(created)))
}

/// List the caller's access keys in the organisation of the credential, oldest first, revoked ones included.
#[utoipa::path(
    get, path = "/v1/users/access-keys", operation_id = "list_access_keys", tag = "accounts", security(("token" = [])),
    responses((status = 200, description = "The keys, without their texts", body = AccessKeyList)),
)]
pub(crate) async fn list(
    State(state): State<AppState>,
    Extension(caller): Extension<Caller>,
) -> Result<Json<AccessKeyList>, HttpError> {
    let access_keys = state.gateway.access().list_access_keys(caller.owner()).await?;
    Ok(Json(AccessKeyList { access_keys }))
}

/// Revoke an access key. It is refused here at once, and in other processes within 10 seconds. Its runs are cancelled.
#[utoipa::path(
    delete, path = "/v1/users/access-keys/{id}", operation_id = "revoke_access_key", tag = "accounts",
    security(("token" = [])), params(("id" = String, Path, description = "The key's id, `ak_...`")),
    responses(
        (status = 204, description = "The key is revoked"),
        (status = 404, description = "No such key", body = ErrorEnvelope),
    ),
)]
pub(crate) async fn revoke(
    State(state): State<AppState>,
    Extension(caller): Extension<Caller>,
    PathParam(id): PathParam<AccessKeyId>,
) -> Result<StatusCode, HttpError> {
    state.gateway.access().revoke_access_key_of(caller.owner(), id).await?;
    Ok(StatusCode::NO_CONTENT)
}
