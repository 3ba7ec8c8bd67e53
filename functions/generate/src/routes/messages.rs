//! `POST /v1/messages`: the Anthropic dialect.

use axum::{http::HeaderMap, response::Response};
use hearth_http::{HttpError, JsonBody, dialect};
use hearth_wire::{
    anthropic::{MessagesAnswer, MessagesError, MessagesRequest},
    native::requests::AcceptedRequest,
};

use crate::asker::Asker;

/// Answer a conversation, as Anthropic's SDKs ask for it.
///
/// With `stream: true` the answer is named server-sent events, from `message_start` to `message_stop`.
/// `x-queue-position` tells the place of a request that has to wait.
#[utoipa::path(
    post, path = "/v1/messages", operation_id = "create_message", tag = "compatible", security(("token" = [])),
    request_body(
        content = MessagesRequest,
        example = json!({"model": "auto", "max_tokens": 100, "messages": [{"role": "user", "content": "What is the capital of France?"}]}),
    ),
    params(
        ("prefer" = Option<String>, Header, description = "`respond-async`: answer 202 at once"),
        ("anthropic-beta" = Option<String>, Header, description = "Betas of Anthropic's API: a provider of that dialect is told them"),
        ("x-hearth-cache" = Option<String>, Header, description = "What it wants of the cache: `use`, `no-cache`, `no-store`, `only-if-cached`"),
    ),
    responses(
        (status = 200, description = "The answer, or a stream of events", body = MessagesAnswer),
        (status = 202, description = "The request goes on by itself", body = AcceptedRequest),
        (status = "4XX", description = "Refused: `code` says why, and `param` names the field", body = MessagesError),
        (status = "5XX", description = "Failed: `code` says where, and `retryable` whether to try again", body = MessagesError),
    ),
)]
pub(crate) async fn messages(
    asker: Asker,
    headers: HeaderMap,
    JsonBody(request): JsonBody<MessagesRequest>,
) -> Result<Response, HttpError> {
    let (streams, renderer) = (request.streams(), request.renderer(asker.id));
    let mut generation = request.into_generation()?;
    generation.extra.betas = dialect::betas(&headers);
    asker.answer(generation, renderer, streams).await
}
