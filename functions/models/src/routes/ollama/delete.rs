//! `DELETE /api/delete`: Ollama's dialect.

use axum::{Extension, extract::State, http::StatusCode};
use hearth_gateway::Caller;
use hearth_http::{AppState, HttpError, JsonBody};
use hearth_wire::ollama::{OllamaError, OllamaModelName};

/// Remove a local model's file, as Ollama's clients ask for it.
#[utoipa::path(
    delete, path = "/api/delete", operation_id = "ollama_delete", tag = "compatible", security(("token" = [])),
    request_body(content = OllamaModelName, example = json!({"model": "old-model"})),
    responses(
        (status = 200, description = "It is removed"),
        (status = "4XX", description = "Refused: `code` says why, and `param` names the field", body = OllamaError),
        (status = "5XX", description = "Failed: `code` says where, and `retryable` whether to try again", body = OllamaError),
    ),
)]
pub(crate) async fn delete(
    State(state): State<AppState>,
    Extension(caller): Extension<Caller>,
    JsonBody(request): JsonBody<OllamaModelName>,
) -> Result<StatusCode, HttpError> {
    let name = request.into_name()?;
    let id = state.gateway.without_latest_tag(&name).await;
    let removed = state.gateway.remove_model(&caller, &id).await;
    removed.map_err(|error| HttpError(OllamaError::in_its_words(error, &name)))?;
    Ok(StatusCode::OK)
}
