//! Reads JSON documents where a stream was requested: one, several in a row, or a list of them.

use hearth_wire::{ApiError, json_scanner::JsonScanner};

use super::frame::{FRAME_MAX_BYTES, FrameSink, frame_too_long, lossy_text};
use crate::{answer_error::unreadable, decoder::Frame};

/// Cuts a byte stream into JSON objects. A server that cannot stream sends one, Google a list, others one per line.
#[derive(Debug, Default)]
pub(crate) struct DocumentReader {
    /// The bytes of an incomplete object.
    document: Vec<u8>,
    scanner: JsonScanner,
}

impl DocumentReader {
    /// Reads the next bytes and passes the objects that end in them to `sink`. Returns the rest of the bytes if they
    /// can't belong to JSON objects.
    ///
    /// # Errors
    /// Errors of the sink; `provider_error` for an object above [`FRAME_MAX_BYTES`].
    pub(super) fn read<'a>(
        &mut self,
        mut bytes: &'a [u8],
        sink: &mut FrameSink<'_>,
    ) -> Result<Option<&'a [u8]>, ApiError> {
        loop {
            if self.document.is_empty() {
                bytes = skip_separators(bytes);
                match bytes.first() {
                    None => return Ok(None),
                    Some(b'{') => {}
                    Some(_) => return Ok(Some(bytes)),
                }
            }
            let end = self.scanner.push(bytes);
            let (part, rest) = bytes.split_at(end.unwrap_or(bytes.len()));
            if self.document.len() + part.len() > FRAME_MAX_BYTES {
                return Err(frame_too_long(FRAME_MAX_BYTES));
            }
            if end.is_none() {
                self.document.extend_from_slice(part);
                return Ok(None);
            }
            self.scanner = JsonScanner::default();
            bytes = rest;
            let mut document = std::mem::take(&mut self.document);
            // An object that lies in these bytes entirely is not copied.
            let document = if document.is_empty() {
                part
            } else {
                document.extend_from_slice(part);
                &document
            };
            sink(Frame { event: "", data: &lossy_text(document) })?;
        }
    }

    /// Checks, when the body has ended, that no object is incomplete.
    ///
    /// # Errors
    /// `provider_error` if the body ended within an object.
    pub(crate) fn finish(&self) -> Result<(), ApiError> {
        if self.document.is_empty() { Ok(()) } else { Err(unreadable("its JSON is incomplete")) }
    }
}

/// Skips a list's brackets and commas, and whitespace, before the next object.
fn skip_separators(bytes: &[u8]) -> &[u8] {
    let is_separator = |byte: &u8| byte.is_ascii_whitespace() || matches!(byte, b'[' | b',' | b']');
    let count = bytes.iter().take_while(|byte| is_separator(byte)).count();
    &bytes[count..]
}
