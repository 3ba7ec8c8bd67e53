//! Uploads: `/v1/uploads`, in parts as OpenAI's SDKs send them, and `/v1/files/uploads`, whose bytes bypass the gateway.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::files::{ExpiresAfter, FileBody, UploadPurpose};

/// Request for an upload whose bytes don't pass the gateway.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct UploadRequest {
    /// Name of the file.
    #[schema(example = "film.mp4")]
    pub filename: String,
    /// Purpose of the file.
    #[schema(value_type = UploadPurpose, example = "user_data")]
    pub purpose: String,
    /// Size of the file in bytes.
    #[schema(example = 52_428_800)]
    pub bytes: u64,
    /// Media type that the client assumes. The type of the file is detected from its bytes.
    pub mime_type: Option<String>,
    /// Time after which the file is deleted by itself.
    pub expires_after: Option<ExpiresAfter>,
}

/// Upload in progress.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct UploadBody {
    /// Id, which the file has too.
    #[schema(example = "file-01JDB4T6ZW3Q8N5XKM2C7V9RHF")]
    pub id: String,
    /// Always `upload`.
    #[schema(example = "upload")]
    pub object: String,
    /// Size of the file in bytes.
    pub bytes: u64,
    /// Time of the request, in seconds since 1970.
    pub created_at: i64,
    /// Name of the file; empty while a form is received.
    pub filename: String,
    /// Purpose of the file.
    pub purpose: String,
    /// `pending`, `completed` or `cancelled`.
    #[schema(example = "pending")]
    pub status: String,
    /// End of the upload, in seconds since 1970.
    pub expires_at: i64,
    /// Request that sends the bytes, in the response that begins an upload in three steps.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub put: Option<UploadPut>,
    /// File that a completed upload in parts has become.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub file: Option<FileBody>,
}

/// Page of the uploads in progress.
#[derive(Debug, Clone, Default, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct UploadQuery {
    /// Maximum number of uploads, 1 to 200; absent: 50.
    #[param(minimum = 1, maximum = 200)]
    pub limit: Option<u32>,
    /// `next_cursor` of the page before.
    pub cursor: Option<String>,
}

/// Page of uploads in progress.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct UploadList {
    /// Always `list`.
    #[schema(example = "list")]
    pub object: String,
    /// The uploads.
    pub data: Vec<UploadBody>,
    /// Id of the first upload; null if there is none.
    pub first_id: Option<String>,
    /// Id of the last upload; null if there is none.
    pub last_id: Option<String>,
    /// True if more uploads follow.
    pub has_more: bool,
    /// Cursor of the next page; null after the last one.
    pub next_cursor: Option<String>,
}

/// Request for an upload in parts, as OpenAI's SDKs send it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct PartedUploadRequest {
    /// Name of the file.
    #[schema(example = "film.mp4")]
    pub filename: String,
    /// Purpose of the file.
    #[schema(value_type = UploadPurpose, example = "user_data")]
    pub purpose: String,
    /// Size of the file in bytes: that of all parts together.
    #[schema(example = 52_428_800)]
    pub bytes: u64,
    /// Media type that the client assumes. The type of the file is detected from its bytes.
    pub mime_type: Option<String>,
    /// Time after which the file is deleted by itself.
    pub expires_after: Option<ExpiresAfter>,
}

/// Form of a part.
#[derive(Debug, Clone, ToSchema)]
#[expect(dead_code, reason = "it only documents the form")]
pub struct UploadPartForm {
    /// The bytes, 64 MiB at most.
    #[schema(format = Binary, content_media_type = "application/octet-stream")]
    data: String,
}

/// Part of an upload.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct UploadPartBody {
    /// Id.
    #[schema(example = "part_01JDB4T6ZW3Q8N5XKM2C7V9RHF")]
    pub id: String,
    /// Always `upload.part`.
    #[schema(example = "upload.part")]
    pub object: String,
    /// Time of the request, in seconds since 1970.
    pub created_at: i64,
    /// Id of the upload.
    pub upload_id: String,
}

/// Request that makes the parts of an upload a file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct CompleteUpload {
    /// Ids of the parts, in the order of their bytes.
    pub part_ids: Vec<String>,
    /// MD5 of the file, hexadecimal, which it must have.
    pub md5: Option<String>,
}

/// Request that sends the bytes of an upload. It needs no token.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct UploadPut {
    /// Always `PUT`.
    #[schema(example = "PUT")]
    pub method: String,
    /// URL with a signature.
    pub url: String,
    /// Headers that the request must have.
    pub headers: BTreeMap<String, String>,
}
