//! `POST /v1/responses`: OpenAI's newer dialect.

use axum::{
    Extension, Json,
    extract::State,
    http::HeaderMap,
    response::{IntoResponse as _, Response},
};
use hearth_domain::{Message, RunId};
use hearth_gateway::{Caller, Conversation, Gateway, RunStream, first_position};
use hearth_http::{AppState, HttpError, JsonBody, RequestId, cost, queue, sse};
use hearth_wire::{
    ApiError,
    error::ErrorEnvelope,
    native::requests::AcceptedRequest,
    openai::responses::{Renderer, ResponseObject, ResponsesRequest, Turn},
};
use serde_json::json;

use crate::begin::{Begun, begin_turn};

/// Give a response, as OpenAI's SDKs ask for it.
///
/// With `stream: true` the answer is this API's server-sent events, each with its name, to `response.completed`,
/// `response.incomplete` or `response.failed`. The conversation is kept for 30 days, so that a next request can
/// go on from it by `previous_response_id`, unless `store` is false. `x-queue-position` tells the place of a
/// request that has to wait.
#[utoipa::path(
    post, path = "/v1/responses", tag = "compatible", security(("token" = [])),
    request_body = ResponsesRequest,
    params(("prefer" = Option<String>, Header, description = "`respond-async`: answer 202 at once")),
    responses(
        (status = 200, description = "The response, or a stream of events", body = ResponseObject),
        (status = 202, description = "The request goes on by itself", body = AcceptedRequest),
        (status = "4XX", body = ErrorEnvelope), (status = "5XX", body = ErrorEnvelope),
    ),
)]
pub(crate) async fn responses(
    State(state): State<AppState>,
    Extension(caller): Extension<Caller>,
    Extension(RequestId(id)): Extension<RequestId>,
    headers: HeaderMap,
    JsonBody(request): JsonBody<ResponsesRequest>,
) -> Result<Response, HttpError> {
    let (streams, keeps, renderer) = (request.streams(), request.keeps(), request.renderer(id));
    let asked = json!(request.asked());
    let earlier = earlier(&state.gateway, &caller, request.previous()?).await?;
    let Turn { generation, said: messages } = request.into_turn(earlier)?;
    let said = keeps.then_some(Conversation { messages, asked });
    let run = match begin_turn(&state.gateway, &caller, id, &headers, generation, said).await? {
        Begun::Attached(run) => run,
        Begun::Detached(answer) => return Ok(answer),
    };
    if streams {
        let position = run.queue_position();
        return Ok(queue::told(stream(run, renderer), position));
    }
    let events = run.collect().await;
    let answer = Json(renderer.collected(&events)?).into_response();
    Ok(queue::told(cost::told(answer, hearth_gateway::cost(&events)), first_position(&events)))
}

/// The conversation that the request goes on from.
async fn earlier(gateway: &Gateway, caller: &Caller, id: Option<RunId>) -> Result<Vec<Message>, ApiError> {
    let Some(id) = id else { return Ok(Vec::new()) };
    let kept = gateway.conversation(caller, id).await;
    kept.map(|kept| kept.messages).map_err(|error| error.at("previous_response_id"))
}

/// The event that ends the response is the last one: this API has no `[DONE]`.
fn stream(mut run: RunStream, mut renderer: Renderer) -> Response {
    sse::respond(async_stream::stream! {
        while let Some(event) = run.next().await {
            for frame in renderer.frames(&event) {
                yield frame;
            }
        }
    })
}
