//! What a template may write and compute: it comes with the model's file, and is nobody's code to trust.
//!
//! Its steps are bounded by minijinja's fuel, its output by a writer with a limit, and what it captures into
//! variables by the formatter. Text that it joins in other ways is bounded by the memory of the process; what
//! explodes whatever the conversation is found when the model is loaded (`probe.rs`).

use std::{cell::Cell, io};

use minijinja::{Environment, Error, ErrorKind, Output, State, Value, escape_formatter};

/// Steps of the template's machine for a prompt; the longest templates in use take a few thousand a message.
pub(super) const FUEL: u64 = 20_000_000;
/// The same for the short conversations with which a template is tried.
pub(super) const PROBE_FUEL: u64 = 1_000_000;

/// What a template may write beside a multiple of what it is given, in bytes.
const BASE_OUTPUT_MAX_BYTES: usize = 4 << 20;
/// How often it may write what it is given: indented JSON is the longest.
const OUTPUT_TIMES_INPUT: usize = 16;

thread_local! {
    /// What the rendering of this thread may still format, in bytes.
    static FORMATTED_LEFT: Cell<usize> = const { Cell::new(usize::MAX) };
}

/// Bounds the steps of `environment`, and what it formats.
pub(super) fn bound(environment: &mut Environment<'static>) {
    environment.set_fuel(Some(FUEL));
    environment.set_formatter(|out: &mut Output<'_>, state: &mut State<'_, '_>, value: &Value| {
        let length = value.as_str().map_or(0, str::len);
        let left = FORMATTED_LEFT.get().checked_sub(length).ok_or_else(too_long)?;
        FORMATTED_LEFT.set(left);
        escape_formatter(out, state, value)
    });
}

/// Runs a rendering of `input` bytes, and gives what it writes.
pub(super) fn bounded(
    input: usize,
    render: impl FnOnce(&mut BoundedWriter) -> Result<(), Error>,
) -> Result<String, Error> {
    let most = input.saturating_mul(OUTPUT_TIMES_INPUT).saturating_add(BASE_OUTPUT_MAX_BYTES);
    FORMATTED_LEFT.set(most);
    let mut writer = BoundedWriter { written: Vec::new(), most, full: false };
    let rendered = render(&mut writer);
    FORMATTED_LEFT.set(usize::MAX);
    if writer.full {
        return Err(too_long());
    }
    rendered?;
    String::from_utf8(writer.written)
        .map_err(|_| Error::new(ErrorKind::WriteFailure, "it writes what is no text"))
}

/// Whether a rendering failed since it went beyond its bounds.
pub(super) fn exceeded(error: &Error) -> bool {
    matches!(error.kind(), ErrorKind::OutOfFuel | ErrorKind::WriteFailure)
}

fn too_long() -> Error {
    Error::new(ErrorKind::WriteFailure, "it writes far more than it is given")
}

/// Keeps what is written, up to a limit.
pub(super) struct BoundedWriter {
    written: Vec<u8>,
    most: usize,
    full: bool,
}

impl io::Write for BoundedWriter {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if bytes.len() > self.most - self.written.len() {
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
