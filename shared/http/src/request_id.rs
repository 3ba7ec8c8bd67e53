//! Id of a request: generated here, in the headers of its response, and the id of the run that it starts.

use hearth_domain::RunId;
use http::{HeaderName, HeaderValue};

/// Response header with the id.
pub const HEADER: HeaderName = HeaderName::from_static("x-request-id");

/// Id of the current request; handlers extract it as an extension.
#[derive(Debug, Clone, Copy)]
pub struct RequestId(pub RunId);

impl RequestId {
    /// Returns the id as a header's value.
    #[must_use]
    pub fn header(self) -> Option<HeaderValue> {
        HeaderValue::from_str(&self.0.to_string()).ok()
    }
}
