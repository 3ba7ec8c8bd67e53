//! `POST /v1/messages`: the Anthropic dialect.

use axum::{
    Extension, Json,
    extract::State,
    http::HeaderMap,
    response::{IntoResponse as _, Response},
};
use hearth_gateway::{Caller, RunStream, first_position};
use hearth_http::{AppState, HttpError, JsonBody, RequestId, cost, queue, sse};
use hearth_wire::{
    anthropic::{MessagesAnswer, MessagesError, MessagesRequest, Renderer},
    native::requests::AcceptedRequest,
};

use crate::begin::{Begun, begin};

/// Answer a conversation, as Anthropic's SDKs ask for it.
///
/// With `stream: true` the answer is named server-sent events, from `message_start` to `message_stop`.
/// `x-queue-position` tells the place of a request that has to wait.
#[utoipa::path(
    post, path = "/v1/messages", tag = "compatible", security(("token" = [])),
    request_body = MessagesRequest,
    params(("prefer" = Option<String>, Header, description = "`respond-async`: answer 202 at once")),
    responses(
        (status = 200, description = "The answer, or a stream of events", body = MessagesAnswer),
        (status = 202, description = "The request goes on by itself", body = AcceptedRequest),
        (status = "4XX", body = MessagesError), (status = "5XX", body = MessagesError),
    ),
)]
pub(crate) async fn messages(
    State(state): State<AppState>,
    Extension(caller): Extension<Caller>,
    Extension(RequestId(id)): Extension<RequestId>,
    headers: HeaderMap,
    JsonBody(request): JsonBody<MessagesRequest>,
) -> Result<Response, HttpError> {
    let (streams, renderer) = (request.streams(), request.renderer(id));
    let generation = request.into_generation()?;
    let run = match begin(&state.gateway, &caller, id, &headers, generation).await? {
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

fn stream(mut run: RunStream, mut renderer: Renderer) -> Response {
    sse::respond(async_stream::stream! {
        while let Some(event) = run.next().await {
            for frame in renderer.frames(&event) {
                yield frame;
            }
        }
        if let Some(frame) = renderer.last() {
            yield frame;
        }
    })
}
