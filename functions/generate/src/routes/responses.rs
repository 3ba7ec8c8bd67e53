//! `/v1/responses`: OpenAI's newer dialect.

use axum::{
    Extension, Json,
    extract::{State, WebSocketUpgrade, ws::rejection::WebSocketUpgradeRejection},
    response::{IntoResponse as _, Response},
};
use futures::{Stream, StreamExt as _};
use hearth_domain::{Message, Role, Run, RunId};
use hearth_gateway::{Caller, Conversation, Delivery, sockets::SocketPeer};
use hearth_http::{AppState, Deadline, HttpError, JsonBody, PathParam, QueryParams, sse};
use hearth_wire::{
    ApiError, ErrorCode, RunEvent,
    error::ErrorEnvelope,
    native::requests::AcceptedRequest,
    openai::responses::{
        ConversationItemList, DeletedResponse, IncludeQuery, InputItemsQuery, ResponseObject, ResponseQuery,
        ResponsesRenderer, ResponsesRequest, ResponsesTurn,
    },
    stream::{Frame, Render as _},
};
use serde_json::json;

use crate::{
    conversation_turn,
    responses_socket::{MESSAGE_MAX_BYTES, Session},
    run_headers::RunHeaders,
    run_request::RunRequest,
};

/// Bytes of the buffers of a socket: most of its life it waits.
const BUFFER_BYTES: usize = 16 << 10;

/// Create a response, as OpenAI's SDKs request it.
///
/// With `stream: true` the response is this API's named server-sent events, to `response.completed`,
/// `response.incomplete` or `response.failed`. Unless `store` is false, the conversation is stored for 30 days, and a
/// later request can continue it with `previous_response_id`. With `conversation`, input and output are added to the
/// conversation, whose items the model gets. `x-queue-position` is the position of a request that
/// has to wait. With `background: true` the run goes on without its client: the response is `queued` or `in_progress`, and
/// `GET /v1/responses/{id}` has it later. On Lambda, which freezes a process after its response, it comes when it is complete.
#[utoipa::path(
    post, path = "/v1/responses", operation_id = "create_response", tag = "compatible", security(("token" = [])),
    request_body(
        content = ResponsesRequest,
        examples(
            ("question" = (summary = "A question", value = json!({"model": "auto", "input": "What is the capital of France?"}))),
            ("structured" = (summary = "An answer with a JSON Schema", value = json!({"model": "auto", "input": "What is the capital of France?", "max_output_tokens": 60, "text": {"format": {"type": "json_schema", "name": "city", "schema": {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"], "additionalProperties": false}}}}))),
        ),
    ),
    params(RunHeaders),
    responses(
        (status = 200, description = "The response, or a stream of events", body = ResponseObject),
        (status = 202, description = "The run continues without the client", body = AcceptedRequest),
        (status = 409, description = "The previous response isn't complete, or the conversation has another turn", body = ErrorEnvelope),
    ),
)]
pub(crate) async fn responses(
    run_request: RunRequest,
    JsonBody(mut request): JsonBody<ResponsesRequest>,
) -> Result<Response, HttpError> {
    let (streams, stores, renderer) = (request.streams(), request.stores(), request.renderer(run_request.id));
    let (is_background, render) = (request.is_background(), request.render_options());
    run_request.gateway.resolve_item_references(&run_request.caller, &mut request).await?;
    let request_echo = json!(request.echo());
    let (run_request, ResponsesTurn { generation, messages, earlier_count }) =
        conversation_turn::into_turn(run_request, request).await?;
    let stored = Conversation { messages, earlier_count, request_echo, render, ..Conversation::default() };
    let conversation = stores.then_some(stored);
    let is_read_later = generation.on_disconnect.outlives_client() || run_request.is_async();
    let (gateway, caller, id) = (run_request.gateway.clone(), run_request.caller.clone(), run_request.id);
    let is_opened = match conversation.as_ref().filter(|_| is_read_later) {
        Some(conversation) => {
            gateway.open_conversation(&caller, id, conversation).await?;
            true
        }
        None => false,
    };
    let response = match conversation {
        // Where no run outlives its response, the client waits, and gets the complete response.
        Some(conversation) if is_background && !streams && gateway.outlives_response() => {
            run_request.respond_in_background(generation, conversation, renderer).await
        }
        conversation => {
            run_request.respond_to_turn(generation, conversation, renderer, Delivery::of(streams)).await
        }
    };
    if is_opened && response.is_err() {
        // The run hasn't begun, or its client has its error.
        let _ = gateway.forget_conversation(&caller, id).await;
    }
    response
}

/// Open a WebSocket for responses, as OpenAI's SDKs do (`responses.connect`).
///
/// The client sends `response.create` messages with the fields of `POST /v1/responses`, without `stream` and `background`, and receives the
/// events of each response as messages. One response is in progress at a time, and `previous_response_id` continues the latest one also
/// if it isn't stored. At home alone: API Gateway's WebSockets have messages of 32 KB.
#[utoipa::path(
    get, path = "/v1/responses", operation_id = "open_responses_socket", tag = "compatible", security(("token" = [])),
    params(("upgrade" = String, Header, description = "`websocket`. A page can't set it: its browser does, for a `WebSocket`", example = "websocket")),
    responses(
        (status = 101, description = "The socket is open"),
        (status = 400, description = "The request is no upgrade to a WebSocket", body = ErrorEnvelope),
        (status = 503, description = "The gateway has reached its limit of sockets", body = ErrorEnvelope),
    ),
)]
pub(crate) async fn open_socket(
    run_request: RunRequest,
    upgrade: Result<WebSocketUpgrade, WebSocketUpgradeRejection>,
) -> Result<Response, HttpError> {
    let upgrade = upgrade.map_err(|rejection| {
        let message = format!("GET opens a WebSocket, and POST creates a response: {rejection}");
        ApiError::new(ErrorCode::InvalidRequest, message)
    })?;
    let sockets = run_request.gateway.sockets().clone();
    let hub = sockets.hub().ok_or_else(|| {
        let message =
            "this gateway has no WebSocket for responses; send POST /v1/responses with stream: true";
        ApiError::new(ErrorCode::InvalidRequest, message)
    })?;
    let peer = SocketPeer::Client(Box::new(run_request.caller.clone()));
    let place = sockets.open(hub, &peer).await?;
    let id = place.id().clone();
    let failed = move |error: axum::Error| {
        tracing::debug!(%error, "a socket for responses wasn't opened");
        drop(tokio::spawn(async move { sockets.disconnect(&id).await }));
    };
    let session = Session::new(run_request, peer);
    let upgrade = upgrade
        .max_message_size(MESSAGE_MAX_BYTES)
        .max_frame_size(MESSAGE_MAX_BYTES)
        .read_buffer_size(BUFFER_BYTES)
        .write_buffer_size(BUFFER_BYTES);
    Ok(upgrade.on_failed_upgrade(failed).on_upgrade(|socket| session.run(socket, place)))
}

/// Get a stored response.
///
/// A run of `POST /v1/responses` is stored at its end, unless `store` was false; one with `background` from its beginning. With
/// `stream=true` its events are streamed, also while it goes on, with the sequence numbers that they had.
#[utoipa::path(
    get, path = "/v1/responses/{id}", operation_id = "get_response", tag = "compatible", security(("token" = [])),
    params(("id" = String, Path, description = "Id of the response"), ResponseQuery, IncludeQuery),
    responses(
        (status = 200, description = "The stored response, or a stream of its events", body = ResponseObject),
        (status = 404, description = "No such resource, or one of another user", body = ErrorEnvelope),
    ),
)]
pub(crate) async fn get(
    State(state): State<AppState>,
    Extension(caller): Extension<Caller>,
    PathParam(id): PathParam<RunId>,
    QueryParams(query): QueryParams<ResponseQuery>,
    QueryParams(include): QueryParams<IncludeQuery>,
    deadline: Option<Extension<Deadline>>,
) -> Result<Response, HttpError> {
    let (run, mut conversation) = state.gateway.response(&caller, id).await?;
    if !query.stream || include.has_encrypted_reasoning() {
        conversation.render = conversation.render.including(&include);
    }
    if !query.stream {
        return Ok(Json(response_object(&run, conversation)).into_response());
    }
    let until = deadline.map(|Extension(Deadline(deadline))| deadline);
    let events = state.gateway.events(&caller, id, until).await?;
    let echo = serde_json::from_value(conversation.request_echo).unwrap_or_default();
    let renderer = ResponsesRenderer::of_run(&run, echo, conversation.render);
    Ok(sse::respond(replay(events, renderer, query.starting_after)))
}

/// List the input of a stored response: the items of its request, the last one first unless `order` is `asc`.
///
/// Earlier turns, which the request has continued by `previous_response_id` or `conversation`, are the input of their own
/// responses.
#[utoipa::path(
    get, path = "/v1/responses/{id}/input_items", operation_id = "list_response_input_items", tag = "compatible",
    security(("token" = [])),
    params(("id" = String, Path, description = "Id of the response"), InputItemsQuery, IncludeQuery),
    responses(
        (status = 200, description = "A page of items", body = ConversationItemList),
        (status = 404, description = "No such resource, or one of another user", body = ErrorEnvelope),
    ),
)]
pub(crate) async fn list_input_items(
    State(state): State<AppState>,
    Extension(caller): Extension<Caller>,
    PathParam(id): PathParam<RunId>,
    QueryParams(query): QueryParams<InputItemsQuery>,
    QueryParams(include): QueryParams<IncludeQuery>,
) -> Result<Json<ConversationItemList>, HttpError> {
    Ok(Json(state.gateway.response_input(&caller, id, &query, &include).await?))
}

/// Cancel a response: its inference ends between two tokens.
///
/// One that has ended stays as it is.
#[utoipa::path(
    post, path = "/v1/responses/{id}/cancel", operation_id = "cancel_response", tag = "compatible", security(("token" = [])),
    params(("id" = String, Path, description = "Id of the response")),
    responses(
        (status = 200, description = "The response after the cancellation", body = ResponseObject),
        (status = 404, description = "No such resource, or one of another user", body = ErrorEnvelope),
    ),
)]
pub(crate) async fn cancel(
    State(state): State<AppState>,
    Extension(caller): Extension<Caller>,
    PathParam(id): PathParam<RunId>,
) -> Result<Json<ResponseObject>, HttpError> {
    let (mut run, mut conversation) = state.gateway.response(&caller, id).await?;
    if !run.state.is_terminal() {
        state.gateway.cancel_request(&caller, id).await?;
        (run, conversation) = state.gateway.response(&caller, id).await?;
    }
    conversation.render = conversation.render.including(&IncludeQuery::default());
    Ok(Json(response_object(&run, conversation)))
}

/// Delete a stored response, so that no request can continue it.
///
/// The run's record remains, with its output.
#[utoipa::path(
    delete, path = "/v1/responses/{id}", operation_id = "delete_response", tag = "compatible", security(("token" = [])),
    params(("id" = String, Path, description = "Id of the response")),
    responses(
        (status = 200, description = "Deletion", body = DeletedResponse),
        (status = 404, description = "No such resource, or one of another user", body = ErrorEnvelope),
    ),
)]
pub(crate) async fn delete(
    State(state): State<AppState>,
    Extension(caller): Extension<Caller>,
    PathParam(id): PathParam<RunId>,
) -> Result<Json<DeletedResponse>, HttpError> {
    state.gateway.forget_conversation(&caller, id).await?;
    Ok(Json(DeletedResponse::new(id.to_string())))
}

/// The response as it is stored.
fn response_object(run: &Run, conversation: Conversation) -> ResponseObject {
    let Conversation { mut messages, request_echo, layout, render, is_open, .. } = conversation;
    let echo = serde_json::from_value(request_echo).unwrap_or_default();
    let answer = if is_open {
        let tool_calls = run.tool_calls.clone();
        Message { tool_calls, ..Message::new(Role::Assistant, &run.text) }
    } else {
        messages.pop().unwrap_or_else(|| Message::new(Role::Assistant, ""))
    };
    ResponsesRenderer::from_record(run, &answer, &layout, echo, render)
}

/// The frames of a run's events whose numbers follow `after`; and the last frame, whatever its number.
fn replay(
    events: impl Stream<Item = RunEvent> + Send + 'static,
    mut renderer: ResponsesRenderer,
    after: Option<u64>,
) -> impl Stream<Item = Frame> + Send + 'static {
    async_stream::stream! {
        let mut events = Box::pin(events);
        while let Some(event) = events.next().await {
            let first = renderer.next_sequence();
            // Earlier events are rendered too: the later ones have the whole items.
            let mut frames = renderer.frames(&event);
            let last = if event.body.is_terminal() { frames.pop() } else { None };
            for (sequence, frame) in (first..).zip(frames) {
                if after.is_none_or(|after| sequence > after) {
                    yield frame;
                }
            }
            if let Some(frame) = last {
                yield frame;
            }
        }
    }
}
