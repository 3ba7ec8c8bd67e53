//! `POST /v1/chat/completions`: the OpenAI dialect.

use axum::{
    Extension, Json,
    extract::State,
    response::{IntoResponse as _, Response},
};
use hearth_gateway::{Caller, RunStream};
use hearth_http::{AppState, HttpError, JsonBody, RequestId, sse};
use hearth_wire::{
    error::ErrorEnvelope,
    openai::{
        chat::{ChatCompletion, ChatRequest},
        render::Renderer,
    },
    stream::Frame,
};

/// Complete a chat, as OpenAI's SDKs ask for it.
///
/// With `stream: true` the answer is chunks as server-sent events, then `[DONE]`.
#[utoipa::path(
    post, path = "/v1/chat/completions", tag = "compatible", security(("token" = [])),
    request_body = ChatRequest,
    responses(
        (status = 200, description = "The completion, or a stream of chunks", body = ChatCompletion),
        (status = "4XX", body = ErrorEnvelope), (status = "5XX", body = ErrorEnvelope),
    ),
)]
pub(crate) async fn chat_completions(
    State(state): State<AppState>,
    Extension(caller): Extension<Caller>,
    Extension(RequestId(id)): Extension<RequestId>,
    JsonBody(request): JsonBody<ChatRequest>,
) -> Result<Response, HttpError> {
    let (streams, include_usage) = (request.streams(), request.includes_usage());
    let run = state.gateway.generate(&caller, id, request.into_generation()?).await?;
    if streams {
        return Ok(stream(run, include_usage));
    }
    let events = run.collect().await;
    Ok(Json(Renderer::new(id, false).collected(&events)?).into_response())
}

fn stream(mut run: RunStream, include_usage: bool) -> Response {
    let mut renderer = Renderer::new(run.id, include_usage);
    sse::respond(async_stream::stream! {
        while let Some(event) = run.next().await {
            for frame in renderer.frames(&event) {
                yield frame;
            }
        }
        yield Frame::done();
    })
}
