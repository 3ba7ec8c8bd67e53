//! `GET /v1/models/loaded`.

use axum::Json;
use hearth_gateway::Caller;
use hearth_http::{AppState, HttpError};
use hearth_wire::native::models::LoadedModels;

/// The models in memory, or on their way there.
#[utoipa::path(
    get, path = "/v1/models/loaded", operation_id = "list_loaded_models", tag = "models", security(("token" = [])),
    responses((status = 200, description = "The models in memory", body = LoadedModels)),
)]
pub(crate) async fn loaded(state: &AppState, caller: &Caller) -> Result<Json<LoadedModels>, HttpError> {
    Ok(Json(LoadedModels { models: state.gateway.loaded_models(caller).await? }))
}
