//! `POST /v1/generate`: the native dialect.

use axum::{
    Extension, Json,
    extract::State,
    http::HeaderMap,
    response::{IntoResponse as _, Response},
};
use hearth_gateway::{Caller, RunStream, first_position};
use hearth_http::{AppState, HttpError, JsonBody, PublicUrl, RequestId, queue, sse};
use hearth_wire::{
    error::ErrorEnvelope,
    native::{
        generate::{GenerateRequest, GenerateResponse},
        render::Renderer,
        requests::AcceptedRequest,
    },
    stream::Frame,
};

use crate::begin::{Begun, begin};

/// Generate text, images or a mesh.
///
/// Images and meshes are kept for 30 days as artifacts, and the answer has links to them.
/// With `stream: true` the answer is server-sent events: `model_selected`, `queued` and `loading`
/// while it waits, `delta` for each piece of text, `tool_call` for each piece of a call, `complete` with
/// the whole response, then `[DONE]`. `x-queue-position` tells the place of a request that has to wait.
#[utoipa::path(
    post, path = "/v1/generate", tag = "generate", security(("token" = [])),
    request_body = GenerateRequest,
    params(("prefer" = Option<String>, Header, description = "`respond-async`: answer 202 at once")),
    responses(
        (status = 200, description = "What was generated, or a stream of events", body = GenerateResponse),
        (status = 202, description = "The request goes on by itself", body = AcceptedRequest),
        (status = "4XX", body = ErrorEnvelope), (status = "5XX", body = ErrorEnvelope),
    ),
)]
pub(crate) async fn generate(
    State(state): State<AppState>,
    Extension(caller): Extension<Caller>,
    Extension(RequestId(id)): Extension<RequestId>,
    PublicUrl(base): PublicUrl,
    headers: HeaderMap,
    JsonBody(request): JsonBody<GenerateRequest>,
) -> Result<Response, HttpError> {
    let streams = request.stream;
    let generation = request.into_generation()?;
    let run = match begin(&state.gateway, &caller, id, &headers, generation).await? {
        Begun::Attached(run) => run,
        Begun::Detached(answer) => return Ok(answer),
    };
    if streams {
        let position = run.queue_position();
        return Ok(queue::told(stream(run, base), position));
    }
    let events = run.collect().await;
    let answer = Json(Renderer::new(id).reached_at(base).collected(&events)?).into_response();
    Ok(queue::told(answer, first_position(&events)))
}

fn stream(mut run: RunStream, base: String) -> Response {
    let mut renderer = Renderer::new(run.id).reached_at(base);
    sse::respond(async_stream::stream! {
        while let Some(event) = run.next().await {
            if let Some(frame) = renderer.frame(&event) {
                yield frame;
            }
        }
        yield Frame::done();
    })
}
