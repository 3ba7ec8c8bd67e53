//! Output to standard output and standard error.

mod printer;

use std::{
    borrow::Cow,
    io::{self, IsTerminal, Write},
    time::Duration,
};

use indicatif::{ProgressBar, ProgressStyle};
use serde::Serialize;

pub(crate) use printer::{Printer, Screen};

/// Returns whether standard input is a terminal.
pub(crate) fn stdin_is_terminal() -> bool {
    io::stdin().is_terminal()
}

/// Returns whether standard output is a terminal.
pub(crate) fn stdout_is_terminal() -> bool {
    io::stdout().is_terminal()
}

/// Prints `text` and flushes. Unlike with `print!`, a closed output is an error rather than a panic.
pub(crate) fn print(text: &str) -> io::Result<()> {
    let mut out = io::stdout().lock();
    out.write_all(text.as_bytes())?;
    out.flush()
}

/// Prints a line.
pub(crate) fn print_line(text: &str) -> io::Result<()> {
    print(&format!("{text}\n"))
}

/// Prints a value as one line of JSON, for programs.
pub(crate) fn print_json(value: &impl Serialize) -> anyhow::Result<()> {
    Ok(print_line(&serde_json::to_string(value)?)?)
}

/// Prints a note to standard error. A failure is ignored.
pub(crate) fn note(text: &str) {
    let _ = writeln!(io::stderr().lock(), "{text}");
}

/// Prints suggested next commands to standard error, ready to be pasted; nothing with `--json`.
pub(crate) fn next_steps(json: bool, steps: &[&str]) {
    if !json {
        for step in steps {
            note(&format!("next: {step}"));
        }
    }
}

/// The width of the terminal, if standard output is one.
pub(crate) fn columns() -> Option<usize> {
    stdout_is_terminal().then(|| usize::from(console::Term::stdout().size().1))
}

/// Asks for a line of text.
pub(crate) fn ask(question: &str) -> io::Result<String> {
    let mut err = io::stderr().lock();
    write!(err, "{question}")?;
    err.flush()?;
    let mut answer = String::new();
    io::stdin().read_line(&mut answer)?;
    Ok(answer.trim().to_owned())
}

/// Asks a yes-or-no question. Any answer but yes counts as no.
pub(crate) fn confirm(question: &str) -> io::Result<bool> {
    let mut err = io::stderr().lock();
    write!(err, "{question} [y/N] ")?;
    err.flush()?;
    let mut answer = String::new();
    io::stdin().read_line(&mut answer)?;
    Ok(matches!(answer.trim().to_lowercase().as_str(), "y" | "yes"))
}

/// Asks before a step that can't be undone, unless `yes` is set.
///
/// # Errors
/// `outcome`, such as "nothing was deleted", where the user refuses, or where there is no terminal to ask at.
pub(crate) fn ensure_confirmed(question: &str, yes: bool, outcome: &str) -> anyhow::Result<()> {
    if yes {
        return Ok(());
    }
    anyhow::ensure!(stdin_is_terminal(), "{outcome}: there is no terminal to ask at; add --yes");
    anyhow::ensure!(confirm(question)?, "{outcome}");
    Ok(())
}

/// Prints a value as JSON of several lines, for people.
pub(crate) fn print_pretty_json(value: &impl Serialize) -> anyhow::Result<()> {
    Ok(print_line(&serde_json::to_string_pretty(value)?)?)
}

/// Removes control characters from a model's text for a terminal, which would otherwise execute escape sequences in it.
/// A pipe or a file gets the text unchanged.
pub(crate) fn printable(text: &str, to_terminal: bool) -> Cow<'_, str> {
    let is_control = |c: char| c.is_control() && c != '\n' && c != '\t';
    if to_terminal && text.contains(is_control) {
        return Cow::Owned(text.replace(is_control, ""));
    }
    Cow::Borrowed(text)
}

/// Starts a spinner on standard error; it is hidden where that isn't a terminal.
pub(crate) fn spinner(message: impl Into<Cow<'static, str>>) -> ProgressBar {
    let spinner = ProgressBar::new_spinner().with_message(message);
    if let Ok(style) = ProgressStyle::with_template("{spinner} {msg}") {
        spinner.set_style(style);
    }
    spinner.enable_steady_tick(Duration::from_millis(100));
    spinner
}

/// Clears a spinner after an answer. If the answer failed in the middle of its text, also ends that line.
pub(crate) fn clear(spinner: &ProgressBar, failed: bool) {
    // The first text has cleared the spinner.
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
    fn control_characters_are_removed_for_a_terminal() {
        assert_eq!(printable("a\u{1b}[2Jb\r\n\tc", true), "a[2Jb\n\tc");
        assert_eq!(printable("a\u{1b}[2Jb", false), "a\u{1b}[2Jb");
    }
}
