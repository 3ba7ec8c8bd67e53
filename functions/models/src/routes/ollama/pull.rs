//! `POST /api/pull`: Ollama's dialect.

use axum::{
    Extension, Json,
    extract::State,
    response::{IntoResponse as _, Response},
};
use futures::stream;
use hearth_gateway::Caller;
use hearth_http::{AppState, HttpError, JsonBody, ndjson};
use hearth_wire::{
    ErrorCode,
    ollama::{OllamaError, OllamaModelName, OllamaStatus},
    stream::Frame,
};

use super::named;

/// Say that a model is there, as Ollama's clients ask before they use one.
///
/// Nothing is downloaded: a gateway may have many nodes, and which one is to have a model is the operator's to say.
/// A model that isn't there is a 404 that names the command.
#[utoipa::path(
    post, path = "/api/pull", operation_id = "ollama_pull", tag = "compatible", security(("token" = [])),
    request_body(content = OllamaModelName, example = json!({"model": "tiny-chat", "stream": false})),
    responses(
        (status = 200, description = "The model is there; or the same as a stream of lines", body = OllamaStatus),
        (status = "4XX", description = "Refused: `code` says why, and `param` names the field", body = OllamaError),
        (status = "5XX", description = "Failed: `code` says where, and `retryable` whether to try again", body = OllamaError),
    ),
)]
pub(crate) async fn pull(
    State(state): State<AppState>,
    Extension(caller): Extension<Caller>,
    JsonBody(request): JsonBody<OllamaModelName>,
) -> Result<Response, HttpError> {
    let streams = request.stream.unwrap_or(true);
    named(&state, &caller, request).await.map_err(with_command)?;
    if !streams {
        return Ok(Json(OllamaStatus::new("success")).into_response());
    }
    let lines = ["pulling manifest", "success"].map(|status| Frame::json(None, &OllamaStatus::new(status)));
    Ok(ndjson::respond(stream::iter(lines)))
}

/// Where there is no such model, the message says how it can be had.
fn with_command(HttpError(mut error): HttpError) -> HttpError {
    if error.code == ErrorCode::ModelNotFound {
        error.message.push_str(
            ". Models aren't downloaded through this API; run `hearth models pull OWNER/NAME` on the node, with a \
             repository of Hugging Face",
        );
    }
    HttpError(error)
}
