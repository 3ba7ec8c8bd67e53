//! `POST /v1/completions`: the OpenAI dialect, before chat.

use axum::response::Response;
use hearth_http::{HttpError, JsonBody};
use hearth_wire::{
    native::requests::AcceptedRequest,
    openai::completions::{Completion, CompletionRequest},
};

use crate::{asker::Asker, several};

/// Answer a prompt, as OpenAI's SDKs ask for it in the API before chat.
///
/// The models here are for conversations: the prompt is given to one as what a user says, and the completion
/// is its answer, not the prompt's continuation. A local model continues tokens as they are, and fills the gap between
/// `prompt` and `suffix` if it was trained for that. Each of several prompts is a run of its own.
/// With `stream: true` the answer is chunks as server-sent events, then `[DONE]`.
#[utoipa::path(
    post, path = "/v1/completions", operation_id = "create_completion", tag = "compatible", security(("token" = [])),
    request_body(
        content = CompletionRequest,
        example = json!({"model": "auto", "prompt": "Once upon a time", "max_tokens": 20}),
    ),
    params(
        ("prefer" = Option<String>, Header, description = "`respond-async`: answer 202 at once"),
        ("x-hearth-cache" = Option<String>, Header, description = "What it wants of the cache: `use`, `no-cache`, `no-store`, `only-if-cached`"),
    ),
    responses(
        (status = 200, description = "The completion, or a stream of chunks", body = Completion),
        (status = 202, description = "The request goes on by itself", body = AcceptedRequest),
    ),
)]
pub(crate) async fn completions(
    asker: Asker,
    JsonBody(request): JsonBody<CompletionRequest>,
) -> Result<Response, HttpError> {
    let (streams, include_usage) = (request.streams(), request.includes_usage());
    let mut parts = request.into_parts(asker.id)?;
    match parts.pop() {
        Some((generation, renderer)) if parts.is_empty() => asker.answer(generation, renderer, streams).await,
        last => {
            parts.extend(last);
            several::answer(asker, parts, streams, include_usage).await
        }
    }
}
