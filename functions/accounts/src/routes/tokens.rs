//! `/v1/users/tokens`: API tokens.

use axum::{Extension, Json, extract::State, http::StatusCode};
use hearth_domain::TokenId;
use hearth_gateway::{Caller, tokens::token_body};
use hearth_http::{AppState, HttpError, JsonBody, PathParam};
use hearth_wire::{
    error::ErrorEnvelope,
    native::tokens::{CreateToken, CreatedToken, TokenList},
};

/// Create an API token. Its text is in this response and stored nowhere.
#[utoipa::path(
    post, path = "/v1/users/tokens", operation_id = "create_token", tag = "accounts", security(("token" = [])),
    request_body(
        content = CreateToken,
        example = json!({"name": "laptop", "scopes": ["generate", "models:read"]}),
    ),
    responses(
        (status = 201, description = "The token; its text is shown this once", body = CreatedToken),
        (status = 400, description = "The request is malformed; `param` names the field", body = ErrorEnvelope),
        (status = 403, description = "The token lacks the scope", body = ErrorEnvelope),
    ),
)]
pub(crate) async fn create(
    State(state): State<AppState>,
    Extension(caller): Extension<Caller>,
    JsonBody(request): JsonBody<CreateToken>,
) -> Result<(StatusCode, Json<CreatedToken>), HttpError> {
    let (token, record) = state.gateway.access().create_token(&caller, request).await?;
    let created = CreatedToken { token: token.expose().to_owned(), record: token_body(record) };
    Ok((StatusCode::CREATED, Json(created)))
}

/// List the caller's tokens, oldest first, revoked ones included.
#[utoipa::path(
    get, path = "/v1/users/tokens", operation_id = "list_tokens", tag = "accounts", security(("token" = [])),
    responses((status = 200, description = "The tokens, without their texts", body = TokenList)),
)]
pub(crate) async fn list(
    State(state): State<AppState>,
    Extension(caller): Extension<Caller>,
) -> Result<Json<TokenList>, HttpError> {
    let tokens = state.gateway.access().list_tokens(caller.user).await?;
    Ok(Json(TokenList { tokens: tokens.into_iter().map(token_body).collect() }))
}

/// Revoke a token: the caller's own, or one that has no more scopes and expires no later.
#[utoipa::path(
    delete, path = "/v1/users/tokens/{id}", operation_id = "revoke_token", tag = "accounts", security(("token" = [])),
    params(("id" = String, Path, description = "The token's id, `tok_...`")),
    responses(
        (status = 204, description = "The token is revoked: here at once, in other processes within a minute"),
        (status = 403, description = "It has more scopes than the caller's token, or expires later", body = ErrorEnvelope),
        (status = 404, description = "No such token", body = ErrorEnvelope),
        (status = 409, description = "It is the last token with every scope", body = ErrorEnvelope),
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
