//! `PUT /v1/providers/{name}/key`.

use axum::{extract::State, http::StatusCode};
use hearth_http::{AppState, HttpError, JsonBody, PathParam};
use hearth_wire::{error::ErrorEnvelope, native::providers::SetProviderKey};

/// Keep a provider's key, in place of the one before.
///
/// A vendor is set up by its key alone, under the name of its kind. It is used at once here, and within a
/// minute everywhere.
#[utoipa::path(
    put, path = "/v1/providers/{name}/key", operation_id = "set_provider_key", tag = "models", security(("token" = [])),
    params(("name" = String, Path, description = "The provider's name, such as `openai`")),
    request_body(content = SetProviderKey, example = json!({"key": "sk-..."})),
    responses(
        (status = 204, description = "It is kept"),
        (status = 400, description = "The request is malformed; `param` names the field", body = ErrorEnvelope),
        (status = 409, description = "The state does not allow it", body = ErrorEnvelope),
    ),
)]
pub(crate) async fn set(
    State(state): State<AppState>,
    PathParam(name): PathParam<String>,
    JsonBody(body): JsonBody<SetProviderKey>,
) -> Result<StatusCode, HttpError> {
    state.gateway.set_provider_key(&name, &body.key).await?;
    Ok(StatusCode::NO_CONTENT)
}
