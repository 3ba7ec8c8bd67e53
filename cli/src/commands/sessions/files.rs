//! `hearth sessions export` and `hearth sessions import`.

use std::{
    fs,
    io::Read as _,
    path::{Path, PathBuf},
};

use anyhow::Context as _;
use clap::{Args, ValueEnum};
use hearth_wire::native::sessions::SessionImportReport;

use crate::client::{gateway_client::GatewayClient, terminal};

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

/// Sends a file, and prints the sessions that it has become.
pub(super) async fn import(gateway: &GatewayClient, file: &Path, json: bool) -> anyhow::Result<()> {
    let text = if file == Path::new("-") {
        let mut text = Vec::new();
        std::io::stdin().read_to_end(&mut text).context("standard input can't be read")?;
        text
    } else {
        fs::read(file).with_context(|| format!("{} can't be read", file.display()))?
    };
    let report: SessionImportReport = gateway.post_json_text(&["v1", "sessions", "import"], text).await?;
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
    anyhow::ensure!(!report.imported.is_empty(), "the file has no conversation that can be imported");
    Ok(())
}
