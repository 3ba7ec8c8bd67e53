//! `/v1/files/uploads`: uploads whose bytes go to the bucket.

use axum::{
    Extension, Json,
    extract::{Request, State},
    http::StatusCode,
};
use hearth_domain::FileId;
use hearth_gateway::Caller;
use hearth_http::{AppState, HttpError, JsonBody, PathParam, PublicUrl, QueryParams, upload::body_pieces};
use hearth_wire::{
    ApiError, ErrorCode,
    error::ErrorEnvelope,
    native::artifacts::ArtifactQuery,
    openai::{
        files::FileBody,
        uploads::{UploadBody, UploadRequest},
    },
};

/// Begin an upload whose bytes don't pass the gateway.
///
/// The response has a request, `put`, which sends the bytes to the bucket; after it `POST /v1/files/uploads/{id}/complete` makes
/// them a file. The file counts against the quotas from then on.
#[utoipa::path(
    post, path = "/v1/files/uploads", operation_id = "create_upload", tag = "files", security(("token" = [])),
    request_body(
        content = UploadRequest,
        example = json!({"filename": "notes.txt", "purpose": "user_data", "bytes": 5}),
    ),
    responses(
        (status = 200, description = "The upload", body = UploadBody),
        (status = 400, description = "The request is malformed; `param` names the field", body = ErrorEnvelope),
        (status = 413, description = "The file is over the limit", body = ErrorEnvelope),
    ),
)]
pub(crate) async fn create(
    State(state): State<AppState>,
    Extension(caller): Extension<Caller>,
    PublicUrl(base): PublicUrl,
    JsonBody(request): JsonBody<UploadRequest>,
) -> Result<Json<UploadBody>, HttpError> {
    Ok(Json(state.gateway.create_upload(&caller, &request, &base).await?))
}

/// Send the bytes of an upload, where the gateway has no bucket with a server.
///
/// The URL of `put` has the signature that this needs in place of a token.
#[utoipa::path(
    put, path = "/v1/files/uploads/{id}/content", operation_id = "put_upload_content", tag = "files", security(()),
    params(("id" = String, Path, description = "Id of the upload"), ArtifactQuery),
    request_body(content = Vec<u8>, content_type = "application/octet-stream"),
    responses(
        (status = 204, description = "The bytes are stored"),
        (status = 403, description = "The signature is wrong, or has expired", body = ErrorEnvelope),
        (status = 409, description = "The upload is complete, or the body has fewer bytes", body = ErrorEnvelope),
        (status = 413, description = "The body has more bytes", body = ErrorEnvelope),
    ),
)]
pub(crate) async fn put(
    State(state): State<AppState>,
    PathParam(id): PathParam<FileId>,
    QueryParams(query): QueryParams<ArtifactQuery>,
    request: Request,
) -> Result<StatusCode, HttpError> {
    let (Some(expires), Some(signature)) = (query.expires, query.signature) else {
        let message = "this takes a signature; POST /v1/files/uploads returns it";
        return Err(HttpError(ApiError::new(ErrorCode::Forbidden, message)));
    };
    let pieces = body_pieces(request)?;
    state.gateway.write_upload(id, (expires, &signature), pieces).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Complete an upload: from now on it is a file.
#[utoipa::path(
    post, path = "/v1/files/uploads/{id}/complete", operation_id = "complete_upload", tag = "files",
    security(("token" = [])), params(("id" = String, Path, description = "Id of the upload")),
    responses(
        (status = 200, description = "The file", body = FileBody),
        (status = 404, description = "No such resource, or one of another user", body = ErrorEnvelope),
        (status = 409, description = "The bytes aren't there yet", body = ErrorEnvelope),
        (status = 429, description = "A quota is used up; the upload is deleted", body = ErrorEnvelope),
    ),
)]
pub(crate) async fn complete(
    State(state): State<AppState>,
    Extension(caller): Extension<Caller>,
    PathParam(id): PathParam<FileId>,
) -> Result<Json<FileBody>, HttpError> {
    Ok(Json(state.gateway.complete_upload(&caller, id).await?))
}

/// Cancel an upload.
#[utoipa::path(
    delete, path = "/v1/files/uploads/{id}", operation_id = "cancel_upload", tag = "files", security(("token" = [])),
    params(("id" = String, Path, description = "Id of the upload")),
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
