//! Prints an answer as it arrives: a spinner, then reasoning, then text.

#[cfg(test)]
use std::sync::{Arc, Mutex};
use std::{borrow::Cow, io};

use indicatif::ProgressBar;

use super::{clear, print, printable, spinner, stdout_is_terminal};

/// The terminal's codes for faint and for normal text.
const DIM: &str = "\u{1b}[2m";
const PLAIN: &str = "\u{1b}[0m";

/// The output of a printer.
#[derive(Debug, Clone, Default)]
pub(crate) enum Screen {
    #[default]
    Stdout,
    /// A buffer in place of a terminal.
    #[cfg(test)]
    Buffer(Arc<Mutex<String>>),
}

impl Screen {
    fn is_terminal(&self) -> bool {
        match self {
            Self::Stdout => stdout_is_terminal(),
            #[cfg(test)]
            Self::Buffer(_) => true,
        }
    }

    fn print(&self, text: &str) -> io::Result<()> {
        match self {
            Self::Stdout => print(text),
            #[cfg(test)]
            Self::Buffer(buffer) => {
                buffer.lock().unwrap().push_str(text);
                Ok(())
            }
        }
    }
}

/// Prints the reasoning and the text of a stream as they arrive.
pub(crate) struct Printer {
    screen: Screen,
    spinner: ProgressBar,
    to_terminal: bool,
    prints: bool,
    shows_reasoning: bool,
    colors: bool,
    /// Reasoning was printed last, in faint text.
    in_reasoning: bool,
    has_text: bool,
    ends_line: bool,
}

impl Printer {
    /// Creates a printer; with `prints` unset it shows only a spinner. Reasoning is shown on a terminal alone.
    pub(crate) fn new(screen: Screen, prints: bool, thinking: bool) -> Self {
        let to_terminal = screen.is_terminal();
        Self {
            screen,
            spinner: spinner("waiting"),
            to_terminal,
            prints,
            shows_reasoning: prints && thinking && to_terminal,
            colors: console::colors_enabled(),
            in_reasoning: false,
            has_text: false,
            ends_line: false,
        }
    }

    /// Shows the state of a run in the spinner, until the first text.
    pub(crate) fn status(&self, message: impl Into<Cow<'static, str>>) {
        self.spinner.set_message(message);
    }

    /// Prints reasoning, or shows in the spinner that the model is thinking.
    pub(crate) fn reasoning(&mut self, text: &str) -> io::Result<()> {
        if text.is_empty() {
            return Ok(());
        }
        if !self.shows_reasoning {
            self.status("thinking");
            return Ok(());
        }
        if !self.in_reasoning {
            self.spinner.finish_and_clear();
            self.in_reasoning = true;
            self.screen.print(if self.colors { DIM } else { "(thinking)\n" })?;
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
            self.screen.print("\n")?;
            // The blank line is printed already.
            return self.write(text.trim_start_matches('\n'));
        }
        self.write(text)
    }

    /// Prints a line of its own, after the text.
    pub(crate) fn line(&mut self, text: &str) -> io::Result<()> {
        let begins_line = self.ends_line || !self.has_text;
        self.text(&format!("{}{text}\n", if begins_line { "" } else { "\n" }))
    }

    /// Clears the spinner and ends the last line.
    pub(crate) fn end(mut self, failed: bool) -> io::Result<()> {
        let had_reasoning = self.in_reasoning;
        if had_reasoning {
            self.leave_reasoning()?;
        }
        clear(&self.spinner, failed && !had_reasoning);
        if self.prints && !failed && !self.ends_line {
            self.screen.print("\n")?;
        }
        Ok(())
    }

    fn leave_reasoning(&mut self) -> io::Result<()> {
        self.in_reasoning = false;
        if self.colors {
            self.screen.print(PLAIN)?;
        }
        if !self.ends_line {
            self.ends_line = true;
            self.screen.print("\n")?;
        }
        if self.colors { Ok(()) } else { self.screen.print("(answer)\n") }
    }

    fn write(&mut self, text: &str) -> io::Result<()> {
        if !text.is_empty() {
            self.ends_line = text.ends_with('\n');
            self.has_text = true;
        }
        self.screen.print(&printable(text, self.to_terminal))
    }
}
