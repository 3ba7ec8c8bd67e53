//! What the dialects' renderers are, and what they give: frames of a server-sent event stream.

use serde::Serialize;

use crate::{ApiError, RunEvent};

/// A dialect's view of one run: takes its events in order; gives frames, or one answer at the end.
pub trait Render: Sized + Send + 'static {
    /// The answer in one piece.
    type Answer: Serialize;

    /// The frames that an event gives.
    fn frames(&mut self, event: &RunEvent) -> Vec<Frame>;

    /// The frame that ends the stream, if there is one. It is for when the run is recorded.
    fn last(&self) -> Option<Frame> {
        Some(Frame::done())
    }

    /// Takes every event of a run and gives its answer.
    ///
    /// # Errors
    /// The run's own error; `cancelled` if it was stopped.
    fn collected(self, events: &[RunEvent]) -> Result<Self::Answer, ApiError>;
}

/// One frame: `event: <event>` and `id: <id>` if it has them, and `data: <data>`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Frame {
    /// The seq of the run event that it came of; a client resumes after it.
    pub id: Option<u64>,
    /// Its name, in a dialect that names them.
    pub event: Option<&'static str>,
    /// One line of JSON, or `[DONE]`.
    pub data: String,
}

impl Frame {
    /// The frame that ends a stream whose frames have no names.
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
