//! Files: `/v1/files`, as OpenAI's SDKs send and read it.

use hearth_domain::{FilePurpose, Timestamp};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use crate::{ApiError, openai::responses::ItemOrder};

/// Shortest time after which a file is deleted by itself, in seconds.
const EXPIRY_MIN_SECONDS: u64 = 3600;
/// Longest time after which a file is deleted by itself, in seconds.
const EXPIRY_MAX_SECONDS: u64 = 30 * 24 * 3600;
/// Longest name of a file, in bytes.
const NAME_MAX_BYTES: usize = 512;

/// Stored file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct FileBody {
    /// Id.
    #[schema(example = "file-01JDB4T6ZW3Q8N5XKM2C7V9RHF")]
    pub id: String,
    /// Always `file`.
    #[schema(example = "file")]
    pub object: String,
    /// Size in bytes.
    pub bytes: u64,
    /// Time of the upload, in seconds since 1970.
    pub created_at: i64,
    /// Time of deletion, in seconds since 1970; null if it stays until it is deleted.
    pub expires_at: Option<i64>,
    /// Name.
    #[schema(example = "notes.pdf")]
    pub filename: String,
    /// Purpose.
    #[schema(value_type = FilePurpose, example = "user_data")]
    pub purpose: String,
    /// Always `processed`: OpenAI has deprecated the field, and its clients read it.
    #[schema(example = "processed")]
    pub status: String,
    /// Media type, detected from the bytes.
    #[schema(example = "application/pdf")]
    pub media_type: String,
}

/// Selection of files, and a page of them.
#[derive(Debug, Clone, Default, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct FileQuery {
    /// Purpose of the files.
    #[param(value_type = Option<FilePurpose>, inline, example = "user_data")]
    pub purpose: Option<String>,
    /// `desc` for the newest first, which is the default, or `asc`.
    #[param(value_type = Option<ItemOrder>, inline)]
    pub order: Option<String>,
    /// Id of the last file of the page before.
    pub after: Option<String>,
    /// Maximum number of files, 1 to 10000; absent: 50. A page has 200 at most.
    #[param(minimum = 1)]
    pub limit: Option<u32>,
    /// `next_cursor` of the page before, in place of `after`.
    pub cursor: Option<String>,
}

/// Page of files.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct FileList {
    /// Always `list`.
    #[schema(example = "list")]
    pub object: String,
    /// The files.
    pub data: Vec<FileBody>,
    /// Id of the first file; null if there is none.
    pub first_id: Option<String>,
    /// Id of the last file; null if there is none.
    pub last_id: Option<String>,
    /// True if more files follow.
    pub has_more: bool,
    /// Cursor of the next page; null after the last one.
    pub next_cursor: Option<String>,
}

/// File that was deleted.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct FileDeleted {
    /// Id.
    pub id: String,
    /// Always `file`.
    #[schema(example = "file")]
    pub object: String,
    /// Always true.
    pub deleted: bool,
}

/// Purpose of an upload: any but that of the results of batches.
#[derive(Debug, Clone, Copy, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
#[expect(dead_code, reason = "it only documents the values")]
pub(super) enum UploadPurpose {
    /// For assistants.
    Assistants,
    /// Input of a batch.
    Batch,
    /// Training data.
    #[serde(rename = "fine-tune")]
    FineTune,
    /// Image for a model with vision.
    Vision,
    /// Any other file of the user.
    UserData,
    /// Data of an evaluation.
    Evals,
}

/// Form of an upload.
#[derive(Debug, Clone, ToSchema)]
#[expect(dead_code, reason = "it only documents the form")]
pub struct FileForm {
    /// The file.
    #[schema(format = Binary, content_media_type = "application/octet-stream")]
    file: String,
    /// `assistants`, `batch`, `fine-tune`, `vision`, `user_data` or `evals`.
    #[schema(value_type = UploadPurpose, example = "user_data")]
    purpose: String,
    /// With `expires_after[seconds]`: `created_at`.
    #[schema(rename = "expires_after[anchor]")]
    anchor: Option<String>,
    /// Seconds after which the file is deleted, 3600 to 2592000.
    #[schema(rename = "expires_after[seconds]")]
    seconds: Option<u64>,
}

/// Time after which a file is deleted by itself.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ExpiresAfter {
    /// Always `created_at`.
    #[schema(example = "created_at")]
    pub anchor: String,
    /// Seconds after the upload, 3600 to 2592000.
    #[schema(minimum = 3600, maximum = 2_592_000)]
    pub seconds: u64,
}

impl ExpiresAfter {
    /// Checks the values, and returns the seconds.
    ///
    /// # Errors
    /// `invalid_request`, naming the field.
    pub fn checked_seconds(&self) -> Result<u64, ApiError> {
        if self.anchor != "created_at" {
            let message = "expires_after.anchor must be created_at";
            return Err(ApiError::invalid("expires_after.anchor", message));
        }
        if !(EXPIRY_MIN_SECONDS..=EXPIRY_MAX_SECONDS).contains(&self.seconds) {
            let message =
                format!("expires_after.seconds must be {EXPIRY_MIN_SECONDS} to {EXPIRY_MAX_SECONDS}");
            return Err(ApiError::invalid("expires_after.seconds", message));
        }
        Ok(self.seconds)
    }
}

/// Parses the purpose of an upload.
///
/// # Errors
/// `invalid_request`, naming the field.
pub fn parse_upload_purpose(purpose: &str) -> Result<FilePurpose, ApiError> {
    match parse_purpose(purpose)? {
        FilePurpose::BatchOutput => {
            let message = "purpose batch_output is that of the results of batches; upload their input with purpose batch";
            Err(ApiError::invalid("purpose", message))
        }
        purpose => Ok(purpose),
    }
}

/// Parses a purpose.
///
/// # Errors
/// `invalid_request`, naming the field.
pub fn parse_purpose(purpose: &str) -> Result<FilePurpose, ApiError> {
    purpose.parse().map_err(|error| ApiError::invalid("purpose", format!("purpose {error}")))
}

/// Returns the name of a file without the folders that a client may have sent.
///
/// # Errors
/// `invalid_request` if it is empty, longer than 512 bytes, or has control characters.
pub fn parse_file_name(name: &str, param: &str) -> Result<String, ApiError> {
    let name = name.rsplit(['/', '\\']).next().unwrap_or_default().trim();
    let is_folder = matches!(name, "" | "." | "..");
    if is_folder || name.len() > NAME_MAX_BYTES || name.contains(char::is_control) {
        let message = format!(
            "{param} must be the name of a file: 1 to {NAME_MAX_BYTES} bytes, and no control characters"
        );
        return Err(ApiError::invalid(param, message));
    }
    Ok(name.to_owned())
}

/// The end of a file that expires, in seconds since 1970.
#[must_use]
pub fn unix(time: Option<Timestamp>) -> Option<i64> {
    time.map(Timestamp::unix)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn file_name_has_no_folders() {
        for (name, parsed) in [("a.pdf", "a.pdf"), ("/tmp/a.pdf", "a.pdf"), ("C:\\x\\a b.pdf", "a b.pdf")] {
            assert_eq!(parse_file_name(name, "filename").unwrap(), parsed);
        }
        let long = "x".repeat(513);
        for name in ["", "a/", "a\nb", ".", "a/..", long.as_str()] {
            assert_eq!(parse_file_name(name, "filename").unwrap_err().param.as_deref(), Some("filename"));
        }
    }

    #[test]
    fn expiry_is_an_hour_to_thirty_days_after_creation() {
        let seconds = |anchor: &str, seconds| {
            ExpiresAfter { anchor: anchor.to_owned(), seconds }.checked_seconds().ok()
        };
        assert_eq!(seconds("created_at", 3600), Some(3600));
        assert_eq!(seconds("created_at", 2_592_000), Some(2_592_000));
        for (anchor, value) in [("created_at", 3599), ("created_at", 2_592_001), ("last_active_at", 3600)] {
            assert_eq!(seconds(anchor, value), None);
        }
    }
}
