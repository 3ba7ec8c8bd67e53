//! `/v1/requests/{id}`: a run's state, its events, and its cancellation.

use axum::{Extension, Json, extract::State, http::HeaderMap, response::Response};
use futures::StreamExt as _;
use hearth_domain::RunId;
use hearth_gateway::Caller;
use hearth_http::{AppState, HttpError, PathParam, PublicUrl, QueryParams, sse};
use hearth_wire::{
    error::ErrorEnvelope,
    native::{
        output::Output,
        render::Renderer,
        requests::{CancelQuery, CancelResponse, EventsQuery, RequestStatus},
    },
    stream::{Frame, Render as _},
};

/// Get a request's state, usage and output.
#[utoipa::path(
    get, path = "/v1/requests/{id}", operation_id = "get_request", tag = "requests", security(("token" = [])),
    params(("id" = String, Path, description = "Id of the request, from `x-request-id`")),
    responses(
        (status = 200, description = "State, output so far, and usage", body = RequestStatus),
        (status = 404, description = "No such resource, or one of another user", body = ErrorEnvelope),
    ),
)]
pub(crate) async fn get(
    State(state): State<AppState>,
    Extension(caller): Extension<Caller>,
    PathParam(id): PathParam<RunId>,
    PublicUrl(base): PublicUrl,
) -> Result<Json<RequestStatus>, HttpError> {
    Ok(Json(RequestStatus::new(state.gateway.request(&caller, id).await?, &base)))
}

/// Get a request's state, usage and output: an alias of `GET /v1/requests/{id}` for older clients.
#[utoipa::path(
    get, path = "/v1/requests/{id}/status", operation_id = "get_request_status", tag = "requests", security(("token" = [])),
    params(("id" = String, Path, description = "Id of the request, from `x-request-id`")),
    responses(
        (status = 200, description = "State, output so far, and usage", body = RequestStatus),
        (status = 404, description = "No such resource, or one of another user", body = ErrorEnvelope),
    ),
)]
pub(crate) async fn status(
    state: State<AppState>,
    caller: Extension<Caller>,
    id: PathParam<RunId>,
    base: PublicUrl,
) -> Result<Json<RequestStatus>, HttpError> {
    get(state, caller, id, base).await
}

/// Stream a request's events as server-sent events, as in `POST /v1/generate`.
///
/// `Last-Event-ID`, or `after`, resumes after an event.
#[utoipa::path(
    get, path = "/v1/requests/{id}/events", operation_id = "get_request_events", tag = "requests", security(("token" = [])),
    params(
        ("id" = String, Path, description = "Id of the request, from `x-request-id`"),
        ("last-event-id" = Option<u64>, Header, description = "Sequence number of the last event that the client has"),
        EventsQuery,
    ),
    responses(
        (status = 200, description = "A stream of events", content_type = "text/event-stream", body = String),
        (status = 404, description = "No such resource, or one of another user", body = ErrorEnvelope),
    ),
)]
pub(crate) async fn events(
    State(state): State<AppState>,
    Extension(caller): Extension<Caller>,
    PathParam(id): PathParam<RunId>,
    QueryParams(query): QueryParams<EventsQuery>,
    PublicUrl(base): PublicUrl,
    headers: HeaderMap,
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

/// Cancel a request: its inference ends between two tokens.
#[utoipa::path(
    post, path = "/v1/requests/{id}/cancel", operation_id = "cancel_request", tag = "requests", security(("token" = [])),
    params(("id" = String, Path, description = "Id of the request, from `x-request-id`"), CancelQuery),
    responses(
        (status = 200, description = "State after the cancellation", body = CancelResponse),
        (status = 404, description = "No such resource, or one of another user", body = ErrorEnvelope),
    ),
)]
pub(crate) async fn cancel(
    State(state): State<AppState>,
    Extension(caller): Extension<Caller>,
    PathParam(id): PathParam<RunId>,
    QueryParams(query): QueryParams<CancelQuery>,
) -> Result<Json<CancelResponse>, HttpError> {
    let (run, cancelled) = state.gateway.cancel_request(&caller, id).await?;
    let output = query.partial.then(|| Output::from(&run));
    Ok(Json(CancelResponse { request_id: id.to_string(), cancelled, status: run.state, output }))
}

/// Cancel a request: the same as `POST /v1/requests/{id}/cancel`.
#[utoipa::path(
    delete, path = "/v1/requests/{id}", operation_id = "delete_request", tag = "requests", security(("token" = [])),
    params(("id" = String, Path, description = "Id of the request, from `x-request-id`"), CancelQuery),
    responses(
        (status = 200, description = "State after the cancellation", body = CancelResponse),
        (status = 404, description = "No such resource, or one of another user", body = ErrorEnvelope),
    ),
)]
pub(crate) async fn delete(
    state: State<AppState>,
    caller: Extension<Caller>,
    id: PathParam<RunId>,
    query: QueryParams<CancelQuery>,
) -> Result<Json<CancelResponse>, HttpError> {
    cancel(state, caller, id, query).await
}
