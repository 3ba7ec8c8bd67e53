//! How a provider's answer is cut into frames, wherever its bytes are cut into pieces.

use std::{io, pin::Pin};

use aws_smithy_eventstream::frame::read_message_from;
use bytes::{Bytes, BytesMut};
use eventsource_stream::{EventStreamError, Eventsource as _};
use futures::{Stream, StreamExt as _};
use serde_json::json;

#[cfg(test)]
mod tests;

/// How an answer is cut into frames.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Framing {
    /// Server-sent events (<https://html.spec.whatwg.org/multipage/server-sent-events.html>).
    ServerSentEvents,
    /// AWS's binary messages (<https://smithy.io/2.0/aws/amazon-eventstream.html>). A frame's event is the
    /// message's `:event-type`, `:exception-type` or `:error-code`, whichever it has.
    AwsEventStream,
}

/// A frame of an answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct OwnedFrame {
    /// What kind it is.
    pub(crate) event: String,
    /// What it says.
    pub(crate) data: String,
}

/// The frames of an answer. What can't be cut into frames is an error of the kind `InvalidData`.
pub(crate) type FrameStream = Pin<Box<dyn Stream<Item = io::Result<OwnedFrame>> + Send>>;

/// The longest message: its headers and its payload have limits of 128 KiB and 24 MiB.
const LONGEST: usize = 25 << 20;

impl Framing {
    /// What the request asks for.
    pub(crate) fn media_type(self) -> &'static str {
        match self {
            Self::ServerSentEvents => "text/event-stream",
            Self::AwsEventStream => "application/vnd.amazon.eventstream",
        }
    }

    /// The frames in `bytes`.
    pub(crate) fn frames(self, bytes: impl Stream<Item = io::Result<Bytes>> + Send + 'static) -> FrameStream {
        match self {
            Self::ServerSentEvents => Box::pin(bytes.eventsource().map(|event| match event {
                Ok(event) => Ok(OwnedFrame { event: event.event, data: event.data }),
                Err(EventStreamError::Transport(error)) => Err(error),
                Err(error) => Err(invalid(error)),
            })),
            Self::AwsEventStream => Box::pin(messages(bytes)),
        }
    }
}

fn messages(
    bytes: impl Stream<Item = io::Result<Bytes>> + Send,
) -> impl Stream<Item = io::Result<OwnedFrame>> + Send {
    async_stream::try_stream! {
        let mut bytes = std::pin::pin!(bytes);
        let mut unread = BytesMut::new();
        while let Some(piece) = bytes.next().await {
            unread.extend_from_slice(&piece?);
            while let Some(message) = next_message(&mut unread)? {
                yield message;
            }
        }
        if !unread.is_empty() {
            Err(io::Error::from(io::ErrorKind::UnexpectedEof))?;
        }
    }
}

/// Takes the first message out of `unread`, once it is whole.
fn next_message(unread: &mut BytesMut) -> io::Result<Option<OwnedFrame>> {
    let Some(length) = unread.first_chunk().map(|bytes| u32::from_be_bytes(*bytes) as usize) else {
        return Ok(None);
    };
    if length > LONGEST {
        return Err(invalid(format!("a message of {length} bytes")));
    }
    if unread.len() < length {
        return Ok(None);
    }
    let message = read_message_from(unread.split_to(length).freeze()).map_err(invalid)?;
    let header = |name: &str| {
        let header = message.headers().iter().find(|header| header.name().as_str() == name)?;
        header.value().as_string().ok().map(|value| value.as_str().to_owned())
    };
    let frame = match header(":error-code") {
        Some(event) => {
            let data = json!({"message": header(":error-message")}).to_string();
            OwnedFrame { event, data }
        }
        None => {
            let event = header(":event-type").or_else(|| header(":exception-type")).unwrap_or_default();
            let data = String::from_utf8(message.payload().to_vec()).map_err(invalid)?;
            OwnedFrame { event, data }
        }
    };
    Ok(Some(frame))
}

fn invalid(error: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, error)
}
