//! `DELETE /v1/users/tokens/{id}`.

use axum::{Extension, extract::State, http::StatusCode};
use hearth_domain::TokenId;
use hearth_gateway::Caller;
use hearth_http::{AppState, HttpError, PathParam};
use hearth_wire::error::ErrorEnvelope;

/// Revoke a token. It stops working at once here, and within a minute everywhere.
#[utoipa::path(
    delete, path = "/v1/users/tokens/{id}", tag = "accounts", security(("token" = [])),
    params(("id" = String, Path, description = "The token's id, `tok_...`")),
    responses((status = 204, description = "It is revoked"), (status = 404, body = ErrorEnvelope)),
)]
pub(crate) async fn revoke(
    State(state): State<AppState>,
    Extension(caller): Extension<Caller>,
    PathParam(id): PathParam<TokenId>,
) -> Result<StatusCode, HttpError> {
    state.gateway.revoke_token(caller.user, id).await?;
    Ok(StatusCode::NO_CONTENT)
}
