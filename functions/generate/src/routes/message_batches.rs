//! `/v1/messages/batches`: batches of messages, as Anthropic's SDKs create and read them.

use axum::{
    Extension, Json,
    body::Body,
    extract::State,
    http::{
        HeaderMap,
        header::{CACHE_CONTROL, CONTENT_LENGTH, CONTENT_TYPE, X_CONTENT_TYPE_OPTIONS},
    },
    response::{IntoResponse as _, Response},
};
use hearth_domain::MessageBatchId;
use hearth_gateway::Caller;
use hearth_http::{AppState, HttpError, JsonBody, PathParam, PublicUrl, QueryParams, dialect};
use hearth_wire::anthropic::{
    MessageBatch, MessageBatchDeleted, MessageBatchList, MessageBatchQuery, MessageBatchRequest,
    MessagesError,
};

/// Media type of results in Anthropic's API.
const RESULTS_TYPE: &str = "application/x-jsonl";

/// Create a batch of messages, as Anthropic's SDKs request it.
///
/// The requests are carried out within 24 hours, behind those of people who wait. A body has 10 MB at most, and 6 MB where Hearth runs
/// on Lambda: `POST /v1/batches` takes a file of 200 MB, also of requests for `/v1/messages`.
#[utoipa::path(
    post, path = "/v1/messages/batches", operation_id = "create_message_batch", tag = "batches", security(("token" = [])),
    request_body(
        content = MessageBatchRequest,
        example = json!({"requests": [{"custom_id": "question-1", "params": {
            "model": "auto", "max_tokens": 20, "messages": [{"role": "user", "content": "What is the capital of France?"}],
        }}]}),
    ),
    params(
        ("anthropic-beta" = Option<String>, Header, description = "Betas of Anthropic's API, sent to a provider of that dialect"),
    ),
    responses(
        (status = 200, description = "The batch", body = MessageBatch),
        (status = "4XX", description = "Refused: `code` is the reason, and `param` the field", body = MessagesError),
    ),
)]
pub(crate) async fn create(
    State(state): State<AppState>,
    Extension(caller): Extension<Caller>,
    PublicUrl(base): PublicUrl,
    headers: HeaderMap,
    JsonBody(request): JsonBody<MessageBatchRequest>,
) -> Result<Json<MessageBatch>, HttpError> {
    let betas = dialect::betas(&headers);
    Ok(Json(Box::pin(state.gateway.create_message_batch(&caller, request, betas, &base)).await?))
}

/// List the caller's batches of messages, the newest first.
#[utoipa::path(
    get, path = "/v1/messages/batches", operation_id = "list_message_batches", tag = "batches", security(("token" = [])),
    params(MessageBatchQuery),
    responses(
        (status = 200, description = "A page of batches", body = MessageBatchList),
        (status = "4XX", description = "Refused: `code` is the reason, and `param` the field", body = MessagesError),
    ),
)]
pub(crate) async fn list(
    State(state): State<AppState>,
    Extension(caller): Extension<Caller>,
    PublicUrl(base): PublicUrl,
    QueryParams(query): QueryParams<MessageBatchQuery>,
) -> Result<Json<MessageBatchList>, HttpError> {
    Ok(Json(state.gateway.list_message_batches(&caller, &query, &base).await?))
}

/// Get a batch of messages, with its progress.
#[utoipa::path(
    get, path = "/v1/messages/batches/{id}", operation_id = "get_message_batch", tag = "batches", security(("token" = [])),
    params(("id" = String, Path, description = "Id of the batch")),
    responses(
        (status = 200, description = "The batch", body = MessageBatch),
        (status = 404, description = "No such resource, or one of another user", body = MessagesError),
        (status = "4XX", description = "Refused: `code` is the reason, and `param` the field", body = MessagesError),
    ),
)]
pub(crate) async fn get(
    State(state): State<AppState>,
    Extension(caller): Extension<Caller>,
    PublicUrl(base): PublicUrl,
    PathParam(id): PathParam<MessageBatchId>,
) -> Result<Json<MessageBatch>, HttpError> {
    Ok(Json(state.gateway.message_batch(&caller, id, &base).await?))
}

/// Cancel a batch of messages.
///
/// Its requests in progress end. It is `canceling` until then, and `ended` when each request has a result.
#[utoipa::path(
    post, path = "/v1/messages/batches/{id}/cancel", operation_id = "cancel_message_batch", tag = "batches",
    security(("token" = [])), params(("id" = String, Path, description = "Id of the batch")),
    responses(
        (status = 200, description = "The batch", body = MessageBatch),
        (status = 404, description = "No such resource, or one of another user", body = MessagesError),
        (status = 409, description = "It has ended", body = MessagesError),
        (status = "4XX", description = "Refused: `code` is the reason, and `param` the field", body = MessagesError),
    ),
)]
pub(crate) async fn cancel(
    State(state): State<AppState>,
    Extension(caller): Extension<Caller>,
    PublicUrl(base): PublicUrl,
    PathParam(id): PathParam<MessageBatchId>,
) -> Result<Json<MessageBatch>, HttpError> {
    Ok(Json(state.gateway.cancel_message_batch(&caller, id, &base).await?))
}

/// Delete a batch of messages that has ended, with its results.
#[utoipa::path(
    delete, path = "/v1/messages/batches/{id}", operation_id = "delete_message_batch", tag = "batches",
    security(("token" = [])), params(("id" = String, Path, description = "Id of the batch")),
    responses(
        (status = 200, description = "It is deleted", body = MessageBatchDeleted),
        (status = 404, description = "No such resource, or one of another user", body = MessagesError),
        (status = 409, description = "It is in progress", body = MessagesError),
        (status = "4XX", description = "Refused: `code` is the reason, and `param` the field", body = MessagesError),
    ),
)]
pub(crate) async fn delete(
    State(state): State<AppState>,
    Extension(caller): Extension<Caller>,
    PathParam(id): PathParam<MessageBatchId>,
) -> Result<Json<MessageBatchDeleted>, HttpError> {
    Ok(Json(state.gateway.delete_message_batch(&caller, id).await?))
}

/// Get the results of a batch of messages that has ended: a line of JSON for each request, in the order in which they ended.
#[utoipa::path(
    get, path = "/v1/messages/batches/{id}/results", operation_id = "get_message_batch_results", tag = "batches",
    security(("token" = [])), params(("id" = String, Path, description = "Id of the batch")),
    responses(
        (status = 200, description = "The results", content_type = "application/x-jsonl", body = String),
        (status = 404, description = "No such resource, or one of another user", body = MessagesError),
        (status = 409, description = "It is in progress", body = MessagesError),
        (status = "4XX", description = "Refused: `code` is the reason, and `param` the field", body = MessagesError),
    ),
)]
pub(crate) async fn results(
    State(state): State<AppState>,
    Extension(caller): Extension<Caller>,
    PathParam(id): PathParam<MessageBatchId>,
) -> Result<Response, HttpError> {
    let file = state.gateway.message_batch_results(&caller, id).await?;
    let body = Body::from_stream(state.gateway.stored_bytes(&file, None).await?);
    let head = [
        (CONTENT_TYPE, RESULTS_TYPE.to_owned()),
        (CONTENT_LENGTH, file.size_bytes.to_string()),
        (X_CONTENT_TYPE_OPTIONS, "nosniff".to_owned()),
        (CACHE_CONTROL, "no-store".to_owned()),
    ];
    Ok((head, body).into_response())
}
