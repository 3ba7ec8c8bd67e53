//! Reads server-sent events (<https://html.spec.whatwg.org/multipage/server-sent-events.html>) from a byte stream.
//!
//! It takes linear time. An event that lies in the given bytes entirely, as most do, is not copied. Beyond the standard
//! it accepts what real servers send: a stream without the last empty line, events without an empty line between them,
//! `error:` lines (llama.cpp), and lines of bare JSON (errors that a server writes into its stream).

use hearth_wire::{ApiError, json_scanner::JsonScanner};
use serde::de::IgnoredAny;

use super::frame::{BYTE_ORDER_MARK, FRAME_MAX_BYTES, FrameSink, OwnedFrame, frame_too_long, lossy_text};
use crate::decoder::Frame;

/// Maximum length of an event's name, in bytes; the rest is cut off. Known names are far shorter.
const EVENT_NAME_MAX_BYTES: usize = 256;

/// Cuts a byte stream into server-sent events.
#[derive(Debug)]
pub(crate) struct SseReader {
    /// Limit of the bytes of a line, and of an event.
    max_bytes: usize,
    /// The bytes of an incomplete line.
    line: Vec<u8>,
    /// The last byte was a carriage return: a line feed after it belongs to the same line end.
    after_carriage_return: bool,
    /// A line has ended: a byte order mark is no longer expected.
    past_first_line: bool,
    event: String,
    data: Vec<u8>,
    has_data: bool,
    /// Detects whether `data` is a complete JSON document; used only where an empty line is missing.
    scanner: JsonScanner,
    /// Number of bytes of `data` that the scanner has read.
    scanned: usize,
}

impl Default for SseReader {
    fn default() -> Self {
        Self::with_max_bytes(FRAME_MAX_BYTES)
    }
}

impl SseReader {
    /// Creates a reader of events with at most this many bytes each.
    pub(crate) fn with_max_bytes(max_bytes: usize) -> Self {
        Self {
            max_bytes,
            line: Vec::new(),
            after_carriage_return: false,
            past_first_line: false,
            event: String::new(),
            data: Vec::new(),
            has_data: false,
            scanner: JsonScanner::default(),
            scanned: 0,
        }
    }

    /// Reads the next bytes and appends the events that end in them to `frames`.
    ///
    /// # Errors
    /// `provider_error` for a line or an event above the limit.
    pub(crate) fn push(&mut self, bytes: &[u8], frames: &mut Vec<OwnedFrame>) -> Result<(), ApiError> {
        self.read(bytes, &mut |frame| {
            frames.push(frame.into());
            Ok(())
        })
    }

    /// Reads the next bytes and passes the events that end in them to `sink`.
    ///
    /// # Errors
    /// Errors of the sink; `provider_error` for a line or an event above the limit.
    pub(super) fn read(&mut self, mut bytes: &[u8], sink: &mut FrameSink<'_>) -> Result<(), ApiError> {
        if let [first, rest @ ..] = bytes {
            if self.after_carriage_return && *first == b'\n' {
                bytes = rest;
            }
            self.after_carriage_return = false;
        }
        loop {
            while self.is_between_events()
                && let Some((frame, rest)) = whole_event(bytes, self.max_bytes)
            {
                self.past_first_line = true;
                sink(frame)?;
                bytes = rest;
            }
            let Some(end) = memchr::memchr2(b'\r', b'\n', bytes) else { break };
            let (line, rest) = (&bytes[..end], &bytes[end + 1..]);
            let carriage_return = bytes[end] == b'\r';
            bytes = match rest {
                [b'\n', rest @ ..] if carriage_return => rest,
                rest => rest,
            };
            self.after_carriage_return = carriage_return && rest.is_empty();
            if self.line.is_empty() {
                self.end_line(line, sink)?;
            } else {
                self.extend_line(line)?;
                let mut line = std::mem::take(&mut self.line);
                self.end_line(&line, sink)?;
                line.clear();
                self.line = line;
            }
        }
        self.extend_line(bytes)
    }

    /// Appends the last event when the stream has ended, as [`Self::end`] does.
    ///
    /// # Errors
    /// As for [`Self::push`].
    pub(crate) fn finish(&mut self, frames: &mut Vec<OwnedFrame>) -> Result<(), ApiError> {
        self.end(&mut |frame| {
            frames.push(frame.into());
            Ok(())
        })
    }

    /// Passes the last event to `sink` when the stream has ended. An event without its empty line counts if its data
    /// is complete, or an error.
    ///
    /// # Errors
    /// As for [`Self::read`].
    pub(super) fn end(&mut self, sink: &mut FrameSink<'_>) -> Result<(), ApiError> {
        let line = std::mem::take(&mut self.line);
        if !line.is_empty() {
            self.end_line(&line, sink)?;
        }
        if self.event == "error" || self.data_is_complete() || is_json(&self.data) {
            return self.dispatch(sink);
        }
        Ok(())
    }

    /// Returns whether the next byte is the first of an event.
    fn is_between_events(&self) -> bool {
        self.line.is_empty() && !self.has_data && self.event.is_empty()
    }

    fn extend_line(&mut self, bytes: &[u8]) -> Result<(), ApiError> {
        if self.line.len() + bytes.len() > self.max_bytes {
            return Err(frame_too_long(self.max_bytes));
        }
        self.line.extend_from_slice(bytes);
        Ok(())
    }

    fn end_line(&mut self, line: &[u8], sink: &mut FrameSink<'_>) -> Result<(), ApiError> {
        if line.len() > self.max_bytes {
            return Err(frame_too_long(self.max_bytes));
        }
        let first = !std::mem::replace(&mut self.past_first_line, true);
        let line = line.strip_prefix(BYTE_ORDER_MARK).filter(|_| first).unwrap_or(line);
        if line.is_empty() {
            return self.dispatch(sink);
        }
        if line.starts_with(b"{") {
            return self.bare_json(line, sink);
        }
        let colon = line.iter().position(|byte| *byte == b':');
        let (name, value) = line.split_at(colon.unwrap_or(line.len()));
        let value = value.strip_prefix(b":").unwrap_or(value);
        let value = value.strip_prefix(b" ").unwrap_or(value);
        match name.trim_ascii() {
            b"data" => {
                self.separate(sink)?;
                self.extend_data(value)
            }
            b"event" => {
                self.separate(sink)?;
                let end = value.len().min(EVENT_NAME_MAX_BYTES);
                self.event = String::from_utf8_lossy(&value[..end]).trim().to_owned();
                Ok(())
            }
            b"error" => {
                self.separate(sink)?;
                "error".clone_into(&mut self.event);
                self.extend_data(value)
            }
            // Comments have no name; `id` and `retry` have no use here.
            _ => Ok(()),
        }
    }

    /// Reads a line of JSON outside of a field as an event of its own.
    fn bare_json(&mut self, line: &[u8], sink: &mut FrameSink<'_>) -> Result<(), ApiError> {
        if self.has_data || !is_json(line) {
            return Ok(());
        }
        self.data.extend_from_slice(line);
        self.has_data = true;
        self.dispatch(sink)
    }

    /// Ends the previous event if its data is complete and only its empty line is missing.
    fn separate(&mut self, sink: &mut FrameSink<'_>) -> Result<(), ApiError> {
        if self.data_is_complete() { self.dispatch(sink) } else { Ok(()) }
    }

    fn data_is_complete(&mut self) -> bool {
        self.scanner.push(self.data.get(self.scanned..).unwrap_or_default());
        self.scanned = self.data.len();
        self.scanner.is_complete()
    }

    fn extend_data(&mut self, value: &[u8]) -> Result<(), ApiError> {
        if self.data.len() + value.len() >= self.max_bytes {
            return Err(frame_too_long(self.max_bytes));
        }
        if std::mem::replace(&mut self.has_data, true) {
            self.data.push(b'\n');
        }
        self.data.extend_from_slice(value);
        Ok(())
    }

    fn dispatch(&mut self, sink: &mut FrameSink<'_>) -> Result<(), ApiError> {
        let (event, data) = (std::mem::take(&mut self.event), std::mem::take(&mut self.data));
        (self.scanner, self.scanned) = (JsonScanner::default(), 0);
        if std::mem::take(&mut self.has_data) && !data.is_empty() {
            // With replacements for invalid UTF-8, as the standard requires.
            sink(Frame { event: &event, data: &lossy_text(&data) })?;
        }
        Ok(())
    }
}

/// Fast path: splits off the first event if it is written as nearly every server does: an optional name, one line of
/// data, an empty line. Everything else is read line by line.
fn whole_event(bytes: &[u8], max_bytes: usize) -> Option<(Frame<'_>, &[u8])> {
    let (event, bytes) = match bytes.strip_prefix(b"event: ") {
        Some(named) => plain_line(named)?,
        None => (&b""[..], bytes),
    };
    let (data, bytes) = plain_line(bytes.strip_prefix(b"data: ")?)?;
    let bytes = bytes.strip_prefix(b"\n").or_else(|| bytes.strip_prefix(b"\r\n"))?;
    if data.is_empty() || data.len() >= max_bytes || event.len() > EVENT_NAME_MAX_BYTES {
        return None;
    }
    let frame = Frame { event: str::from_utf8(event).ok()?.trim(), data: str::from_utf8(data).ok()? };
    Some((frame, bytes))
}

/// Splits off the first line, which ends in `\n` or `\r\n`.
fn plain_line(bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    let end = memchr::memchr2(b'\r', b'\n', bytes)?;
    let (line, rest) = bytes.split_at(end);
    let rest = rest.strip_prefix(b"\n").or_else(|| rest.strip_prefix(b"\r\n"))?;
    Some((line, rest))
}

fn is_json(bytes: &[u8]) -> bool {
    serde_json::from_slice::<IgnoredAny>(bytes).is_ok()
}
