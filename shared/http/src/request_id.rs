//! The request's id: made here, on every answer, and the id of the run that it begins.

use hearth_domain::RunId;
use http::{HeaderName, HeaderValue};

/// The header that carries it.
pub const HEADER: HeaderName = HeaderName::from_static("x-request-id");

/// The id of the request at hand; handlers take it as an extension.
#[derive(Debug, Clone, Copy)]
pub struct RequestId(pub RunId);

impl RequestId {
    /// As a header's value.
    #[must_use]
    pub fn header(self) -> Option<HeaderValue> {
        HeaderValue::from_str(&self.0.to_string()).ok()
    }
}
