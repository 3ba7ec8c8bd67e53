//! `POST /v1/responses`: OpenAI's newer dialect.

use axum::response::Response;
use hearth_domain::{Message, RunId};
use hearth_gateway::Conversation;
use hearth_http::{HttpError, JsonBody};
use hearth_wire::{
    ApiError,
    native::requests::AcceptedRequest,
    openai::responses::{ResponseObject, ResponsesRequest, Turn},
};
use serde_json::json;

use crate::{asker::Asker, references};

/// Give a response, as OpenAI's SDKs ask for it.
///
/// With `stream: true` the answer is this API's server-sent events, each with its name, to `response.completed`,
/// `response.incomplete` or `response.failed`. The conversation is kept for 30 days, so that a next request can
/// go on from it by `previous_response_id`, unless `store` is false. `x-queue-position` tells the place of a
/// request that has to wait.
#[utoipa::path(
    post, path = "/v1/responses", operation_id = "create_response", tag = "compatible", security(("token" = [])),
    request_body(
        content = ResponsesRequest,
        example = json!({"model": "auto", "input": "What is the capital of France?"}),
    ),
    params(
        ("prefer" = Option<String>, Header, description = "`respond-async`: answer 202 at once"),
        ("x-hearth-cache" = Option<String>, Header, description = "What it wants of the cache: `use`, `no-cache`, `no-store`, `only-if-cached`"),
    ),
    responses(
        (status = 200, description = "The response, or a stream of events", body = ResponseObject),
        (status = 202, description = "The request goes on by itself", body = AcceptedRequest),
    ),
)]
pub(crate) async fn responses(
    asker: Asker,
    JsonBody(mut request): JsonBody<ResponsesRequest>,
) -> Result<Response, HttpError> {
    let (streams, keeps, renderer) = (request.streams(), request.keeps(), request.renderer(asker.id));
    references::told(&asker, &mut request).await?;
    let asked = json!(request.asked());
    let earlier = earlier(&asker, request.previous()?).await?;
    let Turn { generation, said: messages } = request.into_turn(earlier)?;
    let said = keeps.then_some(Conversation { messages, asked, ..Conversation::default() });
    asker.answer_turn(generation, said, renderer, streams).await
}

/// The conversation that the request goes on from.
async fn earlier(asker: &Asker, id: Option<RunId>) -> Result<Vec<Message>, ApiError> {
    let Some(id) = id else { return Ok(Vec::new()) };
    let kept = asker.gateway.conversation(&asker.caller, id).await;
    kept.map(|kept| kept.messages).map_err(|error| error.at("previous_response_id"))
}
