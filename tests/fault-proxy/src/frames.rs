//! Frames of a WebSocket (RFC 6455, section 5.2), whole and as they are.

use bytes::{Bytes, BytesMut};

use crate::line::Incoming;

/// Bytes of the first part of a frame's head.
const HEAD_BYTES: usize = 2;
/// Bytes of a mask.
const MASK_BYTES: usize = 4;
/// Opcodes of messages that carry data.
const DATA: [u8; 2] = [1, 2];

/// A frame.
#[derive(Debug)]
pub(crate) struct Frame {
    pub(crate) bytes: Bytes,
    /// Payload as text; empty if it is masked.
    pub(crate) text: String,
    /// True for text and binary messages, false for pings and the like.
    pub(crate) is_message: bool,
}

impl Frame {
    /// Reads a frame; none if the connection ends before.
    pub(crate) async fn read(from: &mut Incoming) -> Option<Self> {
        let mut bytes = BytesMut::from(&from.take_exactly(HEAD_BYTES).await?[..]);
        let (opcode, is_masked) = (bytes[0] & 0x0f, bytes[1] & 0x80 != 0);
        let length = match bytes[1] & 0x7f {
            126 => read_length(from, &mut bytes, 2).await?,
            127 => read_length(from, &mut bytes, 8).await?,
            short => usize::from(short),
        };
        let payload = from.take_exactly(length + if is_masked { MASK_BYTES } else { 0 }).await?;
        bytes.extend_from_slice(&payload);
        let text = if is_masked { String::new() } else { String::from_utf8_lossy(&payload).into_owned() };
        Some(Self { bytes: bytes.freeze(), text, is_message: DATA.contains(&opcode) })
    }
}

async fn read_length(from: &mut Incoming, head: &mut BytesMut, bytes: usize) -> Option<usize> {
    let digits = from.take_exactly(bytes).await?;
    head.extend_from_slice(&digits);
    Some(digits.iter().fold(0, |length, byte| length << 8 | usize::from(*byte)))
}
