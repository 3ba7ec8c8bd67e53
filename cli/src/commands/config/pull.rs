//! `hearth config pull`.

use anyhow::Result;
use clap::Args;
use hearth_settings::RoutingDocument;
use hearth_wire::native::configuration::{ConfigurationBody, StoredConfiguration};

use crate::{
    client::{connection::Connection, gateway_client::GatewayClient, terminal},
    context::Context,
};

/// Print the gateway's configuration as TOML, or as JSON with --json
#[derive(Debug, Args)]
pub(super) struct Pull {
    /// An earlier version [default: the current one]
    #[arg(value_name = "VERSION")]
    number: Option<u64>,
    #[command(flatten)]
    pub(super) connection: Connection,
}

impl Pull {
    /// Prints the configuration.
    pub(super) async fn run(self, context: &Context) -> Result<()> {
        let gateway = GatewayClient::new(&context.connection)?;
        let (version, configuration) = match self.number {
            Some(number) => {
                let segments = ["v1", "config", "versions", &number.to_string()];
                let stored: StoredConfiguration = gateway.get(&segments, &[]).await?;
                (number, Some(stored.configuration))
            }
            None => {
                let current: ConfigurationBody = gateway.get(&["v1", "config"], &[]).await?;
                if let Some(problem) = &current.problem {
                    terminal::note(&format!("warning: {problem}"));
                }
                (current.version, current.configuration)
            }
        };
        let Some(configuration) = configuration else {
            anyhow::bail!(
                "the gateway can't read version {version} of its configuration; `hearth config restore N` restores an \
                 earlier version, and `hearth config history` lists them"
            );
        };
        if context.connection.json {
            return terminal::print_json(&configuration);
        }
        if version == 0 {
            terminal::note("no configuration is stored; store one with `hearth config push FILE`");
        }
        Ok(terminal::print(&RoutingDocument::json_to_toml(&configuration)?)?)
    }
}
