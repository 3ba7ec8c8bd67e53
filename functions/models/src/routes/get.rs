//! `GET /v1/models/{id}`.

use axum::Json;
use hearth_gateway::Caller;
use hearth_http::{AppState, HttpError};
use hearth_wire::{error::ErrorEnvelope, native::models::ModelBody};

/// A model, with what it is doing.
#[utoipa::path(
    get, path = "/v1/models/{id}", operation_id = "get_model", tag = "models", security(("token" = [])),
    params(("id" = String, Path, description = "The model's id; may hold slashes")),
    responses(
        (status = 200, description = "The model", body = ModelBody),
        (status = 404, description = "There is no such thing, or it belongs to somebody else", body = ErrorEnvelope),
    ),
)]
pub(crate) async fn model(state: &AppState, caller: &Caller, id: &str) -> Result<Json<ModelBody>, HttpError> {
    Ok(Json(state.gateway.model(caller, id).await?))
}
