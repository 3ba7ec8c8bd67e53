//! `GET /v1/models/{id}/status`.

use axum::Json;
use hearth_gateway::Caller;
use hearth_http::{AppState, HttpError};
use hearth_wire::{error::ErrorEnvelope, native::models::ModelStatus};

/// What a model is doing.
#[utoipa::path(
    get, path = "/v1/models/{id}/status", operation_id = "get_model_status", tag = "models", security(("token" = [])),
    params(("id" = String, Path, description = "The model's id; may hold slashes")),
    responses(
        (status = 200, description = "The state of the model on its node", body = ModelStatus),
        (status = 404, description = "There is no such thing, or it belongs to somebody else", body = ErrorEnvelope),
    ),
)]
pub(crate) async fn status(
    state: &AppState,
    caller: &Caller,
    id: &str,
) -> Result<Json<ModelStatus>, HttpError> {
    let model = state.gateway.model(caller, id).await?;
    Ok(Json(ModelStatus { model: model.id, runtime_status: model.runtime_status }))
}
