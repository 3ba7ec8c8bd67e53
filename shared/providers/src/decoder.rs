//! The interface between framing and dialects: frames in, run events out. Also the limits of one answer.

use hearth_wire::{ApiError, RunEventBody};

/// Maximum text of one answer, in bytes: its text, thoughts and arguments of calls together. The largest context
/// windows hold about a quarter of it.
pub const ANSWER_MAX_BYTES: usize = 16 << 20;

/// Maximum number of tool calls in one answer.
pub(crate) const TOOL_CALLS_MAX_COUNT: usize = 1024;

/// A frame of a provider's answer.
#[derive(Debug, Clone, Copy)]
pub struct Frame<'a> {
    /// The frame's event, where the dialect names events; else empty.
    pub event: &'a str,
    /// The payload, usually JSON.
    pub data: &'a str,
}

/// Decodes the frames of one answer.
pub trait Decoder: Send {
    /// Appends the events of a frame to `events`. After a terminal event it isn't called any more.
    ///
    /// # Errors
    /// The provider's own error, or `provider_error` for a frame that can't be read. The caller then removes what was appended.
    fn decode(&mut self, frame: Frame<'_>, events: &mut Vec<RunEventBody>) -> Result<(), ApiError>;

    /// Returns the last events when the body has ended, if the answer is complete.
    ///
    /// # Errors
    /// `provider_error` if the answer is incomplete.
    fn end(&mut self) -> Result<Vec<RunEventBody>, ApiError>;
}
