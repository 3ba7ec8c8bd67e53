//! `POST /api/chat`: Ollama's dialect.

use axum::{
    Json,
    response::{IntoResponse as _, Response},
};
use hearth_gateway::Delivery;
use hearth_http::{HttpError, JsonBody};
use hearth_wire::{
    native::requests::AcceptedRequest,
    ollama::{OllamaChatAnswer, OllamaChatRequest, OllamaError},
};

use super::{failed, load::load_or_unload, with_client_wording, with_ignored};
use crate::{run_headers::RunHeaders, run_request::RunRequest};

/// Generate a chat message, as Ollama's clients request it.
///
/// Unless `stream` is false the response is lines of JSON, the last with `done`. A request without messages loads the
/// model, or unloads it if `keep_alive` is 0. `x-hearth-ignored-options` names options without effect.
#[utoipa::path(
    post, path = "/api/chat", operation_id = "ollama_chat", tag = "compatible", security(("token" = [])),
    request_body(
        content = OllamaChatRequest,
        examples(
            ("question" = (summary = "A question", value = json!({"model": "auto", "stream": false, "messages": [{"role": "user", "content": "What is the capital of France?"}]}))),
            ("structured" = (summary = "An answer with a JSON Schema", value = json!({"model": "auto", "stream": false, "messages": [{"role": "user", "content": "What is the capital of France?"}], "format": {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"], "additionalProperties": false}, "options": {"num_predict": 60}}))),
        ),
    ),
    params(RunHeaders),
    responses(
        (status = 200, description = "The answer, or a stream of lines", content(
            (OllamaChatAnswer = "application/json"),
            (OllamaChatAnswer = "application/x-ndjson"),
        )),
        (status = 202, description = "The run continues without the client", body = AcceptedRequest),
        (status = "4XX", description = "Refused: `code` is the reason, and `param` the field", body = OllamaError),
        (status = "5XX", description = "Failed: `code` is the reason, and `retryable` is true if a retry may succeed", body = OllamaError),
    ),
)]
pub(crate) async fn chat(
    run_request: RunRequest,
    JsonBody(request): JsonBody<OllamaChatRequest>,
) -> Result<Response, HttpError> {
    let (name, renderer) = (request.model.clone(), request.renderer(run_request.id));
    let id = run_request.gateway.without_latest_tag(&run_request.caller, &name).await;
    if request.is_empty() {
        let done = load_or_unload(&run_request, &id, request.unloads())
            .await
            .map_err(|error| failed(error, &name))?;
        return Ok(Json(renderer.without_run(done)).into_response());
    }
    let (streams, ignored) = (request.streams(), request.ignored_options().join(", "));
    let answer = run_request.respond(request.into_generation(id)?, renderer, Delivery::of(streams)).await;
    answer.map(|answer| with_ignored(answer, &ignored)).map_err(|error| with_client_wording(error, &name))
}
