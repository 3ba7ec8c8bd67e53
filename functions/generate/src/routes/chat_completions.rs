//! `POST /v1/chat/completions`: the OpenAI dialect.

use axum::response::Response;
use hearth_http::{HttpError, JsonBody};
use hearth_wire::{
    native::requests::AcceptedRequest,
    openai::chat::{ChatCompletion, ChatRequest},
};

use crate::asker::Asker;

/// Complete a chat, as OpenAI's SDKs ask for it.
///
/// With `stream: true` the answer is chunks as server-sent events, then `[DONE]`. `x-queue-position` tells
/// the place of a request that has to wait.
#[utoipa::path(
    post, path = "/v1/chat/completions", operation_id = "create_chat_completion", tag = "compatible", security(("token" = [])),
    request_body(
        content = ChatRequest,
        example = json!({"model": "auto", "messages": [{"role": "user", "content": "What is the capital of France?"}]}),
    ),
    params(
        ("prefer" = Option<String>, Header, description = "`respond-async`: answer 202 at once"),
        ("x-hearth-cache" = Option<String>, Header, description = "What it wants of the cache: `use`, `no-cache`, `no-store`, `only-if-cached`"),
    ),
    responses(
        (status = 200, description = "The completion, or a stream of chunks", body = ChatCompletion),
        (status = 202, description = "The request goes on by itself", body = AcceptedRequest),
    ),
)]
pub(crate) async fn chat_completions(
    asker: Asker,
    JsonBody(request): JsonBody<ChatRequest>,
) -> Result<Response, HttpError> {
    let (streams, renderer) = (request.streams(), request.renderer(asker.id));
    asker.answer(request.into_generation()?, renderer, streams).await
}
