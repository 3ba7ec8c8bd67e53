//! `POST /v1/generate`: the native dialect.

use axum::{
    Extension, Json,
    extract::State,
    response::{IntoResponse as _, Response},
};
use hearth_gateway::{Caller, RunStream};
use hearth_http::{AppState, HttpError, JsonBody, RequestId, sse};
use hearth_wire::{
    error::ErrorEnvelope,
    native::{
        generate::{GenerateRequest, GenerateResponse},
        render::Renderer,
    },
    stream::Frame,
};

/// Generate text.
///
/// With `stream: true` the answer is server-sent events: `model_selected`, `queued` and `loading`
/// while it waits, `delta` for each piece of text, `complete` with the whole response, then `[DONE]`.
#[utoipa::path(
    post, path = "/v1/generate", tag = "generate", security(("token" = [])),
    request_body = GenerateRequest,
    responses(
        (status = 200, description = "What was generated, or a stream of events", body = GenerateResponse),
        (status = "4XX", body = ErrorEnvelope), (status = "5XX", body = ErrorEnvelope),
    ),
)]
pub(crate) async fn generate(
    State(state): State<AppState>,
    Extension(caller): Extension<Caller>,
    Extension(RequestId(id)): Extension<RequestId>,
    JsonBody(request): JsonBody<GenerateRequest>,
) -> Result<Response, HttpError> {
    let streams = request.stream;
    let run = state.gateway.generate(&caller, id, request.into_generation()?).await?;
    if streams {
        return Ok(stream(run));
    }
    let events = run.collect().await;
    Ok(Json(Renderer::new(id).collected(&events)?).into_response())
}

fn stream(mut run: RunStream) -> Response {
    let mut renderer = Renderer::new(run.id);
    sse::respond(async_stream::stream! {
        while let Some(event) = run.next().await {
            if let Some(frame) = renderer.frame(&event) {
                yield frame;
            }
        }
        yield Frame::done();
    })
}
