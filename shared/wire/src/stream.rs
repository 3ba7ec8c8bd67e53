//! What the dialects' renderers are, and what they give: frames of a stream.

use serde::Serialize;

use crate::{ApiError, RunEvent};

/// A dialect's view of one run: takes its events in order; gives frames, or one answer at the end.
pub trait Render: Sized + Send + 'static {
    /// The answer in one piece.
    type Answer: Serialize;

    /// How the frames of a stream are written.
    const FRAMING: Framing = Framing::ServerSentEvents;

    /// The same, where a request chooses it.
    fn framing(&self) -> Framing {
        Self::FRAMING
    }

    /// Notes the time of an event of an answer in one piece. Only a dialect that reports durations needs it.
    fn observe(&mut self, _event: &RunEvent) {}

    /// A frame that says nothing, for a stream that has been silent for a while. Server-sent events need none: they have
    /// comments.
    fn keep_alive(&self) -> Option<Frame> {
        None
    }

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

/// How the frames of a stream are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Framing {
    /// As server-sent events.
    ServerSentEvents,
    /// As server-sent events for clients that know no comments: empty lines stand for them.
    QuietEvents,
    /// The data of each frame on a line of its own (<https://github.com/ndjson/ndjson-spec>).
    JsonLines,
    /// As the items of one JSON array.
    JsonArray,
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

    /// A frame of JSON without a name.
    pub fn json(id: Option<u64>, value: &impl Serialize) -> Self {
        // Our own types have string keys and no failing serializers.
        let data = serde_json::to_string(value).unwrap_or_else(|error| format!("{{\"error\":\"{error}\"}}"));
        Self { id, event: None, data }
    }

    pub(crate) fn named(event: &'static str, value: &impl Serialize) -> Self {
        Self { event: Some(event), ..Self::json(None, value) }
    }
}
