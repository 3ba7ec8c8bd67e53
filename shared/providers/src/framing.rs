//! Cuts the body of a provider's answer into frames, independently of how the bytes are split into pieces.
//!
//! The first byte decides the format: a server may send one JSON document where a stream was requested, or a proxy a
//! page of HTML, and `content-type` is not reliable.

mod aws;
mod documents;
mod frame;
mod sse;

#[cfg(test)]
mod tests;

use hearth_wire::ApiError;

use crate::answer_error::unreadable;
use aws::AwsReader;
use documents::DocumentReader;
pub(crate) use frame::{BYTE_ORDER_MARK, FrameSink, lossy_text};
pub use frame::{FRAME_MAX_BYTES, OwnedFrame};
pub(crate) use sse::SseReader;

/// Formats of streamed answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Framing {
    /// Server-sent events (<https://html.spec.whatwg.org/multipage/server-sent-events.html>).
    ServerSentEvents,
    /// AWS's binary messages (<https://smithy.io/2.0/aws/amazon-eventstream.html>). A frame's event is the
    /// message's `:event-type`, `:exception-type` or `:error-code`, whichever it has.
    AwsEventStream,
}

impl Framing {
    /// The media type for the request's `accept`.
    pub(crate) fn media_type(self) -> &'static str {
        match self {
            Self::ServerSentEvents => "text/event-stream",
            Self::AwsEventStream => "application/vnd.amazon.eventstream",
        }
    }
}

/// Cuts the body of an answer into frames.
#[derive(Debug)]
pub struct FrameReader {
    framing: Framing,
    body: Body,
}

#[derive(Debug)]
enum Body {
    /// So far only whitespace, or this many bytes of a byte order mark, have arrived.
    Unknown(usize),
    ServerSentEvents(SseReader),
    Aws(AwsReader),
    Documents(DocumentReader),
}

impl FrameReader {
    /// Creates a reader of a body in `framing`.
    #[must_use]
    pub fn new(framing: Framing) -> Self {
        Self { framing, body: Body::Unknown(0) }
    }

    /// Reads the next bytes and appends the frames that end in them to `frames`, also if it then returns an error.
    ///
    /// # Errors
    /// `provider_error` for bytes that can't be cut into frames, and for a frame above [`FRAME_MAX_BYTES`].
    pub fn push(&mut self, bytes: &[u8], frames: &mut Vec<OwnedFrame>) -> Result<(), ApiError> {
        self.read(bytes, &mut |frame| {
            frames.push(frame.into());
            Ok(())
        })
    }

    /// Reads the next bytes and passes the frames that end in them to `sink`, also if it then returns an error.
    ///
    /// # Errors
    /// Errors of the sink, and as for [`Self::push`].
    pub(crate) fn read(&mut self, bytes: &[u8], sink: &mut FrameSink<'_>) -> Result<(), ApiError> {
        match &mut self.body {
            Body::ServerSentEvents(reader) => reader.read(bytes, sink),
            Body::Aws(reader) => reader.read(bytes, sink),
            Body::Documents(reader) => match (reader.read(bytes, sink)?, self.framing) {
                (None, _) => Ok(()),
                // An error in JSON before the stream, and then the stream.
                (Some(rest), Framing::ServerSentEvents) => {
                    self.body = Body::ServerSentEvents(SseReader::default());
                    self.read(rest, sink)
                }
                (Some(_), Framing::AwsEventStream) => Err(unreadable("its JSON is followed by other bytes")),
            },
            Body::Unknown(_) => self.begin(bytes, sink),
        }
    }

    /// Appends the last frames when the body has ended.
    ///
    /// # Errors
    /// `provider_error` if it ended in the middle of a frame.
    pub fn finish(&mut self, frames: &mut Vec<OwnedFrame>) -> Result<(), ApiError> {
        self.end(&mut |frame| {
            frames.push(frame.into());
            Ok(())
        })
    }

    /// Passes the last frames to `sink` when the body has ended.
    ///
    /// # Errors
    /// Errors of the sink, and as for [`Self::finish`].
    pub(crate) fn end(&mut self, sink: &mut FrameSink<'_>) -> Result<(), ApiError> {
        match &mut self.body {
            Body::Unknown(_) => Ok(()),
            Body::ServerSentEvents(reader) => reader.end(sink),
            Body::Aws(reader) => reader.finish(),
            Body::Documents(reader) => reader.finish(),
        }
    }

    /// Detects the format from the first bytes.
    fn begin(&mut self, bytes: &[u8], sink: &mut FrameSink<'_>) -> Result<(), ApiError> {
        let Body::Unknown(mark) = &mut self.body else { return Ok(()) };
        for (place, byte) in bytes.iter().enumerate() {
            if BYTE_ORDER_MARK.get(*mark) == Some(byte) {
                *mark += 1;
                continue;
            }
            // The first byte of a message is the highest of its length, which is limited.
            let binary = self.framing == Framing::AwsEventStream && *byte < 2;
            if byte.is_ascii_whitespace() && !binary {
                continue;
            }
            self.body = match byte {
                _ if binary => Body::Aws(AwsReader::default()),
                b'{' | b'[' => Body::Documents(DocumentReader::default()),
                b'<' => return Err(unreadable("it is a page of HTML or XML, not a stream")),
                _ if self.framing == Framing::AwsEventStream => {
                    return Err(unreadable("it is not a stream of AWS's messages"));
                }
                _ => Body::ServerSentEvents(SseReader::default()),
            };
            return self.read(&bytes[place..], sink);
        }
        Ok(())
    }
}
