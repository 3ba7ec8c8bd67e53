//! How a provider's answer is cut into frames, wherever its bytes are cut into pieces.
//!
//! The first byte decides what the body is: a server may send one JSON document where a stream was asked for, or a
//! proxy a page of HTML, and its `content-type` is not to be relied on.

mod aws;
mod documents;
mod sse;

#[cfg(test)]
mod tests;

use hearth_wire::ApiError;

use crate::dialect::{Frame, unreadable};
use aws::AwsReader;
use documents::DocumentReader;
pub(crate) use sse::SseReader;

/// The largest frame, in bytes. The arguments of a tool call, or a whole answer, may come in one.
pub const FRAME_MAX_BYTES: usize = 32 << 20;

/// What some servers put in front of a text.
const BYTE_ORDER_MARK: &[u8] = b"\xef\xbb\xbf";

/// How an answer is cut into frames.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Framing {
    /// Server-sent events (<https://html.spec.whatwg.org/multipage/server-sent-events.html>).
    ServerSentEvents,
    /// AWS's binary messages (<https://smithy.io/2.0/aws/amazon-eventstream.html>). A frame's event is the
    /// message's `:event-type`, `:exception-type` or `:error-code`, whichever it has.
    AwsEventStream,
}

impl Framing {
    /// What the request asks for.
    pub(crate) fn media_type(self) -> &'static str {
        match self {
            Self::ServerSentEvents => "text/event-stream",
            Self::AwsEventStream => "application/vnd.amazon.eventstream",
        }
    }
}

/// A frame of an answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OwnedFrame {
    /// What kind it is.
    pub event: String,
    /// What it says.
    pub data: String,
}

impl From<Frame<'_>> for OwnedFrame {
    fn from(frame: Frame<'_>) -> Self {
        Self { event: frame.event.to_owned(), data: frame.data.to_owned() }
    }
}

/// Takes frames as they are cut. After an error no more are given to it.
pub(crate) type FrameSink<'a> = dyn FnMut(Frame<'_>) -> Result<(), ApiError> + 'a;

/// Cuts the body of an answer into frames.
#[derive(Debug)]
pub struct FrameReader {
    framing: Framing,
    body: Body,
}

#[derive(Debug)]
enum Body {
    /// Only whitespace, or a part of a byte order mark of this length, has come.
    Unknown(usize),
    ServerSentEvents(SseReader),
    Aws(AwsReader),
    Documents(DocumentReader),
}

impl FrameReader {
    /// A reader before the first byte.
    #[must_use]
    pub fn new(framing: Framing) -> Self {
        Self { framing, body: Body::Unknown(0) }
    }

    /// Reads the next bytes and appends the frames that end in them to `frames`, also where an error follows.
    ///
    /// # Errors
    /// `provider_error` for what can't be cut into frames, or only into one above [`FRAME_MAX_BYTES`].
    pub fn push(&mut self, bytes: &[u8], frames: &mut Vec<OwnedFrame>) -> Result<(), ApiError> {
        self.read(bytes, &mut |frame| {
            frames.push(frame.into());
            Ok(())
        })
    }

    /// Reads the next bytes and gives the frames that end in them to `sink`, also where an error follows.
    ///
    /// # Errors
    /// Those of the sink, and as for [`Self::push`].
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
                (Some(_), Framing::AwsEventStream) => {
                    Err(unreadable("its JSON is followed by something else"))
                }
            },
            Body::Unknown(_) => self.begin(bytes, sink),
        }
    }

    /// The body has ended: appends the last frames.
    ///
    /// # Errors
    /// `provider_error` if it ended in the middle of a frame.
    pub fn finish(&mut self, frames: &mut Vec<OwnedFrame>) -> Result<(), ApiError> {
        self.end(&mut |frame| {
            frames.push(frame.into());
            Ok(())
        })
    }

    /// The body has ended: gives the last frames to `sink`.
    ///
    /// # Errors
    /// Those of the sink, and as for [`Self::finish`].
    pub(crate) fn end(&mut self, sink: &mut FrameSink<'_>) -> Result<(), ApiError> {
        match &mut self.body {
            Body::Unknown(_) => Ok(()),
            Body::ServerSentEvents(reader) => reader.end(sink),
            Body::Aws(reader) => reader.finish(),
            Body::Documents(reader) => reader.finish(),
        }
    }

    /// Finds out what the body is.
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
                b'<' => return Err(unreadable("it is a page of HTML or XML, and no stream")),
                _ if self.framing == Framing::AwsEventStream => {
                    return Err(unreadable("it is no stream of AWS's messages"));
                }
                _ => Body::ServerSentEvents(SseReader::default()),
            };
            return self.read(&bytes[place..], sink);
        }
        Ok(())
    }
}

fn frame_too_long() -> ApiError {
    unreadable(format!("a frame has more than {} MiB", FRAME_MAX_BYTES >> 20))
}
