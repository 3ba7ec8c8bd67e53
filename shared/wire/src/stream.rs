//! The interface of the dialects' renderers, and the frames of a stream.

use hearth_domain::AppliedDefinitions;
use serde::Serialize;

use crate::{ApiError, RunEvent};

/// Renders the events of one run in a dialect: as frames of a stream, or as one answer.
pub trait Render: Sized + Send + 'static {
    /// Type of the answer in one piece.
    type Answer: Serialize;

    /// Format of the stream's frames.
    const FRAMING: Framing = Framing::ServerSentEvents;

    /// Format of the stream's frames, where the request chooses it.
    fn framing(&self) -> Framing {
        Self::FRAMING
    }

    /// Records the time of an event of an answer in one piece, for a dialect that reports durations.
    fn observe(&mut self, _event: &RunEvent) {}

    /// Notes the schema and the template that the request was carried out with, for a dialect whose answers name them.
    fn note_definitions(&mut self, _definitions: &AppliedDefinitions) {}

    /// An empty frame that keeps a silent stream's connection open. Server-sent events need none: they have comments.
    fn keep_alive(&self) -> Option<Frame> {
        None
    }

    /// Renders the run's next event.
    fn frames(&mut self, event: &RunEvent) -> Vec<Frame>;

    /// Renders the run's next event, and appends its frames to `frames`: a stream uses the same memory for all of them.
    fn append_frames(&mut self, event: &RunEvent, frames: &mut Vec<Frame>) {
        frames.extend(self.frames(event));
    }

    /// The frame that ends the stream, if the dialect has one. It is sent after the run has been recorded.
    fn final_frame(&self) -> Option<Frame> {
        Some(Frame::done())
    }

    /// Renders all events of a run as one answer.
    ///
    /// # Errors
    /// The run's own error; `cancelled` if it was stopped.
    fn into_answer(self, events: &[RunEvent]) -> Result<Self::Answer, ApiError>;
}

/// Format of a stream's frames.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Framing {
    /// Server-sent events.
    ServerSentEvents,
    /// Server-sent events for clients that can't parse comments: an empty line keeps a silent stream open.
    QuietEvents,
    /// The data of each frame on a line of its own (<https://github.com/ndjson/ndjson-spec>).
    JsonLines,
    /// Items of one JSON array.
    JsonArray,
}

/// One frame: `event: <event>` and `id: <id>` if it has them, and `data: <data>`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Frame {
    /// Sequence number of the rendered run event; a client resumes after it.
    pub id: Option<u64>,
    /// Name, in a dialect whose frames have names.
    pub event: Option<&'static str>,
    /// One line of JSON, or `[DONE]`.
    pub data: String,
}

impl Frame {
    /// The frame `[DONE]`, which ends a stream of OpenAI's dialect.
    #[must_use]
    pub fn done() -> Self {
        Self { id: None, event: None, data: "[DONE]".to_owned() }
    }

    /// Creates a frame of JSON without a name.
    pub fn json(id: Option<u64>, value: &impl Serialize) -> Self {
        // Our own types have string keys and no failing serializers.
        let data = serde_json::to_string(value).unwrap_or_else(|error| format!("{{\"error\":\"{error}\"}}"));
        Self { id, event: None, data }
    }

    /// Creates a frame of JSON with a name.
    pub(crate) fn named(event: &'static str, value: &impl Serialize) -> Self {
        Self { event: Some(event), ..Self::json(None, value) }
    }
}
