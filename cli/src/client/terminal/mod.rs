//! What is printed, and whether a person reads it.

mod printer;

use std::{
    borrow::Cow,
    io::{self, IsTerminal, Write},
    time::Duration,
};

use indicatif::{ProgressBar, ProgressStyle};
use serde::Serialize;

pub(super) use printer::Printer;

/// Whether a person types the input.
pub(super) fn stdin_is_terminal() -> bool {
    io::stdin().is_terminal()
}

/// Whether a person reads the output.
pub(super) fn stdout_is_terminal() -> bool {
    io::stdout().is_terminal()
}

/// Prints `text` at once. Unlike `print!`, a reader that has gone away is an error and no panic.
pub(crate) fn print(text: &str) -> io::Result<()> {
    let mut out = io::stdout().lock();
    out.write_all(text.as_bytes())?;
    out.flush()
}

/// Prints a line.
pub(super) fn print_line(text: &str) -> io::Result<()> {
    print(&format!("{text}\n"))
}

/// Prints a value as one line of JSON, for programs.
pub(super) fn print_json(value: &impl Serialize) -> anyhow::Result<()> {
    Ok(print_line(&serde_json::to_string(value)?)?)
}

/// Prints to standard error what isn't the answer itself. It is never worth an error of its own.
pub(crate) fn note(text: &str) {
    let _ = writeln!(io::stderr().lock(), "{text}");
}

/// Prints to standard error what could be done next, in lines that can be pasted. Programs don't read it: nothing is
/// printed with `--json`.
pub(super) fn next_steps(json: bool, steps: &[&str]) {
    if !json {
        for step in steps {
            note(&format!("next: {step}"));
        }
    }
}

/// The columns of the terminal that standard output is; none elsewhere.
pub(super) fn columns() -> Option<usize> {
    stdout_is_terminal().then(|| usize::from(console::Term::stdout().size().1))
}

/// Asks a person for a yes. No is the default, and the answer to anything else.
pub(super) fn confirm(question: &str) -> io::Result<bool> {
    let mut err = io::stderr().lock();
    write!(err, "{question} [y/N] ")?;
    err.flush()?;
    let mut answer = String::new();
    io::stdin().read_line(&mut answer)?;
    Ok(matches!(answer.trim().to_lowercase().as_str(), "y" | "yes"))
}

/// A model's text as a terminal may see it: without control characters, since a model can be made to
/// say an escape sequence and a terminal would obey it. A pipe or a file gets the text as it is.
pub(super) fn shown(text: &str, to_terminal: bool) -> Cow<'_, str> {
    let obeyed = |c: char| c.is_control() && c != '\n' && c != '\t';
    if to_terminal && text.contains(obeyed) {
        return Cow::Owned(text.replace(obeyed, ""));
    }
    Cow::Borrowed(text)
}

/// A spinner on standard error; nothing where that isn't a terminal.
pub(super) fn spinner(message: impl Into<Cow<'static, str>>) -> ProgressBar {
    let spinner = ProgressBar::new_spinner().with_message(message);
    if let Ok(style) = ProgressStyle::with_template("{spinner} {msg}") {
        spinner.set_style(style);
    }
    spinner.enable_steady_tick(Duration::from_millis(100));
    spinner
}

/// Takes a spinner away after an answer. One that failed in the middle of its text leaves the cursor
/// there, and what comes next begins on a line of its own.
pub(super) fn clear(spinner: &ProgressBar, failed: bool) {
    // The first text took the spinner away.
    let text_began = spinner.is_finished();
    spinner.finish_and_clear();
    if failed && text_began && stdout_is_terminal() {
        note("");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_terminal_sees_no_control_characters() {
        assert_eq!(shown("a\u{1b}[2Jb\r\n\tc", true), "a[2Jb\n\tc");
        assert_eq!(shown("a\u{1b}[2Jb", false), "a\u{1b}[2Jb");
    }
}
