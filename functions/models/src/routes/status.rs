//! `GET /v1/models/{id}/status`.

use axum::Json;
use hearth_gateway::Caller;
use hearth_http::{AppState, HttpError};
use hearth_wire::{error::ErrorEnvelope, native::models::ModelStatus};

/// What a model is doing.
#[utoipa::path(
    get, path = "/v1/models/{id}/status", tag = "models", security(("token" = [])),
    params(("id" = String, Path, description = "The model's id; may hold slashes")),
    responses((status = 200, body = ModelStatus), (status = 404, body = ErrorEnvelope)),
)]
pub(crate) async fn status(
    state: &AppState,
    caller: &Caller,
    id: &str,
) -> Result<Json<ModelStatus>, HttpError> {
    let model = state.gateway.model(caller, id).await?;
    Ok(Json(ModelStatus { model: model.id, runtime_status: model.runtime_status }))
}
