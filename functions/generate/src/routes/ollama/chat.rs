//! `POST /api/chat`: Ollama's dialect.

use axum::{
    Json,
    response::{IntoResponse as _, Response},
};
use hearth_http::{HttpError, JsonBody};
use hearth_wire::{
    native::requests::AcceptedRequest,
    ollama::{OllamaChatAnswer, OllamaChatRequest, OllamaError},
};

use super::{failed, in_its_words, load::load_or_unload, with_ignored};
use crate::asker::Asker;

/// Answer a conversation, as Ollama's clients ask for it.
///
/// Unless `stream` is false the answer is lines of JSON, of which the last says `done`. Without messages the model is
/// loaded, or with `keep_alive` 0 unloaded. `x-hearth-ignored-options` names options that have no effect.
#[utoipa::path(
    post, path = "/api/chat", operation_id = "ollama_chat", tag = "compatible", security(("token" = [])),
    request_body(
        content = OllamaChatRequest,
        example = json!({"model": "auto", "stream": false, "messages": [{"role": "user", "content": "What is the capital of France?"}]}),
    ),
    params(
        ("prefer" = Option<String>, Header, description = "`respond-async`: answer 202 at once"),
        ("x-hearth-cache" = Option<String>, Header, description = "What it wants of the cache: `use`, `no-cache`, `no-store`, `only-if-cached`"),
    ),
    responses(
        (status = 200, description = "The answer, or a stream of lines", body = OllamaChatAnswer),
        (status = 202, description = "The request goes on by itself", body = AcceptedRequest),
        (status = "4XX", description = "Refused: `code` says why, and `param` names the field", body = OllamaError),
        (status = "5XX", description = "Failed: `code` says where, and `retryable` whether to try again", body = OllamaError),
    ),
)]
pub(crate) async fn chat(
    asker: Asker,
    JsonBody(request): JsonBody<OllamaChatRequest>,
) -> Result<Response, HttpError> {
    let (name, renderer) = (request.model.clone(), request.renderer(asker.id));
    let id = asker.gateway.without_latest_tag(&name).await;
    if request.is_empty() {
        let done =
            load_or_unload(&asker, &id, request.unloads()).await.map_err(|error| failed(error, &name))?;
        return Ok(Json(renderer.without_run(done)).into_response());
    }
    let (streams, ignored) = (request.streams(), request.ignored_options().join(", "));
    let answer = asker.answer(request.into_generation(id)?, renderer, streams).await;
    answer.map(|answer| with_ignored(answer, &ignored)).map_err(|error| in_its_words(error, &name))
}
