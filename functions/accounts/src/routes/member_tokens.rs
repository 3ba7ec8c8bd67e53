//! `/v1/organisations/{id}/members/{user}/tokens` and `/access-keys`: tokens and access keys of members.

use axum::{Extension, Json, extract::State, http::StatusCode};
use hearth_domain::{AccessKeyId, OrganisationId, TokenId, UserId};
use hearth_gateway::Caller;
use hearth_http::{AppState, HttpError, PathParam};
use hearth_wire::{
    error::ErrorEnvelope,
    native::tokens::{AccessKeyList, TokenList},
};

/// List the tokens of a member that act in the organisation, without their texts.
#[utoipa::path(
    get, path = "/v1/organisations/{id}/members/{user}/tokens", operation_id = "list_member_tokens", tag = "organisations",
    security(("token" = [])), params(
        ("id" = String, Path, description = "The organisation's id, `org_...`"),
        ("user" = String, Path, description = "The user's id, `usr_...`"),
    ),
    responses(
        (status = 200, description = "The tokens", body = TokenList),
        (status = 404, description = "No such member", body = ErrorEnvelope),
    ),
)]
pub(crate) async fn list(
    State(state): State<AppState>,
    Extension(caller): Extension<Caller>,
    PathParam((id, user)): PathParam<(OrganisationId, UserId)>,
) -> Result<Json<TokenList>, HttpError> {
    Ok(Json(state.gateway.organisations().member_tokens(&caller, id, user).await?))
}

/// Revoke a token of a member, whose role must allow no more than the caller's.
#[utoipa::path(
    delete, path = "/v1/organisations/{id}/members/{user}/tokens/{token}", operation_id = "revoke_member_token",
    tag = "organisations", security(("token" = [])), params(
        ("id" = String, Path, description = "The organisation's id, `org_...`"),
        ("user" = String, Path, description = "The user's id, `usr_...`"),
        ("token" = String, Path, description = "The token's id, `tok_...`"),
    ),
    responses(
        (status = 204, description = "The token is revoked"),
        (status = 403, description = "The member's role allows more than the caller's", body = ErrorEnvelope),
        (status = 404, description = "No such member, or no such token", body = ErrorEnvelope),
    ),
)]
pub(crate) async fn revoke(
    State(state): State<AppState>,
    Extension(caller): Extension<Caller>,
    PathParam((id, user, token)): PathParam<(OrganisationId, UserId, TokenId)>,
) -> Result<StatusCode, HttpError> {
    state.gateway.organisations().revoke_member_token(&caller, id, user, token).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// List the access keys of a member, without their texts.
#[utoipa::path(
    get, path = "/v1/organisations/{id}/members/{user}/access-keys", operation_id = "list_member_access_keys",
    tag = "organisations", security(("token" = [])), params(
        ("id" = String, Path, description = "The organisation's id, `org_...`"),
        ("user" = String, Path, description = "The user's id, `usr_...`"),
    ),
    responses(
        (status = 200, description = "The keys", body = AccessKeyList),
        (status = 404, description = "No such member", body = ErrorEnvelope),
    ),
)]
pub(crate) async fn list_access_keys(
    State(state): State<AppState>,
    Extension(caller): Extension<Caller>,
    PathParam((id, user)): PathParam<(OrganisationId, UserId)>,
) -> Result<Json<AccessKeyList>, HttpError> {
    Ok(Json(state.gateway.organisations().member_access_keys(&caller, id, user).await?))
}

/// Revoke an access key of a member, whose role must allow no more than the caller's.
#[utoipa::path(
    delete, path = "/v1/organisations/{id}/members/{user}/access-keys/{key}", operation_id = "revoke_member_access_key",
    tag = "organisations", security(("token" = [])), params(
        ("id" = String, Path, description = "The organisation's id, `org_...`"),
        ("user" = String, Path, description = "The user's id, `usr_...`"),
        ("key" = String, Path, description = "The key's id, `ak_...`"),
    ),
    responses(
        (status = 204, description = "The key is revoked"),
        (status = 403, description = "The member's role allows more than the caller's", body = ErrorEnvelope),
        (status = 404, description = "No such member, or no such key", body = ErrorEnvelope),
    ),
)]
pub(crate) async fn revoke_access_key(
    State(state): State<AppState>,
    Extension(caller): Extension<Caller>,
    PathParam((id, user, key)): PathParam<(OrganisationId, UserId, AccessKeyId)>,
) -> Result<StatusCode, HttpError> {
    state.gateway.organisations().revoke_member_access_key(&caller, id, user, key).await?;
    Ok(StatusCode::NO_CONTENT)
}
