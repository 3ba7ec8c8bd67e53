//! `hearth sessions export` and `hearth sessions import`.

use std::{
    fs, io,
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

use anyhow::Context as _;
use clap::{Args, ValueEnum};
use futures::StreamExt as _;
use hearth_wire::native::sessions::{IMPORTED_BEFORE, SessionImportReport};
use reqwest::Body;
use tokio::io::AsyncRead;
use tokio_util::{bytes::Bytes, io::ReaderStream};

use crate::client::{gateway_client::GatewayClient, terminal};

/// Bytes of a file to import: the gateway's limit of a body.
const FILE_MAX_BYTES: usize = 10 << 20;

/// The format of an export.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, ValueEnum)]
enum Format {
    /// The session with all of its branches, for `import`
    #[default]
    Json,
    /// The active branch, to be read
    Markdown,
}

/// Write a session as JSON or Markdown
#[derive(Debug, Args)]
pub(super) struct Export {
    /// The session's id, as `list` shows it
    #[arg(value_name = "ID")]
    id: String,
    /// The format
    #[arg(long, value_enum, default_value_t)]
    format: Format,
    /// The file to write; without it: standard output
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
}

impl Export {
    pub(super) async fn run(&self, gateway: &GatewayClient) -> anyhow::Result<()> {
        let format = match self.format {
            Format::Json => "json",
            Format::Markdown => "markdown",
        };
        let segments = ["v1", "sessions", &self.id, "export"];
        let text = gateway.get_text(&segments, &[("format", format)]).await?;
        match &self.out {
            Some(file) => {
                fs::write(file, text).with_context(|| format!("{} can't be written", file.display()))
            }
            None => Ok(terminal::print(&terminal::printable(&text, terminal::stdout_is_terminal()))?),
        }
    }
}

/// The bytes of a file as the body of a request, piece by piece. Above the limit it ends with an error, and sets `is_over`.
fn bounded(input: impl AsyncRead + Send + 'static, is_over: Arc<AtomicBool>) -> Body {
    let mut total = 0;
    let pieces = ReaderStream::new(input).map(move |piece| {
        total += piece.as_ref().map_or(0, Bytes::len);
        if total <= FILE_MAX_BYTES {
            return piece;
        }
        is_over.store(true, Ordering::Relaxed);
        Err(io::Error::other("the file is over the limit"))
    });
    Body::wrap_stream(pieces)
}

/// Sends a file, and prints the sessions that it has become.
pub(super) async fn import(gateway: &GatewayClient, file: &Path, json: bool) -> anyhow::Result<()> {
    let input: Box<dyn AsyncRead + Send + Unpin> = if file == Path::new("-") {
        Box::new(tokio::io::stdin())
    } else {
        let opened = tokio::fs::File::open(file).await;
        Box::new(opened.with_context(|| format!("{} can't be read", file.display()))?)
    };
    let is_over = Arc::new(AtomicBool::new(false));
    let body = bounded(input, Arc::clone(&is_over));
    let sent = gateway.post_json_body(&["v1", "sessions", "import"], body).await;
    anyhow::ensure!(
        !is_over.load(Ordering::Relaxed),
        "the file is over the limit of {} MB; split it into several lists of conversations",
        FILE_MAX_BYTES >> 20
    );
    let report: SessionImportReport = sent?;
    if json {
        return terminal::print_json(&report);
    }
    for session in &report.imported {
        let title = session.title.as_deref().unwrap_or("-");
        terminal::print_line(&format!("{}  {} messages  {title}", session.id, session.messages))?;
    }
    for part in &report.skipped {
        terminal::note(&format!("left out of {:?}: {} ({})", part.conversation, part.reason, part.count));
    }
    let is_repetition = report.skipped.iter().any(|part| part.reason == IMPORTED_BEFORE);
    anyhow::ensure!(
        is_repetition || !report.imported.is_empty(),
        "the file has no conversation that can be imported"
    );
    Ok(())
}
