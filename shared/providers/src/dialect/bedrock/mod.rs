//! Amazon Bedrock's `ConverseStream`
//! (<https://docs.aws.amazon.com/bedrock/latest/APIReference/API_runtime_ConverseStream.html>), and `Converse` for
//! answers that aren't streamed.

mod claude;
mod event;
mod messages;
pub(super) mod request;
pub(super) mod stream;

#[cfg(test)]
mod tests;

use hearth_wire::ApiError;

use super::body::AnswerMode;
use crate::url_path::model_segment;

/// Media types of documents that Bedrock supports.
pub(crate) const DOCUMENT_TYPES: &[&str] = &[
    "application/pdf",
    "text/csv",
    "application/msword",
    "application/vnd.openxmlformats-officedocument.wordprocessingml.document",
    "application/vnd.ms-excel",
    "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
    "text/html",
    "text/plain",
    "text/markdown",
];

/// Returns the path of a generation. Slashes and colons of an ARN are escaped too.
pub(super) fn path(model: &str, mode: AnswerMode) -> Result<String, ApiError> {
    let method = match mode {
        AnswerMode::Stream => "converse-stream",
        AnswerMode::Whole => "converse",
    };
    Ok(format!("/model/{}/{method}", model_segment(model)?))
}
