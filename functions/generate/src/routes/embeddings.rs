//! `POST /v1/embeddings`: OpenAI's dialect.

use axum::{
    Json,
    response::{IntoResponse as _, Response},
};
use hearth_gateway::Delivery;
use hearth_http::{HttpError, JsonBody, rate_headers::with_rate, response_headers};
use hearth_wire::{
    openai::embeddings::{EmbeddingList, EmbeddingRequest},
    option_hints::option_hints,
};

use crate::{run_headers::CacheHeaders, run_request::RunRequest};

/// Create embedding vectors, as OpenAI's SDKs request them.
///
/// The vectors are in this response alone: the request's record has no output.
///
/// The model `auto` is the default one: that of the setting `embedding_model`, or else an embedding model of a node. A new gateway has
/// none; `hearth models pull` downloads one.
#[utoipa::path(
    post, path = "/v1/embeddings", operation_id = "create_embeddings", tag = "compatible", security(("token" = [])),
    request_body(
        content = EmbeddingRequest,
        example = json!({"model": "auto", "input": "What is the capital of France?"}),
    ),
    params(CacheHeaders),
    responses(
        (status = 200, description = "The vectors, in the order of the inputs", body = EmbeddingList),
    ),
)]
pub(crate) async fn embeddings(
    run_request: RunRequest,
    JsonBody(request): JsonBody<EmbeddingRequest>,
) -> Result<Response, HttpError> {
    let (count, format) = (request.input.count(), request.format());
    let generation = request.into_generation()?;
    let hints = option_hints(&generation.extra);
    let run = run_request.run(generation, Delivery::Whole).await?;
    let (cache, rate) = (run.cache, run.rate);
    let events = run.collect().await;
    let answer = EmbeddingList::from_events(&events, count, format)?;
    let response = response_headers::with_run(Json(answer).into_response(), &events);
    let response = response_headers::with_hints(response, &hints);
    Ok(with_rate(response_headers::with_cache(response, cache), rate))
}
