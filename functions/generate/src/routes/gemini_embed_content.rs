//! `POST /v1beta/models/{model}:embedContent` and `:batchEmbedContents`: the Gemini dialect.

use axum::{
    Json,
    response::{IntoResponse as _, Response},
};
use hearth_domain::Generation;
use hearth_http::{HttpError, head};
use hearth_wire::{
    ApiError, RunEvent,
    gemini::{
        BatchEmbedContentsAnswer, BatchEmbedContentsRequest, EmbedContentAnswer, EmbedContentRequest,
        GeminiError,
    },
};
use serde::Serialize;

use crate::asker::Asker;

/// Give the vector that stands for a text, as Google's SDKs ask for it.
#[utoipa::path(
    post, path = "/v1beta/models/{model}:embedContent", operation_id = "gemini_embed_content", tag = "compatible",
    security(("token" = [])),
    request_body(
        content = EmbedContentRequest,
        example = json!({"content": {"parts": [{"text": "What is the capital of France?"}]}}),
    ),
    params(("model" = String, Path, description = "The id of a model that makes embeddings", example = "tiny-embed")),
    responses(
        (status = 200, description = "The vector", body = EmbedContentAnswer),
        (status = "4XX", description = "Refused: `status` and the details say why", body = GeminiError),
        (status = "5XX", description = "Failed: `status` and the details say where", body = GeminiError),
    ),
)]
pub(crate) async fn embed(
    asker: Asker,
    model: String,
    request: EmbedContentRequest,
) -> Result<Response, HttpError> {
    answer(asker, request.into_generation(model)?, EmbedContentAnswer::collected).await
}

/// Give the vectors that stand for texts, as Google's SDKs ask for them.
#[utoipa::path(
    post, path = "/v1beta/models/{model}:batchEmbedContents", operation_id = "gemini_batch_embed_contents",
    tag = "compatible", security(("token" = [])),
    request_body(
        content = BatchEmbedContentsRequest,
        example = json!({"requests": [{"content": {"parts": [{"text": "What is the capital of France?"}]}}]}),
    ),
    params(("model" = String, Path, description = "The id of a model that makes embeddings", example = "tiny-embed")),
    responses(
        (status = 200, description = "The vectors, in the order of the texts", body = BatchEmbedContentsAnswer),
        (status = "4XX", description = "Refused: `status` and the details say why", body = GeminiError),
        (status = "5XX", description = "Failed: `status` and the details say where", body = GeminiError),
    ),
)]
pub(crate) async fn embed_all(
    asker: Asker,
    model: String,
    request: BatchEmbedContentsRequest,
) -> Result<Response, HttpError> {
    let count = request.count();
    let collected = |events: &[RunEvent]| BatchEmbedContentsAnswer::collected(events, count);
    answer(asker, request.into_generation(model)?, collected).await
}

async fn answer<A: Serialize>(
    asker: Asker,
    generation: Generation,
    collected: impl FnOnce(&[RunEvent]) -> Result<A, ApiError>,
) -> Result<Response, HttpError> {
    let run = asker.run(generation).await?;
    let cache = run.cache;
    let events = run.collect().await;
    let answer = Json(collected(&events)?).into_response();
    Ok(head::cached(head::told(answer, &events), cache))
}
