//! Amazon Bedrock's `ConverseStream`
//! (<https://docs.aws.amazon.com/bedrock/latest/APIReference/API_runtime_ConverseStream.html>).

mod claude;
mod event;
mod messages;
pub(super) mod request;
pub(super) mod stream;

#[cfg(test)]
mod tests;

use hearth_wire::ApiError;

use crate::url_path::model_segment;

/// The media types of documents that Bedrock reads.
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

/// The path of a streamed answer. An ARN's slashes and colons are escaped too.
pub(super) fn path(model: &str) -> Result<String, ApiError> {
    Ok(format!("/model/{}/converse-stream", model_segment(model)?))
}
