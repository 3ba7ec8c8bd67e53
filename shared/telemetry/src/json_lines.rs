//! Events as lines of JSON, in the format of tracing-subscriber's `json` with flattened fields, but without its
//! intermediate steps: a log line is a tenth of the instructions that Hearth executes for a request.

use std::{cell::Cell, error::Error, fmt, time::SystemTime};

use serde::Serialize;
use time::OffsetDateTime;
use tracing::{
    Event, Subscriber,
    field::{Field, Visit},
};
use tracing_log::NormalizeEvent as _;
use tracing_subscriber::{Layer, layer::Context};

use crate::log_buffer::LogBuffer;

/// A layer that writes events as lines into a buffer.
#[derive(Debug)]
pub(crate) struct JsonLines(pub(crate) LogBuffer);

thread_local! {
    /// The buffer of the thread's last line, for the next one.
    static LINE: Cell<Vec<u8>> = const { Cell::new(Vec::new()) };
    /// The last second that the thread wrote, and its text.
    static SECOND: Cell<(u64, [u8; 19])> = const { Cell::new((0, *b"1970-01-01T00:00:00")) };
}

impl<S: Subscriber> Layer<S> for JsonLines {
    fn on_event(&self, event: &Event<'_>, _: Context<'_, S>) {
        let mut line = LINE.take();
        line.clear();
        write(&mut line, event, SystemTime::now());
        self.0.push(&line);
        LINE.set(line);
    }
}

/// Writes an event as a line, with its line break.
pub(crate) fn write(line: &mut Vec<u8>, event: &Event<'_>, now: SystemTime) {
    let normalized = event.normalized_metadata();
    let metadata = normalized.as_ref().unwrap_or_else(|| event.metadata());
    line.extend_from_slice(b"{\"timestamp\":\"");
    write_time(line, now);
    line.extend_from_slice(b"\",\"level\":\"");
    line.extend_from_slice(metadata.level().as_str().as_bytes());
    line.push(b'"');
    event.record(&mut Fields { line });
    Fields { line }.add("target", metadata.target());
    line.extend_from_slice(b"}\n");
}

/// Writes the time in RFC 3339, in UTC, with microseconds. Most lines have the same second as the previous one.
fn write_time(line: &mut Vec<u8>, now: SystemTime) {
    let since = now.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    let (last, mut text) = SECOND.get();
    if since.as_secs() != last {
        text = second(now).unwrap_or(text);
        SECOND.set((since.as_secs(), text));
    }
    line.extend_from_slice(&text);
    line.push(b'.');
    let micros = since.subsec_micros();
    line.extend([100_000, 10_000, 1000, 100, 10, 1].map(|unit| b'0' + (micros / unit % 10) as u8));
    line.push(b'Z');
}

fn second(now: SystemTime) -> Option<[u8; 19]> {
    let now = OffsetDateTime::from(now);
    let (year, month, day) = (now.year(), u8::from(now.month()), now.day());
    let (hour, minute, second) = now.to_hms();
    format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}").as_bytes().try_into().ok()
}

/// Appends fields to a line.
struct Fields<'a> {
    line: &'a mut Vec<u8>,
}

impl Fields<'_> {
    fn add(&mut self, name: &str, value: impl Serialize) {
        // The fields that `log` records of its caller are in the metadata.
        if name.starts_with("log.") {
            return;
        }
        // A name is an identifier, which needs no escapes.
        self.line.extend_from_slice(b",\"");
        self.line.extend_from_slice(name.as_bytes());
        self.line.extend_from_slice(b"\":");
        // Writing numbers and texts to memory doesn't fail.
        let _ = serde_json::to_writer(&mut *self.line, &value);
    }
}

impl Visit for Fields<'_> {
    fn record_f64(&mut self, field: &Field, value: f64) {
        self.add(field.name(), value);
    }

    fn record_i64(&mut self, field: &Field, value: i64) {
        self.add(field.name(), value);
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        self.add(field.name(), value);
    }

    fn record_bool(&mut self, field: &Field, value: bool) {
        self.add(field.name(), value);
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        self.add(field.name(), value);
    }

    fn record_error(&mut self, field: &Field, value: &(dyn Error + 'static)) {
        self.add(field.name(), format_args!("{value}"));
    }

    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        self.add(field.name(), format_args!("{value:?}"));
    }
}

#[cfg(test)]
mod tests {
    use std::{fs, time::Duration};

    use serde_json::Value;
    use tracing_subscriber::{fmt as reference, layer::SubscriberExt as _};

    use super::*;
    use crate::{
        log_files::{LogFiles, LogLimits},
        logs::LogGuard,
    };

    fn buffer(folder: &std::path::Path) -> (LogBuffer, LogGuard) {
        let files = LogFiles::open(folder, LogLimits { max_bytes: 1 << 20, max_files: 1 }).unwrap();
        LogBuffer::start(files).unwrap()
    }

    #[test]
    fn lines_equal_those_of_tracing_subscriber() {
        let (ours, theirs) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let ((our_buffer, our_guard), (buffer, guard)) = (buffer(ours.path()), buffer(theirs.path()));
        let json =
            reference::layer().json().flatten_event(true).with_current_span(false).with_span_list(false);
        let both = tracing_subscriber::registry()
            .with(JsonLines(our_buffer))
            .with(json.with_writer(move || buffer.clone()));
        tracing::subscriber::with_default(both, || {
            let error = std::io::Error::other("the disk\nis full");
            tracing::info!(id = %"req_1", status = 200, code = None::<&str>, ms = 0.25, "request");
            tracing::warn!(%error, path = Some("/a\"b\\c\u{1b}é"), ok = true, at = -1, "not {}", "stored");
            tracing::error!(error = &error as &dyn Error, list = ?["a", "b"], nan = f64::NAN, "failed");
            tracing::info!(only = 1);
        });
        drop((our_guard, guard));
        let lines = |folder: &std::path::Path| {
            let text = fs::read_to_string(folder.join("hearth.log")).unwrap();
            let mut lines = Vec::new();
            for line in text.lines() {
                let mut line: serde_json::Map<String, Value> = serde_json::from_str(line).unwrap();
                let time = line.insert("timestamp".to_owned(), Value::Null).unwrap();
                assert_eq!(time.as_str().map(str::len), Some("2026-11-22T10:11:12.000123Z".len()));
                lines.push(serde_json::to_string(&line).unwrap());
            }
            lines
        };
        let (ours, theirs) = (lines(ours.path()), lines(theirs.path()));
        assert_eq!(ours.len(), 4);
        assert_eq!(ours, theirs);
    }

    #[test]
    fn time_is_written_in_utc() {
        let at = |seconds: u64, micros: u32| {
            let mut line = Vec::new();
            write_time(&mut line, SystemTime::UNIX_EPOCH + Duration::new(seconds, micros * 1000));
            String::from_utf8(line).unwrap()
        };
        assert_eq!(at(0, 1), "1970-01-01T00:00:00.000001Z");
        assert_eq!(at(1_709_210_096, 987_654), "2024-02-29T12:34:56.987654Z");
        assert_eq!(at(1_709_210_096, 7), "2024-02-29T12:34:56.000007Z");
        assert_eq!(at(4_102_444_799, 0), "2099-12-31T23:59:59.000000Z");
    }
}
