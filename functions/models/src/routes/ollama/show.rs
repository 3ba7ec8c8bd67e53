//! `POST /api/show`: Ollama's dialect.

use axum::{Extension, Json, extract::State};
use hearth_gateway::Caller;
use hearth_http::{AppState, HttpError, JsonBody};
use hearth_wire::ollama::{OllamaError, OllamaModelInfo, OllamaModelName};

use super::named;

/// What is known of a model, as Ollama's clients read it.
#[utoipa::path(
    post, path = "/api/show", operation_id = "ollama_show", tag = "compatible", security(("token" = [])),
    request_body(content = OllamaModelName, example = json!({"model": "tiny-chat"})),
    responses(
        (status = 200, description = "The model", body = OllamaModelInfo),
        (status = "4XX", description = "Refused: `code` says why, and `param` names the field", body = OllamaError),
        (status = "5XX", description = "Failed: `code` says where, and `retryable` whether to try again", body = OllamaError),
    ),
)]
pub(crate) async fn show(
    State(state): State<AppState>,
    Extension(caller): Extension<Caller>,
    JsonBody(request): JsonBody<OllamaModelName>,
) -> Result<Json<OllamaModelInfo>, HttpError> {
    Ok(Json(named(&state, &caller, request).await?.into()))
}
