//! Reads server-sent events (<https://html.spec.whatwg.org/multipage/server-sent-events.html>) from bytes that are
//! cut anywhere.
//!
//! Each byte is looked at once, so the time grows with the size and not with its square. Beyond the standard it
//! reads what real servers send: a stream without the last empty line, events without an empty line between them,
//! `error:` lines (llama.cpp), and lines of bare JSON (errors that a server writes into its stream).

use hearth_wire::{ApiError, json_scanner::JsonScanner};
use serde::de::IgnoredAny;

use super::{BYTE_ORDER_MARK, FRAME_MAX_BYTES, OwnedFrame, frame_too_long};

/// The longest name of an event that is kept, in bytes. Known names are far shorter.
const EVENT_NAME_MAX_BYTES: usize = 256;

/// Cuts bytes into server-sent events.
#[derive(Debug, Default)]
pub(crate) struct SseReader {
    /// The line whose end has not come.
    line: Vec<u8>,
    /// The last byte was a carriage return: a line feed after it ends no other line.
    after_carriage_return: bool,
    /// A line has ended: a byte order mark is no longer expected.
    past_first_line: bool,
    event: String,
    data: Vec<u8>,
    has_data: bool,
    /// Whether `data` is a whole JSON document.
    scanner: JsonScanner,
}

impl SseReader {
    /// Reads the next bytes and appends the events that end in them to `frames`.
    ///
    /// # Errors
    /// `provider_error` for a line or an event above [`FRAME_MAX_BYTES`].
    pub(crate) fn push(&mut self, mut bytes: &[u8], frames: &mut Vec<OwnedFrame>) -> Result<(), ApiError> {
        if let [first, rest @ ..] = bytes {
            if self.after_carriage_return && *first == b'\n' {
                bytes = rest;
            }
            self.after_carriage_return = false;
        }
        while let Some(end) = bytes.iter().position(|byte| matches!(byte, b'\r' | b'\n')) {
            let (line, rest) = (&bytes[..end], &bytes[end + 1..]);
            let carriage_return = bytes[end] == b'\r';
            bytes = match rest {
                [b'\n', rest @ ..] if carriage_return => rest,
                rest => rest,
            };
            self.after_carriage_return = carriage_return && rest.is_empty();
            if self.line.is_empty() {
                self.end_line(line, frames)?;
            } else {
                self.extend_line(line)?;
                let mut line = std::mem::take(&mut self.line);
                self.end_line(&line, frames)?;
                line.clear();
                self.line = line;
            }
        }
        self.extend_line(bytes)
    }

    /// The stream has ended. An event whose empty line is missing counts if its data is whole, or an
    /// error.
    ///
    /// # Errors
    /// As for [`Self::push`].
    pub(crate) fn finish(&mut self, frames: &mut Vec<OwnedFrame>) -> Result<(), ApiError> {
        let line = std::mem::take(&mut self.line);
        if !line.is_empty() {
            self.end_line(&line, frames)?;
        }
        if self.event == "error" || self.scanner.is_complete() || is_json(&self.data) {
            self.dispatch(frames);
        }
        Ok(())
    }

    fn extend_line(&mut self, bytes: &[u8]) -> Result<(), ApiError> {
        if self.line.len() + bytes.len() > FRAME_MAX_BYTES {
            return Err(frame_too_long());
        }
        self.line.extend_from_slice(bytes);
        Ok(())
    }

    fn end_line(&mut self, line: &[u8], frames: &mut Vec<OwnedFrame>) -> Result<(), ApiError> {
        if line.len() > FRAME_MAX_BYTES {
            return Err(frame_too_long());
        }
        let first = !std::mem::replace(&mut self.past_first_line, true);
        let line = line.strip_prefix(BYTE_ORDER_MARK).filter(|_| first).unwrap_or(line);
        if line.is_empty() {
            self.dispatch(frames);
            return Ok(());
        }
        if line.starts_with(b"{") {
            self.bare_json(line, frames);
            return Ok(());
        }
        let colon = line.iter().position(|byte| *byte == b':');
        let (name, value) = line.split_at(colon.unwrap_or(line.len()));
        let value = value.strip_prefix(b":").unwrap_or(value);
        let value = value.strip_prefix(b" ").unwrap_or(value);
        match name.trim_ascii() {
            b"data" => {
                self.separate(frames);
                self.extend_data(value)
            }
            b"event" => {
                self.separate(frames);
                let end = value.len().min(EVENT_NAME_MAX_BYTES);
                self.event = String::from_utf8_lossy(&value[..end]).trim().to_owned();
                Ok(())
            }
            b"error" => {
                self.separate(frames);
                "error".clone_into(&mut self.event);
                self.extend_data(value)
            }
            // Comments have no name; ids, and how long to wait before a new connection, are of no use here.
            _ => Ok(()),
        }
    }

    /// A line of JSON outside of a field is an event of its own.
    fn bare_json(&mut self, line: &[u8], frames: &mut Vec<OwnedFrame>) {
        if !self.has_data && is_json(line) {
            self.data.extend_from_slice(line);
            self.has_data = true;
            self.dispatch(frames);
        }
    }

    /// Ends the event before, if its data is whole and only its empty line is missing.
    fn separate(&mut self, frames: &mut Vec<OwnedFrame>) {
        if self.scanner.is_complete() {
            self.dispatch(frames);
        }
    }

    fn extend_data(&mut self, value: &[u8]) -> Result<(), ApiError> {
        if self.data.len() + value.len() >= FRAME_MAX_BYTES {
            return Err(frame_too_long());
        }
        if std::mem::replace(&mut self.has_data, true) {
            self.data.push(b'\n');
        }
        self.scanner.push(value);
        self.data.extend_from_slice(value);
        Ok(())
    }

    fn dispatch(&mut self, frames: &mut Vec<OwnedFrame>) {
        let (event, data) = (std::mem::take(&mut self.event), std::mem::take(&mut self.data));
        self.scanner = JsonScanner::default();
        if std::mem::take(&mut self.has_data) && !data.is_empty() {
            frames.push(OwnedFrame { event, data: text(data) });
        }
    }
}

/// Bytes as text. What is not UTF-8 is replaced, as the standard says: it costs one character and not the answer.
fn text(bytes: Vec<u8>) -> String {
    String::from_utf8(bytes).unwrap_or_else(|error| String::from_utf8_lossy(error.as_bytes()).into_owned())
}

fn is_json(bytes: &[u8]) -> bool {
    serde_json::from_slice::<IgnoredAny>(bytes).is_ok()
}
