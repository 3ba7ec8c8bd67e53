//! `/v1/messages`: Anthropic's dialect.

use axum::{Extension, Json, extract::State, http::HeaderMap, response::Response};
use hearth_gateway::{Caller, Delivery};
use hearth_http::{AppState, HttpError, JsonBody, dialect};
use hearth_wire::{
    anthropic::{CountTokensAnswer, CountTokensRequest, MessagesAnswer, MessagesError, MessagesRequest},
    native::requests::AcceptedRequest,
};

use crate::{run_headers::RunHeaders, run_request::RunRequest};

/// Create a message, as Anthropic's SDKs request it.
///
/// With `stream: true` the response is named server-sent events, from `message_start` to `message_stop`.
/// `x-queue-position` is the position of a request that has to wait.
#[utoipa::path(
    post, path = "/v1/messages", operation_id = "create_message", tag = "compatible", security(("token" = [])),
    request_body(
        content = MessagesRequest,
        examples(
            ("question" = (summary = "A question", value = json!({"model": "auto", "max_tokens": 100, "messages": [{"role": "user", "content": "What is the capital of France?"}]}))),
            ("structured" = (summary = "An answer with a JSON Schema", value = json!({"model": "auto", "max_tokens": 100, "messages": [{"role": "user", "content": "What is the capital of France?"}], "output_config": {"format": {"type": "json_schema", "schema": {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"], "additionalProperties": false}}}}))),
        ),
    ),
    params(
        ("anthropic-beta" = Option<String>, Header, description = "Betas of Anthropic's API, sent to a provider of that dialect"),
        RunHeaders,
    ),
    responses(
        (status = 200, description = "The answer, or a stream of events", body = MessagesAnswer),
        (status = 202, description = "The run continues without the client", body = AcceptedRequest),
        (status = "4XX", description = "Refused: `code` is the reason, and `param` the field", body = MessagesError),
        (status = "5XX", description = "Failed: `code` is the reason, and `retryable` is true if a retry may succeed", body = MessagesError),
    ),
)]
pub(crate) async fn messages(
    run_request: RunRequest,
    headers: HeaderMap,
    JsonBody(request): JsonBody<MessagesRequest>,
) -> Result<Response, HttpError> {
    let (streams, renderer) = (request.streams(), request.renderer(run_request.id));
    let mut generation = request.into_generation()?;
    generation.extra.betas = dialect::betas(&headers);
    run_request.respond(generation, renderer, Delivery::of(streams)).await
}

/// Count the tokens of a conversation, as Anthropic's SDKs request it.
///
/// A node counts for a local model that is loaded. For another model the number is an estimate of four bytes for a
/// token, the same for every model; the response of `/v1/messages` has the exact `usage`.
#[utoipa::path(
    post, path = "/v1/messages/count_tokens", operation_id = "count_message_tokens", tag = "compatible", security(("token" = [])),
    request_body(
        content = CountTokensRequest,
        example = json!({"model": "auto", "messages": [{"role": "user", "content": "What is the capital of France?"}]}),
    ),
    responses(
        (status = 200, description = "The tokens", body = CountTokensAnswer),
        (status = "4XX", description = "Refused: `code` is the reason, and `param` the field", body = MessagesError),
    ),
)]
pub(crate) async fn count_tokens(
    State(state): State<AppState>,
    Extension(caller): Extension<Caller>,
    JsonBody(request): JsonBody<CountTokensRequest>,
) -> Result<Json<CountTokensAnswer>, HttpError> {
    let CountTokensAnswer { mut input_tokens } = request.clone().estimate()?;
    // A part of a conversation can be counted, but isn't always a request.
    if let Ok(generation) = request.into_generation() {
        input_tokens = state.gateway.count_prompt(&caller, generation, input_tokens).await;
    }
    Ok(Json(CountTokensAnswer { input_tokens }))
}
