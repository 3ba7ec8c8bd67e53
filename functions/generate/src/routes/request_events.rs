//! `GET /v1/requests/{id}/events`: a run's events, from wherever the client left off.

use axum::{Extension, extract::State, response::Response};
use futures::StreamExt as _;
use hearth_domain::RunId;
use hearth_gateway::Caller;
use hearth_http::{AppState, HttpError, PathParam, PublicUrl, QueryParams, sse};
use hearth_wire::{
    error::ErrorEnvelope,
    native::{render::Renderer, requests::EventsQuery},
    stream::{Frame, Render as _},
};

/// A request's events as server-sent events, as in `POST /v1/generate`.
///
/// `Last-Event-ID`, or `after`, resumes behind an event.
#[utoipa::path(
    get, path = "/v1/requests/{id}/events", operation_id = "get_request_events", tag = "requests", security(("token" = [])),
    params(
        ("id" = String, Path, description = "The request's id, from `x-request-id`"),
        ("last-event-id" = Option<u64>, Header, description = "Only events after this one"),
        EventsQuery,
    ),
    responses(
        (status = 200, description = "A stream of events", content_type = "text/event-stream", body = String),
        (status = 404, description = "There is no such thing, or it belongs to somebody else", body = ErrorEnvelope),
    ),
)]
pub(crate) async fn events(
    State(state): State<AppState>,
    Extension(caller): Extension<Caller>,
    PathParam(id): PathParam<RunId>,
    QueryParams(query): QueryParams<EventsQuery>,
    PublicUrl(base): PublicUrl,
    headers: axum::http::HeaderMap,
) -> Result<Response, HttpError> {
    let last = headers.get("last-event-id").and_then(|value| value.to_str().ok()?.parse().ok());
    let after = query.after.or(last).unwrap_or(0);
    let mut events = Box::pin(state.gateway.events(&caller, id).await?);
    let mut renderer = Renderer::new(id).reached_at(base);
    Ok(sse::respond(async_stream::stream! {
        while let Some(event) = events.next().await {
            // Earlier events are rendered too: the last one tells the whole text.
            let frames = renderer.frames(&event);
            if event.seq > after || event.body.is_terminal() {
                for frame in frames {
                    yield frame;
                }
            }
        }
        yield Frame::done();
    }))
}
