//! `/v1/files`: files of users, in OpenAI's shape.

use axum::{
    Extension, Json,
    extract::State,
    http::{HeaderMap, Method, header::CONTENT_LENGTH},
    response::Response,
};
use hearth_domain::FileId;
use hearth_gateway::{
    Caller, Gateway,
    files::{FileDetails, FileUpload},
};
use hearth_http::{AppState, HttpError, PathParam, QueryParams, UploadForm};
use hearth_wire::{
    ApiError, ErrorCode,
    error::ErrorEnvelope,
    form_field::shortened_name,
    openai::files::{
        ExpiresAfter, FileBody, FileDeleted, FileForm, FileList, FileQuery, parse_file_name,
        parse_upload_purpose,
    },
};

use super::content;

/// Most fields of the form.
const FIELDS_MAX_COUNT: usize = 16;

/// Upload a file, as OpenAI's SDKs do.
///
/// It is a form; the limits are settings of the operator. Where Hearth runs on Lambda, a body has 6 MB at most: for larger files
/// there is `POST /v1/files/uploads`.
#[utoipa::path(
    post, path = "/v1/files", operation_id = "upload_file", tag = "files", security(("token" = [])),
    request_body(content = FileForm, content_type = "multipart/form-data"),
    responses(
        (status = 200, description = "The file", body = FileBody),
        (status = 400, description = "The request is malformed; `param` names the field", body = ErrorEnvelope),
        (status = 413, description = "The file is over the limit", body = ErrorEnvelope),
        (status = 429, description = "A quota is used up", body = ErrorEnvelope),
    ),
)]
pub(crate) async fn upload(
    State(state): State<AppState>,
    Extension(caller): Extension<Caller>,
    headers: HeaderMap,
    form: UploadForm,
) -> Result<Json<FileBody>, HttpError> {
    let gateway = &state.gateway;
    let mut upload = None;
    let length = headers.get(CONTENT_LENGTH).and_then(|length| length.to_str().ok()?.parse().ok());
    let received = receive(gateway, &caller, (form, length), &mut upload).await;
    let Some(upload) = upload else {
        return Err(HttpError(received.err().unwrap_or_else(no_file)));
    };
    let file = match received {
        Ok(details) => gateway.finish_file(&upload, details).await,
        Err(error) => Err(error),
    };
    if file.is_err() {
        gateway.discard_file(&upload).await;
    }
    Ok(Json(file?))
}

fn no_file() -> ApiError {
    ApiError::invalid("file", "the form must have a field `file` that is a file: a part with a filename")
}

/// Receives the fields of a body of this length, if it is known. The file may come before the fields that describe it.
async fn receive(
    gateway: &Gateway,
    caller: &Caller,
    (mut form, length): (UploadForm, Option<u64>),
    upload: &mut Option<FileUpload>,
) -> Result<FileDetails, ApiError> {
    let (mut purpose, mut anchor, mut seconds) = (None, None, None);
    let mut count = 0;
    while let Some(field) = form.next_field().await? {
        count += 1;
        if count > FIELDS_MAX_COUNT {
            let message = format!("the form has more than {FIELDS_MAX_COUNT} fields");
            return Err(ApiError::new(ErrorCode::InvalidRequest, message));
        }
        match field.name().as_str() {
            "file" => {
                let name = field.file_name().ok_or_else(no_file)?;
                let name = parse_file_name(&name, "file")?;
                let begun = upload.insert(gateway.begin_file(caller, length).await?);
                gateway.write_file(begun, name, field.into_pieces()).await?;
            }
            "purpose" => purpose = Some(parse_upload_purpose(&field.text().await?)?),
            "expires_after[anchor]" => anchor = Some(field.text().await?),
            "expires_after[seconds]" => {
                let value = field.text().await?.parse::<u64>();
                let value = value.map_err(|_| {
                    ApiError::invalid("expires_after.seconds", "expires_after.seconds must be a number")
                })?;
                seconds = Some(value);
            }
            other => {
                let message = format!("the form has an unknown field {:?}", shortened_name(other));
                return Err(ApiError::new(ErrorCode::InvalidRequest, message));
            }
        }
    }
    let purpose =
        purpose.ok_or_else(|| ApiError::invalid("purpose", "the form must have a field `purpose`"))?;
    let expires_after_seconds = match (anchor, seconds) {
        (None, None) => None,
        (Some(anchor), Some(seconds)) => Some(ExpiresAfter { anchor, seconds }.checked_seconds()?),
        _ => {
            let message = "expires_after takes both an anchor and seconds";
            return Err(ApiError::invalid("expires_after", message));
        }
    };
    Ok(FileDetails { purpose, expires_after_seconds })
}

/// List the caller's files, the newest first.
#[utoipa::path(
    get, path = "/v1/files", operation_id = "list_files", tag = "files", security(("token" = [])), params(FileQuery),
    responses(
        (status = 200, description = "A page of files", body = FileList),
        (status = 400, description = "The request is malformed; `param` names the field", body = ErrorEnvelope),
    ),
)]
pub(crate) async fn list(
    State(state): State<AppState>,
    Extension(caller): Extension<Caller>,
    QueryParams(query): QueryParams<FileQuery>,
) -> Result<Json<FileList>, HttpError> {
    Ok(Json(state.gateway.list_files(&caller, &query).await?))
}

/// Get the facts of a file.
#[utoipa::path(
    get, path = "/v1/files/{id}", operation_id = "get_file", tag = "files", security(("token" = [])),
    params(("id" = String, Path, description = "Id of the file")),
    responses(
        (status = 200, description = "The file", body = FileBody),
        (status = 404, description = "No such resource, or one of another user", body = ErrorEnvelope),
    ),
)]
pub(crate) async fn get(
    State(state): State<AppState>,
    Extension(caller): Extension<Caller>,
    PathParam(id): PathParam<FileId>,
) -> Result<Json<FileBody>, HttpError> {
    Ok(Json(state.gateway.file(&caller, id).await?))
}

/// Get the bytes of a file.
///
/// `Range` requests are answered; several ranges at once get the whole file. A browser never executes a file: all but images,
/// audio, video and plain text are saved.
#[utoipa::path(
    get, path = "/v1/files/{id}/content", operation_id = "get_file_content", tag = "files", security(("token" = [])),
    params(("id" = String, Path, description = "Id of the file")),
    responses(
        (status = 200, description = "The file, with its own media type", content_type = "*/*", body = Vec<u8>),
        (status = 206, description = "A part of it", content_type = "*/*", body = Vec<u8>),
        (status = 304, description = "The client has it"),
        (status = 307, description = "A link to the bucket, for a large file in the cloud"),
        (status = 404, description = "No such resource, or one of another user", body = ErrorEnvelope),
        (status = 416, description = "The range begins behind the end", body = ErrorEnvelope),
    ),
)]
pub(crate) async fn content(
    State(state): State<AppState>,
    Extension(caller): Extension<Caller>,
    method: Method,
    headers: HeaderMap,
    PathParam(id): PathParam<FileId>,
) -> Result<Response, HttpError> {
    let file = state.gateway.stored_file(&caller, id).await?;
    content::respond(&state.gateway, &method, &headers, &file).await
}

/// Delete a file.
#[utoipa::path(
    delete, path = "/v1/files/{id}", operation_id = "delete_file", tag = "files", security(("token" = [])),
    params(("id" = String, Path, description = "Id of the file")),
    responses(
        (status = 200, description = "It is deleted", body = FileDeleted),
        (status = 404, description = "No such resource, or one of another user", body = ErrorEnvelope),
    ),
)]
pub(crate) async fn delete(
    State(state): State<AppState>,
    Extension(caller): Extension<Caller>,
    PathParam(id): PathParam<FileId>,
) -> Result<Json<FileDeleted>, HttpError> {
    Ok(Json(state.gateway.delete_file(&caller, id).await?))
}
