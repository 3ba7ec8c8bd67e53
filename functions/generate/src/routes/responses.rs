//! `/v1/responses`: OpenAI's newer dialect.

use axum::{Extension, Json, extract::State, response::Response};
use hearth_domain::{Message, Role, RunId};
use hearth_gateway::{Caller, Conversation, Delivery};
use hearth_http::{AppState, HttpError, JsonBody, PathParam};
use hearth_wire::{
    ApiError,
    error::ErrorEnvelope,
    native::requests::AcceptedRequest,
    openai::responses::{
        DeletedResponse, ResponseObject, ResponsesRenderer, ResponsesRequest, ResponsesTurn,
    },
};
use serde_json::json;

use crate::{references, run_headers::RunHeaders, run_request::RunRequest};

/// Create a response, as OpenAI's SDKs request it.
///
/// With `stream: true` the response is this API's named server-sent events, to `response.completed`,
/// `response.incomplete` or `response.failed`. Unless `store` is false, the conversation is stored for 30 days, and a
/// later request can continue it with `previous_response_id`. `x-queue-position` is the position of a request that
/// has to wait.
#[utoipa::path(
    post, path = "/v1/responses", operation_id = "create_response", tag = "compatible", security(("token" = [])),
    request_body(
        content = ResponsesRequest,
        example = json!({"model": "auto", "input": "What is the capital of France?"}),
    ),
    params(RunHeaders),
    responses(
        (status = 200, description = "The response, or a stream of events", body = ResponseObject),
        (status = 202, description = "The run continues without the client", body = AcceptedRequest),
    ),
)]
pub(crate) async fn responses(
    run_request: RunRequest,
    JsonBody(mut request): JsonBody<ResponsesRequest>,
) -> Result<Response, HttpError> {
    let (streams, stores, renderer) = (request.streams(), request.stores(), request.renderer(run_request.id));
    references::resolve_item_references(&run_request, &mut request).await?;
    let request_echo = json!(request.echo());
    let earlier = earlier(&run_request, request.previous()?).await?;
    let ResponsesTurn { generation, messages } = request.into_turn(earlier)?;
    let conversation = stores.then_some(Conversation { messages, request_echo, ..Conversation::default() });
    run_request.respond_to_turn(generation, conversation, renderer, Delivery::of(streams)).await
}

/// Get a stored response.
///
/// A run of `POST /v1/responses` is stored at its end, unless `store` was false.
#[utoipa::path(
    get, path = "/v1/responses/{id}", operation_id = "get_response", tag = "compatible", security(("token" = [])),
    params(("id" = String, Path, description = "Id of the response")),
    responses(
        (status = 200, description = "The stored response", body = ResponseObject),
        (status = 404, description = "No such resource, or one of another user", body = ErrorEnvelope),
    ),
)]
pub(crate) async fn get(
    State(state): State<AppState>,
    Extension(caller): Extension<Caller>,
    PathParam(id): PathParam<RunId>,
) -> Result<Json<ResponseObject>, HttpError> {
    let conversation = state.gateway.conversation(&caller, id).await?;
    let run = state.gateway.request(&caller, id).await?;
    let echo = serde_json::from_value(conversation.request_echo).unwrap_or_default();
    let answer = conversation.messages.last().cloned().unwrap_or_else(|| Message::new(Role::Assistant, ""));
    Ok(Json(ResponsesRenderer::from_record(&run, &answer, &conversation.layout, echo)))
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

/// Loads the conversation that the request continues.
async fn earlier(run_request: &RunRequest, id: Option<RunId>) -> Result<Vec<Message>, ApiError> {
    let Some(id) = id else { return Ok(Vec::new()) };
    let conversation = run_request.gateway.conversation(&run_request.caller, id).await;
    conversation.map(|conversation| conversation.messages).map_err(|error| error.at("previous_response_id"))
}
