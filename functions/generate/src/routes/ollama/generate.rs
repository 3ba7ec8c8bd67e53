//! `POST /api/generate`: Ollama's dialect, before chat.

use axum::{
    Json,
    response::{IntoResponse as _, Response},
};
use hearth_http::{HttpError, JsonBody};
use hearth_wire::{
    native::requests::AcceptedRequest,
    ollama::{OllamaError, OllamaGenerateAnswer, OllamaGenerateRequest},
};

use super::{failed, in_its_words, load::load_or_unload, with_ignored};
use crate::asker::Asker;

/// Answer a prompt, as Ollama's clients ask for it.
///
/// The prompt is what a user says; a local model continues it as it is with `raw`, and fills the gap between `prompt` and
/// `suffix`. Unless `stream` is false the answer is lines of JSON, of which the last says `done`. Without a prompt the
/// model is loaded, or with `keep_alive` 0 unloaded.
#[utoipa::path(
    post, path = "/api/generate", operation_id = "ollama_generate", tag = "compatible", security(("token" = [])),
    request_body(
        content = OllamaGenerateRequest,
        example = json!({"model": "auto", "stream": false, "prompt": "What is the capital of France?"}),
    ),
    params(
        ("prefer" = Option<String>, Header, description = "`respond-async`: answer 202 at once"),
        ("x-hearth-cache" = Option<String>, Header, description = "What it wants of the cache: `use`, `no-cache`, `no-store`, `only-if-cached`"),
    ),
    responses(
        (status = 200, description = "The answer, or a stream of lines", body = OllamaGenerateAnswer),
        (status = 202, description = "The request goes on by itself", body = AcceptedRequest),
        (status = "4XX", description = "Refused: `code` says why, and `param` names the field", body = OllamaError),
        (status = "5XX", description = "Failed: `code` says where, and `retryable` whether to try again", body = OllamaError),
    ),
)]
pub(crate) async fn generate(
    asker: Asker,
    JsonBody(request): JsonBody<OllamaGenerateRequest>,
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
