//! `POST /v1/completions`: OpenAI's dialect before chat.

use axum::response::Response;
use hearth_gateway::Delivery;
use hearth_http::{HttpError, JsonBody};
use hearth_wire::{
    native::requests::AcceptedRequest,
    openai::completions::{Completion, CompletionRequest},
};

use crate::{run_headers::RunHeaders, run_request::RunRequest, several};

/// Create a completion, as OpenAI's SDKs request it in the API before chat.
///
/// The models here are chat models: a prompt in words is a user's message, and the completion is the answer, not the
/// prompt's continuation. A local model continues a prompt of tokens as it is, and fills the gap between `prompt` and
/// `suffix` if it was trained for that. Each of several prompts is a run of its own. With `stream: true` the response
/// is chunks as server-sent events, then `[DONE]`.
#[utoipa::path(
    post, path = "/v1/completions", operation_id = "create_completion", tag = "compatible", security(("token" = [])),
    request_body(
        content = CompletionRequest,
        example = json!({"model": "auto", "prompt": "Once upon a time", "max_tokens": 20}),
    ),
    params(RunHeaders),
    responses(
        (status = 200, description = "The completion, or a stream of chunks", body = Completion),
        (status = 202, description = "The run continues without the client", body = AcceptedRequest),
    ),
)]
pub(crate) async fn completions(
    run_request: RunRequest,
    JsonBody(request): JsonBody<CompletionRequest>,
) -> Result<Response, HttpError> {
    let (streams, include_usage) = (request.streams(), request.includes_usage());
    let mut parts = request.into_generations(run_request.id)?;
    match parts.pop() {
        Some((generation, renderer)) if parts.is_empty() => {
            run_request.respond(generation, renderer, Delivery::of(streams)).await
        }
        last => {
            parts.extend(last);
            several::answer(run_request, parts, streams, include_usage).await
        }
    }
}
