//! Reads a provider's answer: bytes in, run events out, without I/O.
//!
//! Any bytes, however they are split, result in a complete answer or an error, within limits of memory.

use hearth_wire::{ApiError, RunEventBody};

use crate::{
    answer_error::unreadable,
    decoder::Decoder,
    dialect::Dialect,
    framing::{FrameReader, FrameSink, Framing},
};

#[cfg(test)]
mod tests;

pub use crate::decoder::ANSWER_MAX_BYTES;

/// Maximum number of events of one answer. Usually a token is an event.
pub const ANSWER_MAX_EVENTS: usize = 500_000;
/// Maximum size of a decompressed body: far above any answer within the other limits.
pub const BODY_MAX_BYTES: usize = 1 << 30;
/// Maximum number of log-probabilities of one answer: of 200,000 tokens with 20 alternatives each.
pub const ANSWER_MAX_LOGPROBS: usize = 4_200_000;
/// Size of a token that counts as its log-probability only; the rest of a longer token counts as text.
const TOKEN_FREE_BYTES: usize = 16;

/// Reads the bytes of one answer.
pub struct AnswerReader {
    frames: FrameReader,
    decoder: Box<dyn Decoder>,
    size: AnswerSize,
    body_bytes: usize,
    body_max_bytes: usize,
    ended: bool,
}

impl AnswerReader {
    /// Creates a reader of an answer in `dialect`.
    #[must_use]
    pub fn new(dialect: Dialect) -> Self {
        Self::with_decoder(dialect.framing(), dialect.decoder())
    }

    /// Creates a reader of an answer whose frames `decoder` decodes.
    #[must_use]
    pub fn with_decoder(framing: Framing, decoder: Box<dyn Decoder>) -> Self {
        Self {
            frames: FrameReader::new(framing),
            decoder,
            size: AnswerSize::default(),
            body_bytes: 0,
            body_max_bytes: BODY_MAX_BYTES,
            ended: false,
        }
    }

    /// Reads the next bytes and appends their events to `events`, also if it then returns an error. After a terminal
    /// event, or an error, bytes are ignored.
    ///
    /// # Errors
    /// The provider's own error; `provider_error` for bytes that can't be decoded, or that exceed a limit.
    pub fn push(&mut self, bytes: &[u8], events: &mut Vec<RunEventBody>) -> Result<(), ApiError> {
        if self.ended {
            return Ok(());
        }
        self.body_bytes = self.body_bytes.saturating_add(bytes.len());
        let result = if self.body_bytes > self.body_max_bytes {
            Err(too_large(&format!("its body has more than {} MiB", self.body_max_bytes >> 20)))
        } else {
            self.read(events, |frames, sink| frames.read(bytes, sink))
        };
        self.ended |= result.is_err();
        result
    }

    /// Appends the last events when the body has ended, if the answer is complete.
    ///
    /// # Errors
    /// `provider_error` if the answer is incomplete.
    pub fn end(&mut self, events: &mut Vec<RunEventBody>) -> Result<(), ApiError> {
        if self.ended {
            return Ok(());
        }
        if self.body_bytes == 0 {
            self.ended = true;
            return Err(unreadable("it is empty"));
        }
        // An incomplete frame after the answer's end is ignored.
        let cut = self.read(events, FrameReader::end);
        if self.ended {
            return cut;
        }
        self.ended = true;
        let before = events.len();
        events.extend(self.decoder.end().map_err(|error| cut.err().unwrap_or(error))?);
        self.size.record(events, before).map(drop)
    }

    /// Decodes the frames that `cut` passes on, up to the answer's end.
    fn read(
        &mut self,
        events: &mut Vec<RunEventBody>,
        cut: impl FnOnce(&mut FrameReader, &mut FrameSink<'_>) -> Result<(), ApiError>,
    ) -> Result<(), ApiError> {
        let Self { frames, decoder, size, .. } = self;
        let (mut has_ended, mut has_failed) = (false, false);
        let result = cut(frames, &mut |frame| {
            if has_ended {
                return Ok(());
            }
            let before = events.len();
            let recorded = match decoder.decode(frame, events) {
                Ok(()) => size.record(events, before),
                Err(error) => {
                    events.truncate(before);
                    Err(error)
                }
            };
            has_failed = recorded.is_err();
            has_ended = recorded?;
            Ok(())
        });
        self.ended |= has_ended || has_failed;
        // Errors after the answer's end are ignored.
        if has_ended { Ok(()) } else { result }
    }
}

/// The size of an answer so far.
#[derive(Debug, Default)]
struct AnswerSize {
    bytes: usize,
    events: usize,
    logprobs: usize,
}

impl AnswerSize {
    /// Counts the events from place `new` on, and removes those after a terminal event or above a limit. Returns whether there
    /// was a terminal one.
    fn record(&mut self, events: &mut Vec<RunEventBody>, new: usize) -> Result<bool, ApiError> {
        for place in new..events.len() {
            if let Err(error) = self.add(&events[place]) {
                events.truncate(place);
                return Err(error);
            }
            if events[place].is_terminal() {
                events.truncate(place + 1);
                return Ok(true);
            }
        }
        Ok(false)
    }

    fn add(&mut self, event: &RunEventBody) -> Result<(), ApiError> {
        self.events += 1;
        self.bytes = self.bytes.saturating_add(bytes_of(event));
        if let RunEventBody::Delta { logprobs, .. } = event {
            self.logprobs += logprobs.iter().map(|token| 1 + token.top.len()).sum::<usize>();
        }
        if let RunEventBody::Extension { extension, .. } = event
            && extension.is_too_deep()
        {
            return Err(unreadable("it has a part that is nested too deep"));
        }
        if self.bytes > ANSWER_MAX_BYTES {
            return Err(too_large(&format!("it has more than {} MiB of text", ANSWER_MAX_BYTES >> 20)));
        }
        if self.events > ANSWER_MAX_EVENTS {
            return Err(too_large(&format!("it has more than {ANSWER_MAX_EVENTS} pieces")));
        }
        if self.logprobs > ANSWER_MAX_LOGPROBS {
            return Err(too_large(&format!("it has more than {ANSWER_MAX_LOGPROBS} log-probabilities")));
        }
        Ok(())
    }
}

fn bytes_of(event: &RunEventBody) -> usize {
    match event {
        RunEventBody::Delta { text, logprobs, .. } => {
            let tokens = logprobs.iter().flat_map(|token| token.top.iter().chain([&token.token]));
            text.len() + tokens.map(|token| token.bytes.len().saturating_sub(TOKEN_FREE_BYTES)).sum::<usize>()
        }
        RunEventBody::Refusal { text, .. } | RunEventBody::StopText { text, .. } => text.len(),
        RunEventBody::Reasoning { added, .. } => {
            let sealed = [&added.signature, &added.encrypted].into_iter().flatten();
            added.text.len() + sealed.map(String::len).sum::<usize>()
        }
        RunEventBody::ToolCall { begins, arguments, .. } => {
            arguments.len() + begins.as_ref().map_or(0, |begins| begins.id.len() + begins.name.len())
        }
        RunEventBody::Extension { extension, .. } => extension.bytes(),
        _ => 0,
    }
}

fn too_large(excess: &str) -> ApiError {
    unreadable(format!("{excess}, the limit of an answer"))
}
