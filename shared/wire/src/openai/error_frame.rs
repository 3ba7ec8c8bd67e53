//! The frame of an error in a stream without named events.

use hearth_domain::RunId;
use serde_json::json;

use crate::{ApiError, stream::Frame};

/// Renders an error of the run `request_id`.
pub(super) fn error_frame(error: &ApiError, request_id: RunId) -> Frame {
    let envelope = error.envelope(&request_id.to_string());
    Frame::json(None, &json!({"event": "error", "error": envelope.error}))
}
