//! `POST /v1/chat/completions`: OpenAI's dialect.

use axum::response::Response;
use hearth_gateway::Delivery;
use hearth_http::{HttpError, JsonBody};
use hearth_wire::{
    native::requests::AcceptedRequest,
    openai::chat::{ChatCompletion, ChatRequest},
};

use crate::{run_headers::RunHeaders, run_request::RunRequest};

/// Create a chat completion, as OpenAI's SDKs request it.
///
/// With `stream: true` the response is chunks as server-sent events, then `[DONE]`. `x-queue-position` is the
/// position of a request that has to wait.
#[utoipa::path(
    post, path = "/v1/chat/completions", operation_id = "create_chat_completion", tag = "compatible", security(("token" = [])),
    request_body(
        content = ChatRequest,
        examples(
            ("question" = (summary = "A question", value = json!({"model": "auto", "messages": [{"role": "user", "content": "What is the capital of France?"}]}))),
            ("structured" = (summary = "An answer with a JSON Schema", value = json!({"model": "auto", "max_tokens": 60, "messages": [{"role": "user", "content": "What is the capital of France?"}], "response_format": {"type": "json_schema", "json_schema": {"name": "city", "schema": {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"], "additionalProperties": false}}}}))),
        ),
    ),
    params(RunHeaders),
    responses(
        (status = 200, description = "The completion, or a stream of chunks", body = ChatCompletion),
        (status = 202, description = "The run continues without the client", body = AcceptedRequest),
    ),
)]
pub(crate) async fn chat_completions(
    run_request: RunRequest,
    JsonBody(request): JsonBody<ChatRequest>,
) -> Result<Response, HttpError> {
    let (streams, renderer) = (request.streams(), request.renderer(run_request.id));
    run_request.respond(request.into_generation()?, renderer, Delivery::of(streams)).await
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Limit of the handler's future, which is allocated for each request: a local variable that is held while the run is
    /// awaited makes it larger.
    const FUTURE_MAX_BYTES: usize = 6 << 10;

    fn future_bytes<A, B, F: Future>(_handler: impl Fn(A, B) -> F) -> usize {
        size_of::<F>()
    }

    #[test]
    fn future_of_a_request_is_small() {
        let bytes = future_bytes(chat_completions);
        assert!(bytes <= FUTURE_MAX_BYTES, "{bytes} bytes");
    }
}
