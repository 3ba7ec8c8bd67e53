//! Bounds a template's steps and output: it comes with the model's file, and isn't trusted.
//!
//! minijinja's fuel bounds the steps, a writer with a limit the output, and the formatter the text that is captured
//! into variables. Text that is joined in other ways is bounded by the process' memory; a template that explodes with
//! every conversation is found when the model is loaded (`probe.rs`).

use std::{cell::Cell, io};

use minijinja::{Environment, Error, ErrorKind, Output, State, Value, escape_formatter};

/// Steps of a template for a prompt; the longest templates in use need a few thousand per message.
pub(super) const RENDER_MAX_STEPS: u64 = 20_000_000;
/// Steps of a template for a short conversation of the probe.
pub(super) const PROBE_MAX_STEPS: u64 = 1_000_000;

/// Maximum output of a template, in addition to a multiple of its input, in bytes.
const OUTPUT_BASE_MAX_BYTES: usize = 4 << 20;
/// Factor of that multiple. Indented JSON is the longest legitimate output.
const OUTPUT_MAX_FACTOR: usize = 16;

thread_local! {
    /// Bytes that the rendering on this thread may still format.
    static FORMATTED_LEFT: Cell<usize> = const { Cell::new(usize::MAX) };
}

/// Bounds the steps of `environment`, and the text that it formats.
pub(super) fn bound(environment: &mut Environment<'static>) {
    environment.set_fuel(Some(RENDER_MAX_STEPS));
    environment.set_formatter(|out: &mut Output<'_>, state: &mut State<'_, '_>, value: &Value| {
        let length = value.as_str().map_or(0, str::len);
        let left = FORMATTED_LEFT.get().checked_sub(length).ok_or_else(too_long)?;
        FORMATTED_LEFT.set(left);
        escape_formatter(out, state, value)
    });
}

/// Runs a rendering of `input_bytes` bytes and returns its output.
///
/// # Errors
/// If the rendering fails, or writes too much.
pub(super) fn render_bounded(
    input_bytes: usize,
    render: impl FnOnce(&mut BoundedWriter) -> Result<(), Error>,
) -> Result<String, Error> {
    let max_bytes = input_bytes.saturating_mul(OUTPUT_MAX_FACTOR).saturating_add(OUTPUT_BASE_MAX_BYTES);
    FORMATTED_LEFT.set(max_bytes);
    let mut writer = BoundedWriter { written: Vec::new(), max_bytes, full: false };
    let rendered = render(&mut writer);
    FORMATTED_LEFT.set(usize::MAX);
    if writer.full {
        return Err(too_long());
    }
    rendered?;
    String::from_utf8(writer.written)
        .map_err(|_| Error::new(ErrorKind::WriteFailure, "its output is not UTF-8"))
}

/// Returns whether a rendering failed because it exceeded its bounds.
pub(super) fn is_exceeded(error: &Error) -> bool {
    matches!(error.kind(), ErrorKind::OutOfFuel | ErrorKind::WriteFailure)
}

fn too_long() -> Error {
    Error::new(ErrorKind::WriteFailure, "its output is far larger than its input")
}

/// A buffer with a limit.
pub(super) struct BoundedWriter {
    written: Vec<u8>,
    max_bytes: usize,
    full: bool,
}

impl io::Write for BoundedWriter {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if bytes.len() > self.max_bytes - self.written.len() {
            self.full = true;
            return Err(io::Error::other("the output is too long"));
        }
        self.written.extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
