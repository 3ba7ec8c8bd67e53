//! `POST /api/embeddings`: Ollama's dialect before `/api/embed`.

use axum::response::Response;
use hearth_http::{HttpError, JsonBody};
use hearth_wire::ollama::{OllamaEmbeddingAnswer, OllamaEmbeddingRequest, OllamaError};

use super::embed::vectors;
use crate::{run_headers::CacheHeaders, run_request::RunRequest};

/// Create an embedding vector, as older clients of Ollama request it.
///
/// The model `auto` is the default one: that of the setting `embedding_model`, or else an embedding model of a node. A new gateway has
/// none; `hearth models pull` downloads one.
#[utoipa::path(
    post, path = "/api/embeddings", operation_id = "ollama_embeddings", tag = "compatible", security(("token" = [])),
    request_body(
        content = OllamaEmbeddingRequest,
        example = json!({"model": "auto", "prompt": "What is the capital of France?"}),
    ),
    params(CacheHeaders),
    responses(
        (status = 200, description = "The vector", body = OllamaEmbeddingAnswer),
        (status = "4XX", description = "Refused: `code` is the reason, and `param` the field", body = OllamaError),
        (status = "5XX", description = "Failed: `code` is the reason, and `retryable` is true if a retry may succeed", body = OllamaError),
    ),
)]
pub(crate) async fn embeddings(
    run_request: RunRequest,
    JsonBody(request): JsonBody<OllamaEmbeddingRequest>,
) -> Result<Response, HttpError> {
    let name = request.model.clone();
    let generation =
        request.into_generation(run_request.gateway.without_latest_tag(&run_request.caller, &name).await)?;
    vectors(run_request, name, generation, OllamaEmbeddingAnswer::from).await
}
