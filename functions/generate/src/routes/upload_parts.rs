//! `/v1/uploads`: uploads in parts, as OpenAI's SDKs send large files.

use axum::{Extension, Json, extract::State};
use hearth_domain::FileId;
use hearth_gateway::Caller;
use hearth_http::{AppState, HttpError, JsonBody, PathParam, QueryParams, UploadForm};
use hearth_wire::{
    error::ErrorEnvelope,
    openai::uploads::{
        CompleteUpload, PartedUploadRequest, UploadBody, UploadList, UploadPartBody, UploadPartForm,
        UploadQuery,
    },
};

/// Begin an upload in parts.
///
/// Each part is sent by `POST /v1/uploads/{id}/parts`, and `POST /v1/uploads/{id}/complete` makes them a file within an hour. Where
/// Hearth runs on Lambda, a part has 4.4 MB at most.
#[utoipa::path(
    post, path = "/v1/uploads", operation_id = "create_parted_upload", tag = "files", security(("token" = [])),
    request_body(
        content = PartedUploadRequest,
        example = json!({"filename": "notes.txt", "purpose": "user_data", "bytes": 5, "mime_type": "text/plain"}),
    ),
    responses(
        (status = 200, description = "The upload", body = UploadBody),
        (status = 400, description = "The request is malformed; `param` names the field", body = ErrorEnvelope),
        (status = 413, description = "The file is over the limit", body = ErrorEnvelope),
        (status = 429, description = "A quota is used up", body = ErrorEnvelope),
    ),
)]
pub(crate) async fn create(
    State(state): State<AppState>,
    Extension(caller): Extension<Caller>,
    JsonBody(request): JsonBody<PartedUploadRequest>,
) -> Result<Json<UploadBody>, HttpError> {
    Ok(Json(state.gateway.create_parted_upload(&caller, request).await?))
}

/// List the caller's uploads in progress, the newest first.
///
/// They are those in parts, those in three steps (`POST /v1/files/uploads`), and forms that are being received (`POST /v1/files`): all
/// that count as uploads in progress. `POST /v1/uploads/{id}/cancel` cancels any of them.
#[utoipa::path(
    get, path = "/v1/uploads", operation_id = "list_uploads", tag = "files", security(("token" = [])), params(UploadQuery),
    responses(
        (
            status = 200, description = "A page of uploads", body = UploadList,
            example = json!({
                "object": "list",
                "data": [{
                    "id": "file-01JDB4T6ZW3Q8N5XKM2C7V9RHF", "object": "upload", "bytes": 52_428_800, "created_at": 1_732_276_800,
                    "filename": "film.mp4", "purpose": "user_data", "status": "pending", "expires_at": 1_732_280_400,
                }],
                "first_id": "file-01JDB4T6ZW3Q8N5XKM2C7V9RHF", "last_id": "file-01JDB4T6ZW3Q8N5XKM2C7V9RHF",
                "has_more": false, "next_cursor": null,
            }),
        ),
        (status = 400, description = "The request is malformed; `param` names the field", body = ErrorEnvelope),
    ),
)]
pub(crate) async fn list(
    State(state): State<AppState>,
    Extension(caller): Extension<Caller>,
    QueryParams(query): QueryParams<UploadQuery>,
) -> Result<Json<UploadList>, HttpError> {
    Ok(Json(state.gateway.list_uploads(&caller, &query).await?))
}

/// Send a part of an upload.
#[utoipa::path(
    post, path = "/v1/uploads/{id}/parts", operation_id = "add_upload_part", tag = "files", security(("token" = [])),
    params(("id" = String, Path, description = "Id of the upload")),
    request_body(content = UploadPartForm, content_type = "multipart/form-data"),
    responses(
        (status = 200, description = "The part", body = UploadPartBody),
        (status = 400, description = "The request is malformed; `param` names the field", body = ErrorEnvelope),
        (status = 404, description = "No such resource, or one of another user", body = ErrorEnvelope),
        (status = 409, description = "The upload is complete", body = ErrorEnvelope),
        (status = 413, description = "The part is over 64 MiB, or the parts have more bytes than the upload", body = ErrorEnvelope),
    ),
)]
pub(crate) async fn add(
    State(state): State<AppState>,
    Extension(caller): Extension<Caller>,
    PathParam(id): PathParam<FileId>,
    form: UploadForm,
) -> Result<Json<UploadPartBody>, HttpError> {
    Ok(Json(state.gateway.add_upload_part(&caller, id, form.into_only_field("data")).await?))
}

/// Complete an upload in parts: from now on it is a file.
#[utoipa::path(
    post, path = "/v1/uploads/{id}/complete", operation_id = "complete_parted_upload", tag = "files",
    security(("token" = [])), params(("id" = String, Path, description = "Id of the upload")),
    request_body(
        content = CompleteUpload,
        example = json!({"part_ids": ["part_01JDB4T6ZW3Q8N5XKM2C7V9RHF"]}),
    ),
    responses(
        (status = 200, description = "The upload, with its file", body = UploadBody),
        (status = 400, description = "A part is unknown, or the MD5 is another", body = ErrorEnvelope),
        (status = 404, description = "No such resource, or one of another user", body = ErrorEnvelope),
        (status = 409, description = "The parts have another number of bytes", body = ErrorEnvelope),
        (status = 429, description = "A quota is used up; the upload is deleted", body = ErrorEnvelope),
    ),
)]
pub(crate) async fn complete(
    State(state): State<AppState>,
    Extension(caller): Extension<Caller>,
    PathParam(id): PathParam<FileId>,
    JsonBody(request): JsonBody<CompleteUpload>,
) -> Result<Json<UploadBody>, HttpError> {
    Ok(Json(state.gateway.complete_parted_upload(&caller, id, &request).await?))
}

/// Cancel an upload in parts.
#[utoipa::path(
    post, path = "/v1/uploads/{id}/cancel", operation_id = "cancel_parted_upload", tag = "files",
    security(("token" = [])), params(("id" = String, Path, description = "Id of the upload")),
    responses(
        (status = 200, description = "It is cancelled", body = UploadBody),
        (status = 404, description = "No such resource, or one of another user", body = ErrorEnvelope),
        (status = 409, description = "It is complete", body = ErrorEnvelope),
    ),
)]
pub(crate) async fn cancel(
    State(state): State<AppState>,
    Extension(caller): Extension<Caller>,
    PathParam(id): PathParam<FileId>,
) -> Result<Json<UploadBody>, HttpError> {
    Ok(Json(state.gateway.cancel_upload(&caller, id).await?))
}
