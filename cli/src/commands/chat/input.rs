//! Input of a chat: lines from a terminal, or from a pipe.

use std::{io, thread};

use anyhow::Context;
use rustyline::{Config, Editor, error::ReadlineError, history::MemHistory};
use tokio::sync::mpsc;

use crate::client::{interrupt, terminal};

/// Source of lines.
pub(in crate::commands) enum Input {
    /// A terminal. Its history stays in memory, since a conversation is private.
    Terminal(Box<Editor<(), MemHistory>>),
    /// Standard input that is no terminal: each line is a turn.
    Pipe(mpsc::Receiver<io::Result<String>>),
}

/// A line, or the end of the input.
pub(in crate::commands) enum Line {
    /// A line, without its end.
    Text(String),
    /// The end of the input.
    End,
}

impl Input {
    /// Opens standard input.
    pub(in crate::commands) fn open() -> anyhow::Result<Self> {
        if !terminal::stdin_is_terminal() {
            return Ok(Self::Pipe(piped_lines()));
        }
        let config = Config::builder().auto_add_history(true).build();
        let history = MemHistory::with_config(&config);
        let editor = Editor::with_history(config, history).context("the terminal can't be opened")?;
        Ok(Self::Terminal(Box::new(editor)))
    }

    /// Returns whether the input is a terminal.
    pub(in crate::commands) fn is_terminal(&self) -> bool {
        matches!(self, Self::Terminal(_))
    }

    /// Reads the next line, and returns the input with it: the editor blocks, so it runs on another thread.
    pub(in crate::commands) async fn line(self) -> anyhow::Result<(Self, Line)> {
        match self {
            Self::Terminal(mut editor) => tokio::task::spawn_blocking(move || {
                let line = read_at_prompt(&mut editor)?;
                Ok((Self::Terminal(editor), line))
            })
            .await
            .context("reading the terminal failed")?,
            Self::Pipe(mut lines) => {
                let line = interrupt::or_interrupted(async { Ok(lines.recv().await) }).await?;
                let line = line.transpose().context("standard input can't be read as text")?;
                Ok((Self::Pipe(lines), line.map_or(Line::End, Line::Text)))
            }
        }
    }
}

fn read_at_prompt(editor: &mut Editor<(), MemHistory>) -> anyhow::Result<Line> {
    loop {
        match editor.readline("> ") {
            Ok(text) => return Ok(Line::Text(text)),
            Err(ReadlineError::Eof) => return Ok(Line::End),
            // Ctrl-C at the prompt discards the line, as in a shell.
            Err(ReadlineError::Interrupted) => {}
            Err(error) => return Err(error).context("the terminal can't be read"),
        }
    }
}

/// Reads lines of standard input on a plain thread. The runtime would wait for a thread of its own when Ctrl-C ends the
/// chat in the middle of a read.
fn piped_lines() -> mpsc::Receiver<io::Result<String>> {
    let (sender, lines) = mpsc::channel(1);
    thread::spawn(move || {
        for line in io::stdin().lines() {
            if sender.blocking_send(line).is_err() {
                return;
            }
        }
    });
    lines
}
