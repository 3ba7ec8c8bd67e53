//! `POST /v1/models/{id}/load`.

use axum::{Json, http::StatusCode};
use hearth_gateway::Caller;
use hearth_http::{AppState, HttpError};
use hearth_wire::{error::ErrorEnvelope, native::models::ModelStatus};

/// Begin to load a model. Its status tells how far it is.
#[utoipa::path(
    post, path = "/v1/models/{id}/load", operation_id = "load_model", tag = "models", security(("token" = [])),
    params(("id" = String, Path, description = "The model's id; may hold slashes")),
    responses(
        (status = 202, description = "The state of the model on its node", body = ModelStatus),
        (status = 404, description = "There is no such thing, or it belongs to somebody else", body = ErrorEnvelope),
        (status = 409, description = "The state does not allow it", body = ErrorEnvelope),
        (status = 503, description = "It cannot be done now; `retryable` says whether later", body = ErrorEnvelope),
    ),
)]
pub(crate) async fn load(
    state: &AppState,
    caller: &Caller,
    id: &str,
) -> Result<(StatusCode, Json<ModelStatus>), HttpError> {
    let runtime_status = state.gateway.load_model(caller, id).await?;
    Ok((StatusCode::ACCEPTED, Json(ModelStatus { model: id.to_owned(), runtime_status })))
}
