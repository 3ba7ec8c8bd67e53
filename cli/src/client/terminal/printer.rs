//! An answer on its way to standard output: a spinner, then thoughts, then text.

use std::io;

use indicatif::ProgressBar;

use super::{clear, print, shown, spinner, stdout_is_terminal};

/// The terminal's codes for faint text, and for text as usual.
const DIM: &str = "\u{1b}[2m";
const PLAIN: &str = "\u{1b}[0m";

/// Prints a stream's thoughts and text as they come.
pub(in crate::client) struct Printer {
    spinner: ProgressBar,
    to_terminal: bool,
    prints: bool,
    shows_thoughts: bool,
    colors: bool,
    /// Thoughts were printed last, in faint text.
    in_thoughts: bool,
    ends_line: bool,
}

impl Printer {
    /// A printer, or with `prints` unset only a spinner. Thoughts are shown to people alone.
    pub(in crate::client) fn new(prints: bool, thinking: bool) -> Self {
        let to_terminal = stdout_is_terminal();
        Self {
            spinner: spinner("waiting"),
            to_terminal,
            prints,
            shows_thoughts: prints && thinking && to_terminal,
            colors: console::colors_enabled(),
            in_thoughts: false,
            ends_line: false,
        }
    }

    /// Prints thoughts, or says that the model thinks.
    pub(in crate::client) fn thoughts(&mut self, text: &str) -> io::Result<()> {
        if text.is_empty() {
            return Ok(());
        }
        if !self.shows_thoughts {
            self.spinner.set_message("thinking");
            return Ok(());
        }
        if !self.in_thoughts {
            self.spinner.finish_and_clear();
            self.in_thoughts = true;
            print(if self.colors { DIM } else { "(thinking)\n" })?;
        }
        self.write(text)
    }

    /// Prints text.
    pub(in crate::client) fn text(&mut self, text: &str) -> io::Result<()> {
        if text.is_empty() || !self.prints {
            return Ok(());
        }
        self.spinner.finish_and_clear();
        if self.in_thoughts {
            self.leave_thoughts()?;
            print("\n")?;
            // The blank line is there already.
            return self.write(text.trim_start_matches('\n'));
        }
        self.write(text)
    }

    /// Takes the spinner away and ends the last line.
    pub(in crate::client) fn end(mut self, failed: bool) -> io::Result<()> {
        let had_thoughts = self.in_thoughts;
        if had_thoughts {
            self.leave_thoughts()?;
        }
        clear(&self.spinner, failed && !had_thoughts);
        if self.prints && !failed && !self.ends_line {
            print("\n")?;
        }
        Ok(())
    }

    fn leave_thoughts(&mut self) -> io::Result<()> {
        self.in_thoughts = false;
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
        print(&shown(text, self.to_terminal))
    }
}
