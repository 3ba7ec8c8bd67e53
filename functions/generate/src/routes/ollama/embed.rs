//! `POST /api/embed`: Ollama's dialect.

use axum::{
    Json,
    response::{IntoResponse as _, Response},
};
use hearth_domain::{Generation, Task};
use hearth_gateway::Delivery;
use hearth_http::{HttpError, JsonBody, rate_headers::with_rate, response_headers};
use hearth_wire::ollama::{OllamaEmbedAnswer, OllamaEmbedRenderer, OllamaEmbedRequest, OllamaError};
use serde::Serialize;

use super::failed;
use crate::{run_headers::CacheHeaders, run_request::RunRequest};

/// Create embedding vectors, as Ollama's clients request them.
///
/// A text that exceeds the model's context is refused, even with `truncate`.
///
/// The model `auto` is the default one: that of the setting `embedding_model`, or else an embedding model of a node. A new gateway has
/// none; `hearth models pull` downloads one.
#[utoipa::path(
    post, path = "/api/embed", operation_id = "ollama_embed", tag = "compatible", security(("token" = [])),
    request_body(
        content = OllamaEmbedRequest,
        example = json!({"model": "auto", "input": "What is the capital of France?"}),
    ),
    params(CacheHeaders),
    responses(
        (status = 200, description = "The vectors, in the order of the texts", body = OllamaEmbedAnswer),
        (status = "4XX", description = "Refused: `code` is the reason, and `param` the field", body = OllamaError),
        (status = "5XX", description = "Failed: `code` is the reason, and `retryable` is true if a retry may succeed", body = OllamaError),
    ),
)]
pub(crate) async fn embed(
    run_request: RunRequest,
    JsonBody(request): JsonBody<OllamaEmbedRequest>,
) -> Result<Response, HttpError> {
    let name = request.model.clone();
    let generation =
        request.into_generation(run_request.gateway.without_latest_tag(&run_request.caller, &name).await)?;
    vectors(run_request, name, generation, |answer| answer).await
}

/// Embeds the texts of `generation`, if there are any, and shapes the response.
pub(super) async fn vectors<T: Serialize>(
    run_request: RunRequest,
    name: String,
    generation: Option<Generation>,
    shape: impl FnOnce(OllamaEmbedAnswer) -> T,
) -> Result<Response, HttpError> {
    let mut renderer = OllamaEmbedRenderer::new(name.clone());
    let Some(generation) = generation else {
        return Ok(Json(shape(renderer.into_answer(&[], 0)?)).into_response());
    };
    let count = match &generation.task {
        Task::Embedding(task) => task.inputs.len(),
        Task::Text(_) | Task::Image(_) | Task::Mesh(_) => 0,
    };
    let run = run_request.run(generation, Delivery::Whole).await.map_err(|error| failed(error, &name))?;
    let (cache, rate) = (run.cache, run.rate);
    let events = run.collect_observed(|event| renderer.observe(event)).await;
    let answer = shape(renderer.into_answer(&events, count)?);
    let response = response_headers::with_run(Json(answer).into_response(), &events);
    Ok(with_rate(response_headers::with_cache(response, cache), rate))
}
