//! `POST /v1beta/models/{model}:embedContent` and `:batchEmbedContents`: Gemini's dialect.

use axum::{
    Json,
    response::{IntoResponse as _, Response},
};
use hearth_domain::Generation;
use hearth_gateway::Delivery;
use hearth_http::{HttpError, rate_headers::with_rate, response_headers};
use hearth_wire::{
    ApiError, RunEvent,
    gemini::{
        BatchEmbedContentsAnswer, BatchEmbedContentsRequest, EmbedContentAnswer, EmbedContentRequest,
        GeminiError,
    },
};
use serde::Serialize;

use crate::{run_headers::CacheHeaders, run_request::RunRequest};

/// Create the embedding vector of a text, as Google's SDKs request it.
///
/// The model `auto` is the default one: that of the setting `embedding_model`, or else an embedding model of a node. A new gateway has
/// none; `hearth models pull` downloads one.
#[utoipa::path(
    post, path = "/v1beta/models/{model}:embedContent", operation_id = "gemini_embed_content", tag = "compatible",
    security(("token" = [])),
    request_body(
        content = EmbedContentRequest,
        example = json!({"content": {"parts": [{"text": "What is the capital of France?"}]}}),
    ),
    params(
        ("model" = String, Path, description = "Id of an embedding model, or `auto` for the default one", example = "auto"),
        CacheHeaders,
    ),
    responses(
        (status = 200, description = "The vector", body = EmbedContentAnswer),
        (status = "4XX", description = "Refused: `status` and `details` have the reason", body = GeminiError),
        (status = "5XX", description = "Failed: `status` and `details` have the reason", body = GeminiError),
    ),
)]
pub(crate) async fn embed(
    run_request: RunRequest,
    model: String,
    request: EmbedContentRequest,
) -> Result<Response, HttpError> {
    answer(run_request, request.into_generation(model)?, EmbedContentAnswer::from_events).await
}

/// Create the embedding vectors of texts, as Google's SDKs request them.
///
/// The model `auto` is the default one: that of the setting `embedding_model`, or else an embedding model of a node. A new gateway has
/// none; `hearth models pull` downloads one.
#[utoipa::path(
    post, path = "/v1beta/models/{model}:batchEmbedContents", operation_id = "gemini_batch_embed_contents",
    tag = "compatible", security(("token" = [])),
    request_body(
        content = BatchEmbedContentsRequest,
        example = json!({"requests": [{"content": {"parts": [{"text": "What is the capital of France?"}]}}]}),
    ),
    params(
        ("model" = String, Path, description = "Id of an embedding model, or `auto` for the default one", example = "auto"),
        CacheHeaders,
    ),
    responses(
        (status = 200, description = "The vectors, in the order of the texts", body = BatchEmbedContentsAnswer),
        (status = "4XX", description = "Refused: `status` and `details` have the reason", body = GeminiError),
        (status = "5XX", description = "Failed: `status` and `details` have the reason", body = GeminiError),
    ),
)]
pub(crate) async fn embed_all(
    run_request: RunRequest,
    model: String,
    request: BatchEmbedContentsRequest,
) -> Result<Response, HttpError> {
    let count = request.count();
    let collected = |events: &[RunEvent]| BatchEmbedContentsAnswer::from_events(events, count);
    answer(run_request, request.into_generation(model)?, collected).await
}

async fn answer<A: Serialize>(
    run_request: RunRequest,
    generation: Generation,
    collected: impl FnOnce(&[RunEvent]) -> Result<A, ApiError>,
) -> Result<Response, HttpError> {
    let run = run_request.run(generation, Delivery::Whole).await?;
    let (cache, rate) = (run.cache, run.rate);
    let events = run.collect().await;
    let answer = Json(collected(&events)?).into_response();
    let response = response_headers::with_cache(response_headers::with_run(answer, &events), cache);
    Ok(with_rate(response, rate))
}
