//! What the dialects' renderers give: frames of a server-sent event stream.

use serde::Serialize;

/// One frame: `id: <id>` and `event: <event>` if it has them, and `data: <data>`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Frame {
    /// The seq of the run event that it came of; a client resumes after it.
    pub id: Option<u64>,
    /// What it is called, in the dialects that name their frames.
    pub event: Option<&'static str>,
    /// One line of JSON, or `[DONE]`.
    pub data: String,
}

impl Frame {
    /// The frame that ends every stream.
    #[must_use]
    pub fn done() -> Self {
        Self { id: None, event: None, data: "[DONE]".to_owned() }
    }

    pub(crate) fn json(id: Option<u64>, value: &impl Serialize) -> Self {
        // Our own types have string keys and no failing serializers.
        let data = serde_json::to_string(value).unwrap_or_else(|error| format!("{{\"error\":\"{error}\"}}"));
        Self { id, event: None, data }
    }

    pub(crate) fn named(event: &'static str, value: &impl Serialize) -> Self {
        Self { event: Some(event), ..Self::json(None, value) }
    }
}
