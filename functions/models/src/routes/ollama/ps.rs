//! `GET /api/ps`: Ollama's dialect.

use axum::{Extension, Json, extract::State};
use hearth_gateway::Caller;
use hearth_http::{AppState, HttpError};
use hearth_wire::ollama::{OllamaError, OllamaLoadedModels};

/// The models in memory, or on their way there, as Ollama's clients read them.
#[utoipa::path(
    get, path = "/api/ps", operation_id = "ollama_ps", tag = "compatible", security(("token" = [])),
    responses(
        (status = 200, description = "The models in memory", body = OllamaLoadedModels),
        (status = "4XX", description = "Refused: `code` says why, and `param` names the field", body = OllamaError),
        (status = "5XX", description = "Failed: `code` says where, and `retryable` whether to try again", body = OllamaError),
    ),
)]
pub(crate) async fn ps(
    State(state): State<AppState>,
    Extension(caller): Extension<Caller>,
) -> Result<Json<OllamaLoadedModels>, HttpError> {
    let models = state.gateway.loaded_models(&caller).await?;
    Ok(Json(OllamaLoadedModels { models: models.into_iter().map(Into::into).collect() }))
}
