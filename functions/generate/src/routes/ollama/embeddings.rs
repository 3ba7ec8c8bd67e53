//! `POST /api/embeddings`: Ollama's dialect, before `/api/embed`.

use axum::response::Response;
use hearth_http::{HttpError, JsonBody};
use hearth_wire::ollama::{OllamaEmbeddingAnswer, OllamaEmbeddingRequest, OllamaError};

use super::embed::vectors;
use crate::asker::Asker;

/// Give the vector that stands for a text, as older clients of Ollama's ask for it.
#[utoipa::path(
    post, path = "/api/embeddings", operation_id = "ollama_embeddings", tag = "compatible", security(("token" = [])),
    request_body(
        content = OllamaEmbeddingRequest,
        example = json!({"model": "tiny-embed", "prompt": "What is the capital of France?"}),
    ),
    responses(
        (status = 200, description = "The vector", body = OllamaEmbeddingAnswer),
        (status = "4XX", description = "Refused: `code` says why, and `param` names the field", body = OllamaError),
        (status = "5XX", description = "Failed: `code` says where, and `retryable` whether to try again", body = OllamaError),
    ),
)]
pub(crate) async fn embeddings(
    asker: Asker,
    JsonBody(request): JsonBody<OllamaEmbeddingRequest>,
) -> Result<Response, HttpError> {
    let name = request.model.clone();
    let generation = request.into_generation(asker.gateway.without_latest_tag(&name).await)?;
    vectors(asker, name, generation, OllamaEmbeddingAnswer::from).await
}
