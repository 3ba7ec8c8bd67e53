//! `DELETE /v1/providers/{name}/key`.

use axum::{extract::State, http::StatusCode};
use hearth_http::{AppState, HttpError, PathParam};
use hearth_wire::error::ErrorEnvelope;

/// Forget a provider's key.
#[utoipa::path(
    delete, path = "/v1/providers/{name}/key", operation_id = "remove_provider_key", tag = "models", security(("token" = [])),
    params(("name" = String, Path, description = "The provider's name, such as `openai`")),
    responses(
        (status = 204, description = "It is forgotten"),
        (status = 404, description = "There is no such thing, or it belongs to somebody else", body = ErrorEnvelope),
    ),
)]
pub(crate) async fn remove(
    State(state): State<AppState>,
    PathParam(name): PathParam<String>,
) -> Result<StatusCode, HttpError> {
    state.gateway.remove_provider_key(&name).await?;
    Ok(StatusCode::NO_CONTENT)
}
