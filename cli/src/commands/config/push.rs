//! `hearth config push` and `hearth config diff`.

use std::{
    io::Read as _,
    path::{Path, PathBuf},
};

use anyhow::{Context as _, Result};
use clap::Args;
use hearth_gateway::Routing;
use hearth_settings::DocumentFile;
use hearth_wire::native::configuration::{ConfigurationBody, PutConfiguration, StoredConfiguration};
use serde_json::{Value, json};

use super::changes::{changes, lines};
use crate::{
    client::{connection::Connection, gateway_client::GatewayClient, terminal},
    context::Context,
};

/// The path that stands for standard input.
const STDIN: &str = "-";
/// Limit of a file's size. The gateway's is lower.
const FILE_MAX_BYTES: u64 = 4 << 20;

/// Store a file's settings as the gateway's next configuration
#[derive(Debug, Args)]
#[command(after_help = "\
The file has the tables providers, aliases, fallbacks, selection and models, as in hearth.toml, or the same as a JSON object. It
is checked whole before it is stored, and replaces the gateway's configuration. Keys are stored with `hearth key set`.

Examples:
  hearth config push routing.toml
  hearth config push --yes --message 'Groq first' routing.toml
  hearth config push --based-on 3 routing.toml    # refused if another version was stored since
  hearth config push --empty - < /dev/null        # no settings but those of hearth.toml")]
pub(super) struct Push {
    /// The file, as TOML or JSON; - for standard input
    #[arg(value_name = "FILE")]
    file: PathBuf,
    /// A note for the history
    #[arg(short, long, value_name = "TEXT")]
    message: Option<String>,
    /// The version that the file is based on [default: the current one]
    #[arg(long, value_name = "N")]
    based_on: Option<u64>,
    /// Don't ask for confirmation on a terminal
    #[arg(short, long)]
    yes: bool,
    /// Store a file without any setting, so that all of the configuration is removed
    #[arg(long)]
    empty: bool,
    #[command(flatten)]
    pub(super) connection: Connection,
}

/// Show the changes that a push of a file would make
#[derive(Debug, Args)]
pub(super) struct Diff {
    /// The file, as TOML or JSON; - for standard input
    #[arg(value_name = "FILE")]
    file: PathBuf,
    /// The version to compare with [default: the current one]
    #[arg(long, value_name = "N")]
    against: Option<u64>,
    #[command(flatten)]
    pub(super) connection: Connection,
}

impl Push {
    /// Checks the file, shows its changes on a terminal, and stores it.
    pub(super) async fn run(self, context: &Context) -> Result<()> {
        let json = context.connection.json;
        let configuration = read(&self.file)?;
        anyhow::ensure!(
            self.empty || !changes(&json!({}), &configuration).is_empty(),
            "{} has no settings: it would remove all of the configuration; for an earlier version, use \
             `hearth config restore VERSION`, or add --empty to remove all",
            shown(&self.file).display()
        );
        let gateway = GatewayClient::new(&context.connection)?;
        let current: ConfigurationBody = gateway.get(&["v1", "config"], &[]).await?;
        let version = self.based_on.unwrap_or(current.version);
        let before = current.configuration.clone().unwrap_or_else(|| json!({}));
        let differences = changes(&before, &configuration);
        if differences.is_empty() && version == current.version && current.problem.is_none() {
            if json {
                return terminal::print_json(&current);
            }
            terminal::note(&format!("version {version} of the configuration has these settings already"));
            return Ok(());
        }
        let is_asked = !self.yes && !json && self.file != Path::new(STDIN) && terminal::stdin_is_terminal();
        if is_asked {
            terminal::print(&lines(&differences))?;
            let question = format!("Store this after version {version} at {}?", gateway.address());
            anyhow::ensure!(terminal::confirm(&question)?, "nothing was stored");
        }
        let request = PutConfiguration { version, configuration, message: self.message };
        let stored: ConfigurationBody = gateway.put_json(&["v1", "config"], &request).await?;
        print_stored(&stored, json)?;
        terminal::next_steps(
            json,
            &["hearth config history    # with the versions for `hearth config restore`"],
        );
        Ok(())
    }
}

impl Diff {
    /// Checks the file, and prints its changes.
    pub(super) async fn run(self, context: &Context) -> Result<()> {
        let after = read(&self.file)?;
        let gateway = GatewayClient::new(&context.connection)?;
        let before = match self.against {
            Some(version) => {
                let segments = ["v1", "config", "versions", &version.to_string()];
                gateway.get::<StoredConfiguration>(&segments, &[]).await?.configuration
            }
            None => {
                let current: ConfigurationBody = gateway.get(&["v1", "config"], &[]).await?;
                current.configuration.unwrap_or_else(|| json!({}))
            }
        };
        let differences = changes(&before, &after);
        if context.connection.json {
            return terminal::print_json(&json!({"changes": differences}));
        }
        if differences.is_empty() {
            terminal::note("there is no difference");
        }
        Ok(terminal::print(&lines(&differences))?)
    }
}

/// Prints the version that was stored.
pub(super) fn print_stored(stored: &ConfigurationBody, json: bool) -> Result<()> {
    if json {
        return terminal::print_json(stored);
    }
    let version = stored.version;
    for warning in &stored.warnings {
        terminal::note(&format!("warning: {warning}"));
    }
    Ok(terminal::print_line(&format!(
        "version {version} of the configuration is stored; every process of the gateway follows it within \
         its refresh interval (a minute by default)"
    ))?)
}

/// The path, as messages have it.
fn shown(path: &Path) -> &Path {
    if path == Path::new(STDIN) { Path::new("standard input") } else { path }
}

/// Reads and checks a file, as the gateway does.
fn read(path: &Path) -> Result<Value> {
    let mut text = String::new();
    if path == Path::new(STDIN) {
        let mut stdin = std::io::stdin().take(FILE_MAX_BYTES);
        stdin.read_to_string(&mut text).context("standard input can't be read")?;
    } else {
        let unreadable = || format!("{} can't be read", path.display());
        let file = std::fs::File::open(path).with_context(unreadable)?;
        let mut file = file.take(FILE_MAX_BYTES);
        file.read_to_string(&mut text).with_context(unreadable)?;
    }
    let file = DocumentFile::parse(shown(path), &text)?;
    Routing::default().with_document(&file.document).map_err(|error| file.locate(&error.to_string()))?;
    Ok(file.json)
}
