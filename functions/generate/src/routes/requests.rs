//! `/v1/requests`: the list of runs; a run's state, its events, its cancellation, its deletion and its replay.

use axum::{
    Extension, Json,
    extract::State,
    http::{HeaderMap, StatusCode},
    response::Response,
};
use futures::StreamExt as _;
use hearth_domain::RunId;
use hearth_gateway::{Caller, Delivery};
use hearth_http::{AppState, Deadline, HttpError, PathParam, PublicUrl, QueryParams, sse};
use hearth_wire::{
    ApiError,
    error::ErrorEnvelope,
    native::{
        generate::GenerateResponse,
        output::Output,
        render::Renderer,
        request_list::{ReplayQuery, RequestDeleted, RequestList, RequestQuery},
        requests::{AcceptedRequest, CancelQuery, CancelResponse, EventsQuery, RequestStatus},
    },
    stream::{Frame, Render as _},
};

use crate::{run_headers::RunHeaders, run_request::RunRequest};

/// Header with the last event that the client has, by the specification of server-sent events.
const LAST_EVENT_ID: &str = "last-event-id";

/// List one's requests, newest first.
///
/// The list has the requests of all credentials of the caller in their organisation; of an access key those that it has sent. A
/// request is listed as soon as its record is stored, and until the record expires, after 30 days unless the operator has set
/// another time (`requests.retention_days`).
#[utoipa::path(
    get, path = "/v1/requests", operation_id = "list_requests", tag = "requests", security(("token" = [])),
    params(RequestQuery),
    responses(
        (status = 200, description = "A page of requests", body = RequestList),
        (status = 400, description = "A filter, the limit or the cursor is wrong", body = ErrorEnvelope),
    ),
)]
pub(crate) async fn list(
    State(state): State<AppState>,
    Extension(caller): Extension<Caller>,
    QueryParams(query): QueryParams<RequestQuery>,
) -> Result<Json<RequestList>, HttpError> {
    Ok(Json(state.gateway.list_requests(&caller, &query).await?))
}

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

/// Delete everything of a request that has ended: its record, output, events, conversation and files.
///
/// Its prompt goes with it, where it was stored. A cached answer, a session's messages and the sums of usage stay. A request that
/// goes on is cancelled first, by `POST /v1/requests/{id}/cancel`.
#[utoipa::path(
    delete, path = "/v1/requests/{id}/record", operation_id = "delete_request_record", tag = "requests",
    security(("token" = [])),
    params(("id" = String, Path, description = "Id of the request, from `x-request-id`")),
    responses(
        (status = 200, description = "Deletion", body = RequestDeleted),
        (status = 404, description = "No such resource, or one of another user", body = ErrorEnvelope),
        (status = 409, description = "The request is still in progress", body = ErrorEnvelope),
    ),
)]
pub(crate) async fn delete_record(
    State(state): State<AppState>,
    Extension(caller): Extension<Caller>,
    PathParam(id): PathParam<RunId>,
) -> Result<Json<RequestDeleted>, HttpError> {
    state.gateway.delete_request(&caller, id).await?;
    Ok(Json(RequestDeleted { request_id: id.to_string(), deleted: true }))
}

/// Send a request again, as a new run: the response is that of `POST /v1/generate`.
///
/// The new run has `replay_of` with the id of the earlier one, which stays as it is. It always asks a model, and stores its own
/// request. The earlier request must be stored: it had `store: true`, came by `POST /v1/responses` and was completed, or the
/// operator stores all requests (`requests.store`). Of a response the messages and the options that it repeats are sent again, to
/// the model that served it. Also for a request that has failed or was cancelled.
#[utoipa::path(
    post, path = "/v1/requests/{id}/replay", operation_id = "replay_request", tag = "requests", security(("token" = [])),
    params(("id" = String, Path, description = "Id of the request, from `x-request-id`"), ReplayQuery, RunHeaders),
    responses(
        (status = 200, description = "The response, or a stream of events", body = GenerateResponse),
        (status = 202, description = "The run continues without the client", body = AcceptedRequest),
        (status = 404, description = "No such resource, or one of another user", body = ErrorEnvelope),
        (status = 409, description = "The earlier request isn't stored", body = ErrorEnvelope),
    ),
)]
pub(crate) async fn replay(
    PathParam(id): PathParam<RunId>,
    QueryParams(query): QueryParams<ReplayQuery>,
    run_request: RunRequest,
    PublicUrl(base): PublicUrl,
) -> Result<Response, HttpError> {
    let generation = run_request.gateway.generation_of(&run_request.caller, id, query.model).await?;
    let renderer = Renderer::new(run_request.id).reached_at(base);
    // Boxed: the future is large.
    Box::pin(run_request.respond(generation, renderer, Delivery::of(query.stream))).await
}
