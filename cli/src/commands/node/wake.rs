//! `hearth node wake`: Wake-on-LAN.

use anyhow::Result;
use hearth_wire::native::nodes::NodeWoken;
use serde_json::json;

use super::manage::{NODES, find};
use crate::{
    client::{connection::Connection, gateway_client::GatewayClient, terminal},
    context::Context,
};

/// Wake a node that sleeps, by another of your nodes in its network
#[derive(Debug, clap::Args)]
#[command(after_help = "\
The other node must run with the setting node.may_wake, and the node that sleeps must have run once, so that the gateway \
knows its network card. See docs/waiting.md.")]
pub(crate) struct Wake {
    /// The node: its id or its name
    #[arg(value_name = "NODE")]
    node: String,
    #[command(flatten)]
    pub(super) connection: Connection,
}

impl Wake {
    pub(super) async fn run(self, context: &Context) -> Result<()> {
        let gateway = GatewayClient::new(&context.connection)?;
        let node = find(&gateway, &self.node).await?;
        let woken: NodeWoken = gateway.post(&[&NODES[..], &[&node.id, "wake"]].concat(), &json!({})).await?;
        if context.connection.json {
            return terminal::print_json(&woken);
        }
        let text = format!("{} has sent a wake-up packet to {}", woken.by, node.name);
        Ok(terminal::print_line(&text)?)
    }
}
