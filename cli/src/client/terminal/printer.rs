//! Prints an answer as it arrives: a spinner, then reasoning, then text.

use std::io;

use indicatif::ProgressBar;

use super::{clear, print, printable, spinner, stdout_is_terminal};

/// The terminal's codes for faint and for normal text.
const DIM: &str = "\u{1b}[2m";
const PLAIN: &str = "\u{1b}[0m";

/// Prints the reasoning and the text of a stream as they arrive.
pub(crate) struct Printer {
    spinner: ProgressBar,
    to_terminal: bool,
    prints: bool,
    shows_reasoning: bool,
    colors: bool,
    /// Reasoning was printed last, in faint text.
    in_reasoning: bool,
    ends_line: bool,
}

impl Printer {
    /// Creates a printer; with `prints` unset it shows only a spinner. Reasoning is shown on a terminal alone.
    pub(crate) fn new(prints: bool, thinking: bool) -> Self {
        let to_terminal = stdout_is_terminal();
        Self {
            spinner: spinner("waiting"),
            to_terminal,
            prints,
            shows_reasoning: prints && thinking && to_terminal,
            colors: console::colors_enabled(),
            in_reasoning: false,
            ends_line: false,
        }
    }

    /// Prints reasoning, or shows in the spinner that the model is thinking.
    pub(crate) fn reasoning(&mut self, text: &str) -> io::Result<()> {
        if text.is_empty() {
            return Ok(());
        }
        if !self.shows_reasoning {
            self.spinner.set_message("thinking");
            return Ok(());
        }
        if !self.in_reasoning {
            self.spinner.finish_and_clear();
            self.in_reasoning = true;
            print(if self.colors { DIM } else { "(thinking)\n" })?;
        }
        self.write(text)
    }

    /// Prints text.
    pub(crate) fn text(&mut self, text: &str) -> io::Result<()> {
        if text.is_empty() || !self.prints {
            return Ok(());
        }
        self.spinner.finish_and_clear();
        if self.in_reasoning {
            self.leave_reasoning()?;
            print("\n")?;
            // The blank line is printed already.
            return self.write(text.trim_start_matches('\n'));
        }
        self.write(text)
    }

    /// Clears the spinner and ends the last line.
    pub(crate) fn end(mut self, failed: bool) -> io::Result<()> {
        let had_reasoning = self.in_reasoning;
        if had_reasoning {
            self.leave_reasoning()?;
        }
        clear(&self.spinner, failed && !had_reasoning);
        if self.prints && !failed && !self.ends_line {
            print("\n")?;
        }
        Ok(())
    }

    fn leave_reasoning(&mut self) -> io::Result<()> {
        self.in_reasoning = false;
        if self.colors {
            print(PLAIN)?;
        }
        if !self.ends_line {
            self.ends_line = true;
            print("\n")?;
        }
        if self.colors { Ok(()) } else { print("(answer)\n") }
    }

    fn write(&mut self, text: &str) -> io::Result<()> {
        if !text.is_empty() {
            self.ends_line = text.ends_with('\n');
        }
        print(&printable(text, self.to_terminal))
    }
}
