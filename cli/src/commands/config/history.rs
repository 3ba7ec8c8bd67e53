//! `hearth config history` and `hearth config restore`.

use anyhow::Result;
use clap::Args;
use hearth_wire::native::configuration::{
    ConfigurationBody, ConfigurationHistory, ConfigurationSummary, RestoreConfiguration,
};

use super::push::print_stored;
use crate::{
    client::{connection::Connection, gateway_client::GatewayClient, table::Table, terminal},
    context::Context,
};

/// List the stored versions of the gateway's configuration, newest first
#[derive(Debug, Args)]
pub(super) struct History {
    #[command(flatten)]
    pub(super) connection: Connection,
}

/// Make an earlier version the gateway's next configuration
#[derive(Debug, Args)]
pub(super) struct Restore {
    /// The version, as `hearth config history` lists it
    #[arg(value_name = "VERSION")]
    number: u64,
    /// A note for the history
    #[arg(short, long, value_name = "TEXT")]
    message: Option<String>,
    #[command(flatten)]
    pub(super) connection: Connection,
}

impl History {
    /// Prints the versions.
    pub(super) async fn run(self, context: &Context) -> Result<()> {
        let gateway = GatewayClient::new(&context.connection)?;
        let history: ConfigurationHistory = gateway.get(&["v1", "config", "versions"], &[]).await?;
        if context.connection.json {
            return terminal::print_json(&history);
        }
        if history.versions.is_empty() {
            terminal::note("no configuration is stored; store one with `hearth config push FILE`");
            return Ok(());
        }
        let mut table = Table::new(["VERSION", "STORED", "TOKEN", "NOTE"]);
        for ConfigurationSummary { version, author, created_at, message, restores } in history.versions {
            let restores = restores.map(|version| format!("restores version {version}"));
            let note: Vec<String> = [restores, message].into_iter().flatten().collect();
            table.push([version.to_string(), created_at, author, note.join(": ")]);
        }
        Ok(terminal::print(&table.fitted(terminal::columns()))?)
    }
}

impl Restore {
    /// Stores a copy of the version.
    pub(super) async fn run(self, context: &Context) -> Result<()> {
        let gateway = GatewayClient::new(&context.connection)?;
        let current: ConfigurationBody = gateway.get(&["v1", "config"], &[]).await?;
        let number = self.number.to_string();
        let request = RestoreConfiguration { version: current.version, message: self.message };
        let segments = ["v1", "config", "versions", &number, "restore"];
        let stored: ConfigurationBody = gateway.post(&segments, &request).await?;
        print_stored(&stored, context.connection.json)
    }
}
