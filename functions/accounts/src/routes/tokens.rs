//! `/v1/users/tokens`: API tokens.

use std::time::Duration;

use axum::{Extension, Json, extract::State, http::StatusCode};
use hearth_domain::TokenId;
use hearth_gateway::{Caller, LimitAccess, tokens::token_body};
use hearth_http::{AppState, AuditNote, HttpError, JsonBody, PathParam};
use hearth_wire::{
    error::ErrorEnvelope,
    native::tokens::{ChangeToken, CreateToken, CreatedToken, RotateToken, TokenBody, TokenList},
};

/// Create an API token. Its text is in this response and stored nowhere.
#[utoipa::path(
    post, path = "/v1/users/tokens", operation_id = "create_token", tag = "accounts", security(("token" = [])),
    request_body(
        content = CreateToken,
        example = json!({"name": "laptop", "scopes": ["generate", "models:read"], "models": ["local"]}),
    ),
    responses(
        (status = 201, description = "The token; its text is shown this once", body = CreatedToken),
        (status = 400, description = "The request is malformed; `param` names the field", body = ErrorEnvelope),
        (status = 403, description = "The caller's token lacks the scope, may not use one of the models, or ends sooner", body = ErrorEnvelope),
    ),
)]
pub(crate) async fn create(
    State(state): State<AppState>,
    Extension(caller): Extension<Caller>,
    note: AuditNote,
    JsonBody(mut request): JsonBody<CreateToken>,
) -> Result<(StatusCode, Json<CreatedToken>), HttpError> {
    let limits = request.limits.take().map(LimitAccess::check).transpose()?;
    let (token, record) = state.gateway.access().create_token(&caller, request).await?;
    if let Some(limits) = limits {
        state.gateway.limits().set_of_new_token(&caller, record.id, limits).await?;
    }
    note.resource(record.id);
    let created = CreatedToken { token: token.expose().to_owned(), record: token_body(record) };
    Ok((StatusCode::CREATED, Json(created)))
}

/// List the caller's tokens in the organisation of the credential, oldest first, revoked ones included.
#[utoipa::path(
    get, path = "/v1/users/tokens", operation_id = "list_tokens", tag = "accounts", security(("token" = [])),
    responses((status = 200, description = "The tokens, without their texts", body = TokenList)),
)]
pub(crate) async fn list(
    State(state): State<AppState>,
    Extension(caller): Extension<Caller>,
) -> Result<Json<TokenList>, HttpError> {
    let tokens = state.gateway.access().list_tokens(caller.owner()).await?;
    Ok(Json(TokenList { tokens }))
}

/// Rename a token: the caller's own, or one that has no more scopes and models and expires no later.
#[utoipa::path(
    patch, path = "/v1/users/tokens/{id}", operation_id = "rename_token", tag = "accounts", security(("token" = [])),
    params(("id" = String, Path, description = "The token's id, `tok_...`")),
    request_body(content = ChangeToken, example = json!({"name": "old laptop"})),
    responses(
        (status = 200, description = "The token, without its last use", body = TokenBody),
        (status = 403, description = "It has more scopes or models than the caller's token, or expires later", body = ErrorEnvelope),
        (status = 404, description = "No such token", body = ErrorEnvelope),
        (status = 409, description = "Another request changes it at this moment", body = ErrorEnvelope),
    ),
)]
pub(crate) async fn rename(
    State(state): State<AppState>,
    Extension(caller): Extension<Caller>,
    PathParam(id): PathParam<TokenId>,
    JsonBody(request): JsonBody<ChangeToken>,
) -> Result<Json<TokenBody>, HttpError> {
    let record = state.gateway.access().rename_token(&caller, id, &request.name).await?;
    Ok(Json(token_body(record)))
}

/// Replace the text of a token: the caller's own, or one that has no more scopes and models and expires no later.
///
/// Id, name, scopes, models and expiry stay. The old text is refused when `grace_seconds` are over. Without a grace it is refused at
/// once, as after a revocation, and the runs of the token are cancelled. A rotation ends the grace of the one before.
#[utoipa::path(
    post, path = "/v1/users/tokens/{id}/rotate", operation_id = "rotate_token", tag = "accounts", security(("token" = [])),
    params(("id" = String, Path, description = "The token's id, `tok_...`")),
    request_body(content = RotateToken, example = json!({"grace_seconds": 3600})),
    responses(
        (status = 200, description = "The token; its new text is shown this once", body = CreatedToken),
        (status = 403, description = "It has more scopes or models than the caller's token, or expires later", body = ErrorEnvelope),
        (status = 404, description = "No such token, or it is no longer valid", body = ErrorEnvelope),
        (status = 409, description = "Another request changes it at this moment", body = ErrorEnvelope),
    ),
)]
pub(crate) async fn rotate(
    State(state): State<AppState>,
    Extension(caller): Extension<Caller>,
    PathParam(id): PathParam<TokenId>,
    JsonBody(request): JsonBody<RotateToken>,
) -> Result<Json<CreatedToken>, HttpError> {
    let grace = Duration::from_secs(request.grace_seconds.into());
    let (token, record) = state.gateway.access().rotate_token(&caller, id, grace).await?;
    Ok(Json(CreatedToken { token: token.expose().to_owned(), record: token_body(record) }))
}

/// Revoke a token: the caller's own, or one that has no more scopes and models and expires no later.
///
/// It is refused here at once, and in other processes within 10 seconds. Its runs are cancelled.
#[utoipa::path(
    delete, path = "/v1/users/tokens/{id}", operation_id = "revoke_token", tag = "accounts", security(("token" = [])),
    params(("id" = String, Path, description = "The token's id, `tok_...`")),
    responses(
        (status = 204, description = "The token is revoked"),
        (status = 403, description = "It has more scopes or models than the caller's token, or expires later", body = ErrorEnvelope),
        (status = 404, description = "No such token", body = ErrorEnvelope),
        (status = 409, description = "It is the last token with every scope, and its owner has no password", body = ErrorEnvelope),
    ),
)]
pub(crate) async fn revoke(
    State(state): State<AppState>,
    Extension(caller): Extension<Caller>,
    PathParam(id): PathParam<TokenId>,
) -> Result<StatusCode, HttpError> {
    state.gateway.access().revoke_token(&caller, id).await?;
    Ok(StatusCode::NO_CONTENT)
}
