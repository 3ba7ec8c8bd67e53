//! `/v1/models/search`: search of a hub for models to download.

use axum::{Extension, Json, extract::State};
use hearth_gateway::Caller;
use hearth_http::{AppState, HttpError, QueryParams};
use hearth_wire::{
    error::ErrorEnvelope,
    native::hub::{HubQuery, HubSearch},
};

/// Search Hugging Face for models, with their GGUF files and whether these fit into the node's memory.
#[utoipa::path(
    get, path = "/v1/models/search", operation_id = "search_models", tag = "models", security(("token" = [])),
    params(HubQuery),
    responses(
        (status = 200, description = "A page of models", body = HubSearch),
        (status = 400, description = "The request is malformed; `param` names the field", body = ErrorEnvelope),
        (status = 502, description = "The hub can't be reached, or refuses", body = ErrorEnvelope),
    ),
)]
pub(crate) async fn search(
    State(state): State<AppState>,
    Extension(caller): Extension<Caller>,
    QueryParams(query): QueryParams<HubQuery>,
) -> Result<Json<HubSearch>, HttpError> {
    Ok(Json(state.gateway.search_hub(&caller, query).await?))
}
