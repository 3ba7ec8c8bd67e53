//! Reads a provider's whole answer: bytes in, run events out. Does no I/O.
//!
//! Whatever the bytes are and wherever they are cut, what comes out is a complete answer or an error, within limits of
//! memory.

use hearth_wire::{ApiError, RunEventBody};

use crate::{
    dialect::{Decoder, Dialect, unreadable},
    framing::{FrameReader, FrameSink, Framing},
};

#[cfg(test)]
mod tests;

/// The most text of one answer, in bytes: what it says, its thoughts and the arguments of its calls together. The
/// largest context windows hold about a quarter of it.
pub const ANSWER_MAX_BYTES: usize = 16 << 20;
/// The most events of one answer. A token is an event as a rule, and of several answers each has its own.
pub const ANSWER_MAX_EVENTS: usize = 500_000;
/// The most bytes of a body, decompressed: so much overhead that no answer within the other limits has it.
pub const BODY_MAX_BYTES: usize = 1 << 30;
/// The most log-probabilities of one answer: of 200,000 tokens with 20 alternatives each.
pub const ANSWER_MAX_LOGPROBS: usize = 4_200_000;
/// Bytes of a token that its log-probability is counted with; the text counts what is longer.
const TOKEN_BYTES: usize = 16;

/// Reads the bytes of one answer.
pub struct AnswerReader {
    frames: FrameReader,
    decoder: Box<dyn Decoder>,
    size: AnswerSize,
    body_bytes: usize,
    ended: bool,
}

impl AnswerReader {
    /// A reader of an answer in `dialect`, before its first byte.
    #[must_use]
    pub fn new(dialect: Dialect) -> Self {
        Self::with_decoder(dialect.framing(), dialect.decoder())
    }

    /// A reader of an answer whose frames `decoder` reads.
    #[must_use]
    pub fn with_decoder(framing: Framing, decoder: Box<dyn Decoder>) -> Self {
        Self {
            frames: FrameReader::new(framing),
            decoder,
            size: AnswerSize::default(),
            body_bytes: 0,
            ended: false,
        }
    }

    /// Reads the next bytes and appends the events that they give to `events`, also where an error follows. After a
    /// terminal event, or an error, nothing is read any more.
    ///
    /// # Errors
    /// The provider's own error; `provider_error` for what can't be understood, or is above a limit.
    pub fn push(&mut self, bytes: &[u8], events: &mut Vec<RunEventBody>) -> Result<(), ApiError> {
        if self.ended {
            return Ok(());
        }
        self.body_bytes = self.body_bytes.saturating_add(bytes.len());
        let result = if self.body_bytes > BODY_MAX_BYTES {
            Err(too_large(&format!("its body has more than {} MiB", BODY_MAX_BYTES >> 20)))
        } else {
            self.read(events, |frames, sink| frames.read(bytes, sink))
        };
        self.ended |= result.is_err();
        result
    }

    /// The body has ended: appends the last events, if the answer was whole.
    ///
    /// # Errors
    /// `provider_error` if it broke off.
    pub fn end(&mut self, events: &mut Vec<RunEventBody>) -> Result<(), ApiError> {
        if self.ended {
            return Ok(());
        }
        if self.body_bytes == 0 {
            self.ended = true;
            return Err(unreadable("it is empty"));
        }
        // A frame that is cut off after the answer's end takes nothing from it.
        let cut = self.read(events, FrameReader::end);
        if self.ended {
            return cut;
        }
        self.ended = true;
        let last = self.decoder.end().map_err(|error| cut.err().unwrap_or(error))?;
        self.size.note(last, events).map(drop)
    }

    /// Decodes the frames that `cut` gives, up to the answer's end.
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
            let noted = decoder.take(frame).and_then(|decoded| size.note(decoded, events));
            has_failed = noted.is_err();
            has_ended = noted?;
            Ok(())
        });
        self.ended |= has_ended || has_failed;
        // What comes behind the answer's end takes nothing from it.
        if has_ended { Ok(()) } else { result }
    }
}

/// How much of an answer has come.
#[derive(Debug, Default)]
struct AnswerSize {
    bytes: usize,
    events: usize,
    logprobs: usize,
}

impl AnswerSize {
    /// Counts what was decoded and appends it to `events`, up to a terminal event; whether there was one.
    fn note(&mut self, decoded: Vec<RunEventBody>, events: &mut Vec<RunEventBody>) -> Result<bool, ApiError> {
        for event in decoded {
            self.add(&event)?;
            let ends = event.is_terminal();
            events.push(event);
            if ends {
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
            text.len() + tokens.map(|token| token.bytes.len().saturating_sub(TOKEN_BYTES)).sum::<usize>()
        }
        RunEventBody::Refusal { text, .. } | RunEventBody::StopText { text, .. } => text.len(),
        RunEventBody::Reasoning { added, .. } => {
            let sealed = [&added.signature, &added.encrypted].into_iter().flatten();
            added.text.len() + sealed.map(String::len).sum::<usize>()
        }
        RunEventBody::ToolCall { begins, arguments, .. } => {
            arguments.len() + begins.as_ref().map_or(0, |begins| begins.id.len() + begins.name.len())
        }
        _ => 0,
    }
}

fn too_large(how: &str) -> ApiError {
    unreadable(format!("{how}, and is stopped there"))
}
