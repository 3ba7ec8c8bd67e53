//! `GET /v1/users/tokens`.

use axum::{Extension, Json, extract::State};
use hearth_gateway::{Caller, tokens::shown};
use hearth_http::{AppState, HttpError};
use hearth_wire::native::tokens::TokenList;

/// The caller's tokens, oldest first, revoked ones too.
#[utoipa::path(
    get, path = "/v1/users/tokens", operation_id = "list_tokens", tag = "accounts", security(("token" = [])),
    responses((status = 200, description = "The tokens, without their texts", body = TokenList)),
)]
pub(crate) async fn list(
    State(state): State<AppState>,
    Extension(caller): Extension<Caller>,
) -> Result<Json<TokenList>, HttpError> {
    let tokens = state.gateway.list_tokens(caller.user).await?;
    Ok(Json(TokenList { tokens: tokens.into_iter().map(shown).collect() }))
}
