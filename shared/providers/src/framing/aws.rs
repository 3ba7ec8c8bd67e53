//! Reads AWS's binary messages from a byte stream.

use aws_smithy_eventstream::frame::read_message_from;
use bytes::BytesMut;
use hearth_wire::ApiError;
use serde_json::json;

use super::frame::{FrameSink, OwnedFrame};
use crate::{
    answer_error::{broken_off, unreadable},
    decoder::Frame,
};

/// Maximum size of a message: AWS limits its headers to 128 KiB and its payload to 24 MiB.
const MESSAGE_MAX_BYTES: usize = 25 << 20;

/// Cuts a byte stream into messages.
#[derive(Debug, Default)]
pub(crate) struct AwsReader(BytesMut);

impl AwsReader {
    /// Reads the next bytes and passes the messages that end in them to `sink`.
    ///
    /// # Errors
    /// Errors of the sink; `provider_error` for a message that is too long or broken.
    pub(super) fn read(&mut self, bytes: &[u8], sink: &mut FrameSink<'_>) -> Result<(), ApiError> {
        self.0.extend_from_slice(bytes);
        while let Some(OwnedFrame { event, data }) = self.next_message()? {
            sink(Frame { event: &event, data: &data })?;
        }
        Ok(())
    }

    /// Checks, when the stream has ended, that no message is incomplete.
    ///
    /// # Errors
    /// `provider_error` if the stream ended within a message.
    pub(crate) fn finish(&self) -> Result<(), ApiError> {
        if self.0.is_empty() { Ok(()) } else { Err(broken_off()) }
    }

    /// Removes the first message from the buffer, if it is complete.
    fn next_message(&mut self) -> Result<Option<OwnedFrame>, ApiError> {
        let Some(length) = self.0.first_chunk().map(|bytes| u32::from_be_bytes(*bytes) as usize) else {
            return Ok(None);
        };
        if length > MESSAGE_MAX_BYTES {
            return Err(unreadable(format!("a message of {length} bytes")));
        }
        if self.0.len() < length {
            return Ok(None);
        }
        let message = read_message_from(self.0.split_to(length).freeze()).map_err(unreadable)?;
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
                let data = String::from_utf8(message.payload().to_vec()).map_err(unreadable)?;
                OwnedFrame { event, data }
            }
        };
        Ok(Some(frame))
    }
}
