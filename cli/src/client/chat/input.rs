//! Where a chat's turns come from: a person at a terminal, or lines of a pipe.

use std::{io, thread};

use anyhow::Context;
use rustyline::{Config, Editor, error::ReadlineError, history::MemHistory};
use tokio::sync::mpsc;

use crate::client::{interrupt, terminal};

/// A source of lines.
pub(super) enum Input {
    /// A person; what was typed stays in memory only, since a conversation is private.
    Terminal(Box<Editor<(), MemHistory>>),
    /// Standard input from elsewhere: each line is a turn.
    Pipe(mpsc::Receiver<io::Result<String>>),
}

/// What a source gives.
pub(super) enum Line {
    /// A line, without its end.
    Text(String),
    /// No line follows.
    End,
}

impl Input {
    /// Standard input, whichever kind it is.
    pub(super) fn open() -> anyhow::Result<Self> {
        if !terminal::stdin_is_terminal() {
            return Ok(Self::Pipe(piped_lines()));
        }
        let config = Config::builder().auto_add_history(true).build();
        let history = MemHistory::with_config(&config);
        let editor = Editor::with_history(config, history).context("the terminal can't be opened")?;
        Ok(Self::Terminal(Box::new(editor)))
    }

    /// Whether a person types.
    pub(super) fn is_terminal(&self) -> bool {
        matches!(self, Self::Terminal(_))
    }

    /// The next line, and the input back: an editor blocks, so it goes to another thread meanwhile.
    pub(super) async fn line(self) -> anyhow::Result<(Self, Line)> {
        match self {
            Self::Terminal(mut editor) => tokio::task::spawn_blocking(move || {
                let line = prompted(&mut editor)?;
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

fn prompted(editor: &mut Editor<(), MemHistory>) -> anyhow::Result<Line> {
    loop {
        match editor.readline("> ") {
            Ok(text) => return Ok(Line::Text(text)),
            Err(ReadlineError::Eof) => return Ok(Line::End),
            // Ctrl-C at the prompt drops what was typed, as in a shell.
            Err(ReadlineError::Interrupted) => {}
            Err(error) => return Err(error).context("the terminal can't be read"),
        }
    }
}

/// Lines of standard input, read by a plain thread: unlike the runtime's own, it isn't waited for when
/// Ctrl-C ends the chat in the middle of a read.
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
