//! `DELETE /v1/models/{id}`.

use axum::Json;
use hearth_gateway::Caller;
use hearth_http::{AppState, HttpError};
use hearth_wire::{error::ErrorEnvelope, native::models::ModelRemoved};

/// Remove a local model's file. A model that serves requests, and the default model, are left alone: 409.
#[utoipa::path(
    delete, path = "/v1/models/{id}", operation_id = "remove_model", tag = "models", security(("token" = [])),
    params(("id" = String, Path, description = "The model's id; may hold slashes")),
    responses(
        (status = 200, description = "It is removed", body = ModelRemoved),
        (status = 404, description = "There is no such thing, or it belongs to somebody else", body = ErrorEnvelope),
        (status = 409, description = "The state does not allow it", body = ErrorEnvelope),
    ),
)]
pub(crate) async fn remove(
    state: &AppState,
    caller: &Caller,
    id: &str,
) -> Result<Json<ModelRemoved>, HttpError> {
    Ok(Json(state.gateway.remove_model(caller, id).await?))
}
