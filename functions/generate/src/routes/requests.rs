//! `/v1/requests/{id}`: a run's state, its events, and its cancellation.

use axum::{
    Extension, Json,
    extract::State,
    http::{HeaderMap, StatusCode},
    response::Response,
};
use futures::StreamExt as _;
use hearth_domain::RunId;
use hearth_gateway::Caller;
use hearth_http::{AppState, Deadline, HttpError, PathParam, PublicUrl, QueryParams, sse};
use hearth_wire::{
    ApiError,
    error::ErrorEnvelope,
    native::{
        output::Output,
        render::Renderer,
        requests::{CancelQuery, CancelResponse, EventsQuery, RequestStatus},
    },
    stream::{Frame, Render as _},
};

/// Header with the last event that the client has, by the specification of server-sent events.
const LAST_EVENT_ID: &str = "last-event-id";

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
/// `Last-Event-ID`, or `after`, resumes after an event. On Lambda a stream ends after 15 minutes at most, without `[DONE]` if the
/// run has not ended by then: connect again.
#[utoipa::path(
    get, path = "/v1/requests/{id}/events", operation_id = "get_request_events", tag = "requests", security(("token" = [])),
    params(
        ("id" = String, Path, description = "Id of the request, from `x-request-id`"),
        ("last-event-id" = Option<u64>, Header, description = "Sequence number of the last event that the client has"),
        EventsQuery,
    ),
    responses(
        (status = 200, description = "A stream of events", content_type = "text/event-stream", body = String),
        (status = 400, description = "`Last-Event-ID` or `after` is not a sequence number", body = ErrorEnvelope),
        (status = 404, description = "No such resource, or one of another user", body = ErrorEnvelope),
    ),
)]
pub(crate) async fn events(
    State(state): State<AppState>,
    Extension(caller): Extension<Caller>,
    PathParam(id): PathParam<RunId>,
    QueryParams(query): QueryParams<EventsQuery>,
    PublicUrl(base): PublicUrl,
    deadline: Option<Extension<Deadline>>,
    headers: HeaderMap,
) -> Result<Response, HttpError> {
    let until = deadline.map(|Extension(Deadline(deadline))| deadline);
    let after = query.after.or(last_event_id(&headers)?).unwrap_or(0);
    let mut events = Box::pin(state.gateway.events(&caller, id, until).await?);
    let mut renderer = Renderer::new(id).reached_at(base);
    Ok(sse::respond(async_stream::stream! {
        while let Some(event) = events.next().await {
            // Earlier events are rendered too: the last one has the whole text.
            let (frames, is_last) = (renderer.frames(&event), event.body.is_terminal());
            if event.seq > after || is_last {
                for frame in frames {
                    yield frame;
                }
            }
            if is_last {
                yield Frame::done();
            }
        }
    }))
}

/// Returns the sequence number in `Last-Event-ID`.
fn last_event_id(headers: &HeaderMap) -> Result<Option<u64>, HttpError> {
    let Some(value) = headers.get(LAST_EVENT_ID) else { return Ok(None) };
    match value.to_str().ok().and_then(|text| text.trim().parse().ok()) {
        Some(seq) => Ok(Some(seq)),
        None => {
            let message = format!("{LAST_EVENT_ID} must be the id of an event that was received");
            Err(HttpError(ApiError::invalid(LAST_EVENT_ID, message)))
        }
    }
}

/// Cancel a request: its inference ends between two tokens.
#[utoipa::path(
    post, path = "/v1/requests/{id}/cancel", operation_id = "cancel_request", tag = "requests", security(("token" = [])),
    params(("id" = String, Path, description = "Id of the request, from `x-request-id`"), CancelQuery),
    responses(
        (status = 200, description = "State after the cancellation", body = CancelResponse),
        (status = 202, description = "The request is being stopped, and ends within seconds", body = CancelResponse),
        (status = 404, description = "No such resource, or one of another user", body = ErrorEnvelope),
    ),
)]
pub(crate) async fn cancel(
    State(state): State<AppState>,
    Extension(caller): Extension<Caller>,
    PathParam(id): PathParam<RunId>,
    QueryParams(query): QueryParams<CancelQuery>,
) -> Result<(StatusCode, Json<CancelResponse>), HttpError> {
    let (run, cancelled) = state.gateway.cancel_request(&caller, id).await?;
    let output = query.partial.then(|| Output::from(&run));
    let status = if run.state.is_terminal() { StatusCode::OK } else { StatusCode::ACCEPTED };
    Ok((status, Json(CancelResponse { request_id: id.to_string(), cancelled, status: run.state, output })))
}

/// Cancel a request: the same as `POST /v1/requests/{id}/cancel`.
#[utoipa::path(
    delete, path = "/v1/requests/{id}", operation_id = "delete_request", tag = "requests", security(("token" = [])),
    params(("id" = String, Path, description = "Id of the request, from `x-request-id`"), CancelQuery),
    responses(
        (status = 200, description = "State after the cancellation", body = CancelResponse),
        (status = 202, description = "The request is being stopped, and ends within seconds", body = CancelResponse),
        (status = 404, description = "No such resource, or one of another user", body = ErrorEnvelope),
    ),
)]
pub(crate) async fn delete(
    state: State<AppState>,
    caller: Extension<Caller>,
    id: PathParam<RunId>,
    query: QueryParams<CancelQuery>,
) -> Result<(StatusCode, Json<CancelResponse>), HttpError> {
    cancel(state, caller, id, query).await
}
