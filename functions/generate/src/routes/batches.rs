//! `/v1/batches`: files of requests, as OpenAI's SDKs create and read them.

use axum::{Extension, Json, extract::State};
use hearth_domain::BatchId;
use hearth_gateway::Caller;
use hearth_http::{AppState, HttpError, JsonBody, PathParam, QueryParams};
use hearth_wire::{
    error::ErrorEnvelope,
    openai::batches::{BatchBody, BatchList, BatchQuery, BatchRequest},
};

/// Create a batch over a file of requests, one on each line.
///
/// The file was uploaded with `purpose: batch`. Its requests are carried out within 24 hours, behind those of people who wait; the
/// results are in two files, of answers and of errors. A file that can't be carried out ends the batch as `failed`, with `errors` that
/// name the lines.
#[utoipa::path(
    post, path = "/v1/batches", operation_id = "create_batch", tag = "batches", security(("token" = [])),
    request_body(
        content = BatchRequest,
        example = json!({
            "input_file_id": "file-01JDB4T6ZW3Q8N5XKM2C7V9RHF", "endpoint": "/v1/chat/completions", "completion_window": "24h",
        }),
    ),
    responses(
        (status = 200, description = "The batch", body = BatchBody),
        (status = 400, description = "The request is malformed; `param` names the field", body = ErrorEnvelope),
        (status = 404, description = "There is no such file, or it is another user's", body = ErrorEnvelope),
        (status = 413, description = "The file is over the limit of a batch", body = ErrorEnvelope),
        (status = 429, description = "Too many batches of the caller haven't ended", body = ErrorEnvelope),
    ),
)]
pub(crate) async fn create(
    State(state): State<AppState>,
    Extension(caller): Extension<Caller>,
    JsonBody(request): JsonBody<BatchRequest>,
) -> Result<Json<BatchBody>, HttpError> {
    Ok(Json(Box::pin(state.gateway.create_batch(&caller, request)).await?))
}

/// List the caller's batches, the newest first.
#[utoipa::path(
    get, path = "/v1/batches", operation_id = "list_batches", tag = "batches", security(("token" = [])), params(BatchQuery),
    responses(
        (status = 200, description = "A page of batches", body = BatchList),
        (status = 400, description = "The request is malformed; `param` names the field", body = ErrorEnvelope),
    ),
)]
pub(crate) async fn list(
    State(state): State<AppState>,
    Extension(caller): Extension<Caller>,
    QueryParams(query): QueryParams<BatchQuery>,
) -> Result<Json<BatchList>, HttpError> {
    Ok(Json(state.gateway.list_batches(&caller, &query).await?))
}

/// Get a batch, with its progress.
#[utoipa::path(
    get, path = "/v1/batches/{id}", operation_id = "get_batch", tag = "batches", security(("token" = [])),
    params(("id" = String, Path, description = "Id of the batch")),
    responses(
        (status = 200, description = "The batch", body = BatchBody),
        (status = 404, description = "No such resource, or one of another user", body = ErrorEnvelope),
    ),
)]
pub(crate) async fn get(
    State(state): State<AppState>,
    Extension(caller): Extension<Caller>,
    PathParam(id): PathParam<BatchId>,
) -> Result<Json<BatchBody>, HttpError> {
    Ok(Json(state.gateway.batch(&caller, id).await?))
}

/// Cancel a batch.
///
/// Its requests in progress end. It is `cancelling` until then, and `cancelled` when its results are in its files.
#[utoipa::path(
    post, path = "/v1/batches/{id}/cancel", operation_id = "cancel_batch", tag = "batches", security(("token" = [])),
    params(("id" = String, Path, description = "Id of the batch")),
    responses(
        (status = 200, description = "The batch", body = BatchBody),
        (status = 404, description = "No such resource, or one of another user", body = ErrorEnvelope),
        (status = 409, description = "It has ended", body = ErrorEnvelope),
    ),
)]
pub(crate) async fn cancel(
    State(state): State<AppState>,
    Extension(caller): Extension<Caller>,
    PathParam(id): PathParam<BatchId>,
) -> Result<Json<BatchBody>, HttpError> {
    Ok(Json(state.gateway.cancel_batch(&caller, id).await?))
}
