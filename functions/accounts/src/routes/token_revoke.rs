//! `DELETE /v1/users/tokens/{id}`.

use axum::{Extension, extract::State, http::StatusCode};
use hearth_domain::TokenId;
use hearth_gateway::Caller;
use hearth_http::{AppState, HttpError, PathParam};
use hearth_wire::error::ErrorEnvelope;

/// Revoke a token: the one that asks, or one that may do no more and ends no later.
#[utoipa::path(
    delete, path = "/v1/users/tokens/{id}", operation_id = "revoke_token", tag = "accounts", security(("token" = [])),
    params(("id" = String, Path, description = "The token's id, `tok_...`")),
    responses(
        (status = 204, description = "It is revoked: at once here, and within a minute everywhere"),
        (status = 403, description = "It may do more than the token that asks, or ends later", body = ErrorEnvelope),
        (status = 404, description = "There is no such token", body = ErrorEnvelope),
        (status = 409, description = "It is the last one with every scope", body = ErrorEnvelope),
    ),
)]
pub(crate) async fn revoke(
    State(state): State<AppState>,
    Extension(caller): Extension<Caller>,
    PathParam(id): PathParam<TokenId>,
) -> Result<StatusCode, HttpError> {
    state.gateway.revoke_token(&caller, id).await?;
    Ok(StatusCode::NO_CONTENT)
}
