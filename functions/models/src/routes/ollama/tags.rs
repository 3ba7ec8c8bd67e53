//! `GET /api/tags`: Ollama's dialect.

use axum::{Extension, Json, extract::State};
use hearth_gateway::Caller;
use hearth_http::{AppState, HttpError};
use hearth_wire::{
    native::models::ModelQuery,
    ollama::{OllamaError, OllamaModelList},
};

/// The models that give text or vectors, as Ollama's clients read them: of nodes, of providers, and aliases.
#[utoipa::path(
    get, path = "/api/tags", operation_id = "ollama_tags", tag = "compatible", security(("token" = [])),
    responses(
        (status = 200, description = "The models", body = OllamaModelList),
        (status = "4XX", description = "Refused: `code` says why, and `param` names the field", body = OllamaError),
        (status = "5XX", description = "Failed: `code` says where, and `retryable` whether to try again", body = OllamaError),
    ),
)]
pub(crate) async fn tags(
    State(state): State<AppState>,
    Extension(caller): Extension<Caller>,
) -> Result<Json<OllamaModelList>, HttpError> {
    let models = state.gateway.every_model(&caller, &ModelQuery::default()).await?;
    Ok(Json(OllamaModelList::of(models)))
}
