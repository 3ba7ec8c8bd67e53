//! `POST /v1/embeddings`: the OpenAI dialect.

use axum::{
    Json,
    response::{IntoResponse as _, Response},
};
use hearth_http::{HttpError, JsonBody, head};
use hearth_wire::openai::embeddings::{EmbeddingList, EmbeddingRequest};

use crate::asker::Asker;

/// Give the vectors that stand for texts, as OpenAI's SDKs ask for them.
///
/// They are in this answer and nowhere else: the request's record has no output.
#[utoipa::path(
    post, path = "/v1/embeddings", operation_id = "create_embeddings", tag = "compatible", security(("token" = [])),
    request_body(
        content = EmbeddingRequest,
        example = json!({"model": "tiny-embed", "input": "What is the capital of France?"}),
    ),
    params((
        "x-hearth-cache" = Option<String>, Header,
        description = "What it wants of the cache: `use`, `no-cache`, `no-store`, `only-if-cached`"
    )),
    responses(
        (status = 200, description = "The vectors, in the order of the inputs", body = EmbeddingList),
    ),
)]
pub(crate) async fn embeddings(
    asker: Asker,
    JsonBody(request): JsonBody<EmbeddingRequest>,
) -> Result<Response, HttpError> {
    let (count, format) = (request.input.count(), request.format());
    let run = asker.run(request.into_generation()?).await?;
    let cache = run.cache;
    let events = run.collect().await;
    let answer = EmbeddingList::collected(&events, count, format)?;
    Ok(head::cached(head::told(Json(answer).into_response(), &events), cache))
}
