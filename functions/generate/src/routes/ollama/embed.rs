//! `POST /api/embed`: Ollama's dialect.

use axum::{
    Json,
    response::{IntoResponse as _, Response},
};
use hearth_domain::{Generation, Task};
use hearth_http::{HttpError, JsonBody, head};
use hearth_wire::ollama::{EmbedRenderer, OllamaEmbedAnswer, OllamaEmbedRequest, OllamaError};
use serde::Serialize;

use super::failed;
use crate::asker::Asker;

/// Give the vectors that stand for texts, as Ollama's clients ask for them.
///
/// A text that is longer than the model's context is refused, whatever `truncate` says.
#[utoipa::path(
    post, path = "/api/embed", operation_id = "ollama_embed", tag = "compatible", security(("token" = [])),
    request_body(
        content = OllamaEmbedRequest,
        example = json!({"model": "tiny-embed", "input": "What is the capital of France?"}),
    ),
    params((
        "x-hearth-cache" = Option<String>, Header,
        description = "What it wants of the cache: `use`, `no-cache`, `no-store`, `only-if-cached`"
    )),
    responses(
        (status = 200, description = "The vectors, in the order of the texts", body = OllamaEmbedAnswer),
        (status = "4XX", description = "Refused: `code` says why, and `param` names the field", body = OllamaError),
        (status = "5XX", description = "Failed: `code` says where, and `retryable` whether to try again", body = OllamaError),
    ),
)]
pub(crate) async fn embed(
    asker: Asker,
    JsonBody(request): JsonBody<OllamaEmbedRequest>,
) -> Result<Response, HttpError> {
    let name = request.model.clone();
    let generation = request.into_generation(asker.gateway.without_latest_tag(&name).await)?;
    vectors(asker, name, generation, |answer| answer).await
}

/// Has the texts of `generation` embedded, if there are some, and answers as `shape` says.
pub(super) async fn vectors<T: Serialize>(
    asker: Asker,
    name: String,
    generation: Option<Generation>,
    shape: impl FnOnce(OllamaEmbedAnswer) -> T,
) -> Result<Response, HttpError> {
    let mut renderer = EmbedRenderer::new(name.clone());
    let Some(generation) = generation else {
        return Ok(Json(shape(renderer.collected(&[], 0)?)).into_response());
    };
    let count = match &generation.task {
        Task::Embedding(task) => task.inputs.len(),
        Task::Text(_) | Task::Image(_) | Task::Mesh(_) => 0,
    };
    let run = asker.run(generation).await.map_err(|error| failed(error, &name))?;
    let cache = run.cache;
    let events = run.collect_observed(|event| renderer.observe(event)).await;
    let answer = shape(renderer.collected(&events, count)?);
    Ok(head::cached(head::told(Json(answer).into_response(), &events), cache))
}
