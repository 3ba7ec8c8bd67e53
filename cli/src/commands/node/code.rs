//! `hearth node code`: a code, by which one machine becomes a node.

use anyhow::Result;
use hearth_wire::native::nodes::{CreateNodeCode, CreatedNodeCode};

use crate::{
    client::{connection::Connection, gateway_client::GatewayClient, terminal},
    context::Context,
};

/// Create a code, by which one machine is enrolled within ten minutes
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  hearth node code
  hearth node code --name \"box in the cellar\"

It prints the command to run on the machine. The code is shown only this once, and can be used once.")]
pub(crate) struct Code {
    /// A name for the node; without it: the machine's
    #[arg(long, value_name = "NAME")]
    name: Option<String>,
    #[command(flatten)]
    pub(super) connection: Connection,
}

impl Code {
    /// Asks the gateway for a code, and prints the command.
    pub(super) async fn run(self, context: &Context) -> Result<()> {
        let gateway = GatewayClient::new(&context.connection)?;
        let request = CreateNodeCode { name: self.name };
        let created: CreatedNodeCode = gateway.post(&["v1", "nodes", "codes"], &request).await?;
        // The address that this command has reached, rather than the one that the gateway knows of itself.
        let command = format!("hearth node enroll {} {}", gateway.address(), created.code);
        if context.connection.json {
            return terminal::print_json(&CreatedNodeCode { command, ..created });
        }
        terminal::note(&format!("Run this on the machine, before {}:", created.expires_at));
        terminal::print_line(&command)?;
        if gateway.is_local() {
            terminal::note(
                "note: this address is of this machine; on another one, use an address at which that one reaches the gateway",
            );
        }
        Ok(())
    }
}
