//! Owned frames, and what the readers of all framings share.

use std::borrow::Cow;

use hearth_wire::ApiError;

use crate::{answer_error::unreadable, decoder::Frame};

/// Maximum size of a frame, in bytes. The arguments of a tool call, or a whole answer, may come in one.
pub const FRAME_MAX_BYTES: usize = 32 << 20;

/// UTF-8's byte order mark, with which some servers begin a text.
pub(crate) const BYTE_ORDER_MARK: &[u8] = b"\xef\xbb\xbf";

/// Receives frames as they are cut. After an error it isn't called any more.
pub(crate) type FrameSink<'a> = dyn FnMut(Frame<'_>) -> Result<(), ApiError> + 'a;

/// A frame of an answer that owns its texts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OwnedFrame {
    /// The frame's event; may be empty.
    pub event: String,
    /// The payload.
    pub data: String,
}

impl From<Frame<'_>> for OwnedFrame {
    fn from(frame: Frame<'_>) -> Self {
        Self { event: frame.event.to_owned(), data: frame.data.to_owned() }
    }
}

/// Returns the text of a frame. Invalid UTF-8 is replaced: one character is lost, but not the answer.
pub(crate) fn lossy_text(bytes: &[u8]) -> Cow<'_, str> {
    // `from_utf8_lossy` checks valid text byte by byte, and takes many times as long.
    std::str::from_utf8(bytes).map_or_else(|_| String::from_utf8_lossy(bytes), Cow::Borrowed)
}

pub(super) fn frame_too_long(max_bytes: usize) -> ApiError {
    let size = match max_bytes >> 20 {
        0 => format!("{} KiB", max_bytes >> 10),
        mebibytes => format!("{mebibytes} MiB"),
    };
    unreadable(format!("a frame has more than {size}"))
}
