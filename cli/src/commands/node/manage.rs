//! Commands for the nodes of a gateway: list, show, rename, share, drain, revoke.

use anyhow::{Context as _, Result, ensure};
use hearth_wire::native::nodes::{ChangeNode, NodeBody, NodeList, NodeSharingBody};
use serde_json::json;

use super::output::{print_changed, print_list, print_node};
use crate::{
    client::{connection::Connection, gateway_client::GatewayClient, terminal},
    commands::{org, team},
    context::Context,
};

pub(super) const NODES: [&str; 2] = ["v1", "nodes"];

/// Show the nodes that you may use
#[derive(Debug, clap::Args)]
pub(crate) struct List {
    #[command(flatten)]
    pub(super) connection: Connection,
}

/// Show everything that is known of a node
#[derive(Debug, clap::Args)]
pub(crate) struct Status {
    /// The node: its id or its name
    #[arg(value_name = "NODE")]
    node: String,
    #[command(flatten)]
    pub(super) connection: Connection,
}

/// Change the name of a node
#[derive(Debug, clap::Args)]
pub(crate) struct Rename {
    /// The node: its id or its name
    #[arg(value_name = "NODE")]
    node: String,
    /// Its new name
    #[arg(value_name = "NAME")]
    name: String,
    #[command(flatten)]
    pub(super) connection: Connection,
}

/// Choose who may use a node beside its owner
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  hearth node share cellar --organisation
  hearth node share cellar --team platform --user usr_01J9ZX5V2QH8N4T6W0C3M7K1RB
  hearth node share cellar --nobody

It replaces those with whom the node was shared before.")]
pub(crate) struct Share {
    /// The node: its id or its name
    #[arg(value_name = "NODE")]
    node: String,
    /// Every member of the organisation
    #[arg(long, conflicts_with = "nobody")]
    organisation: bool,
    /// A team, by its id or name, several times or with commas
    #[arg(long, value_name = "TEAM", value_delimiter = ',', conflicts_with = "nobody")]
    team: Vec<String>,
    /// A user, by the id that `hearth org members` shows, or by the address if you manage members; several times or with commas
    #[arg(long, value_name = "USER", value_delimiter = ',', conflicts_with = "nobody")]
    user: Vec<String>,
    /// Its owner alone
    #[arg(long)]
    nobody: bool,
    #[command(flatten)]
    pub(super) connection: Connection,
}

/// Give a node no further runs; those that it has go on
#[derive(Debug, clap::Args)]
pub(crate) struct Drain {
    /// The node: its id or its name
    #[arg(value_name = "NODE")]
    node: String,
    /// Give it runs again
    #[arg(long)]
    off: bool,
    #[command(flatten)]
    pub(super) connection: Connection,
}

/// Remove a node from the gateway: its key is no longer accepted
#[derive(Debug, clap::Args)]
pub(crate) struct Revoke {
    /// The node: its id or its name
    #[arg(value_name = "NODE")]
    node: String,
    #[command(flatten)]
    pub(super) connection: Connection,
}

impl List {
    pub(super) async fn run(self, context: &Context) -> Result<()> {
        let gateway = GatewayClient::new(&context.connection)?;
        let list: NodeList = gateway.get(&NODES, &[]).await?;
        print_list(&list, context.connection.json)
    }
}

impl Status {
    pub(super) async fn run(self, context: &Context) -> Result<()> {
        let gateway = GatewayClient::new(&context.connection)?;
        print_node(&find(&gateway, &self.node).await?, context.connection.json)
    }
}

impl Rename {
    pub(super) async fn run(self, context: &Context) -> Result<()> {
        let change = ChangeNode { name: Some(self.name), ..ChangeNode::default() };
        let node = change_node(context, &self.node, &change).await?;
        print_changed(&node, &format!("{} is named {}", node.id, node.name), context.connection.json)
    }
}

impl Share {
    pub(super) async fn run(self, context: &Context) -> Result<()> {
        let is_empty = !self.organisation && self.team.is_empty() && self.user.is_empty();
        ensure!(
            !is_empty || self.nobody,
            "say with whom: --organisation, --team TEAM, --user USER, or --nobody for its owner alone"
        );
        let gateway = GatewayClient::new(&context.connection)?;
        let mut teams = Vec::new();
        if !self.team.is_empty() {
            let organisation = org::current(&gateway).await?;
            let path = ["v1", "organisations", &organisation, "teams"];
            for team in &self.team {
                teams.push(team::find(&gateway, &path, team).await?);
            }
        }
        let mut users = Vec::new();
        for user in &self.user {
            users.push(org::find_member(&gateway, user).await?);
        }
        let sharing = NodeSharingBody { organisation: self.organisation, teams, users };
        let change = ChangeNode { sharing: Some(sharing), ..ChangeNode::default() };
        let node = change_node(context, &self.node, &change).await?;
        let with = super::output::sharing(&node.sharing);
        print_changed(&node, &format!("{} serves its owner, and {with}", node.name), context.connection.json)
    }
}

impl Drain {
    pub(super) async fn run(self, context: &Context) -> Result<()> {
        let change = ChangeNode { draining: Some(!self.off), ..ChangeNode::default() };
        let node = change_node(context, &self.node, &change).await?;
        let state = match self.off {
            true => format!("{} gets runs again", node.name),
            false => format!("{} gets no further runs; `hearth node drain --off` ends that", node.name),
        };
        print_changed(&node, &state, context.connection.json)
    }
}

impl Revoke {
    pub(super) async fn run(self, context: &Context) -> Result<()> {
        let gateway = GatewayClient::new(&context.connection)?;
        let node = find(&gateway, &self.node).await?;
        gateway.delete(&[&NODES[..], &[&node.id]].concat()).await?;
        if context.connection.json {
            return terminal::print_json(&json!({"id": node.id, "revoked": true}));
        }
        Ok(terminal::print_line(&format!("the node {} ({}) is revoked", node.name, node.id))?)
    }
}

async fn change_node(context: &Context, node: &str, change: &ChangeNode) -> Result<NodeBody> {
    let gateway = GatewayClient::new(&context.connection)?;
    let node = find(&gateway, node).await?;
    gateway.patch(&[&NODES[..], &[&node.id]].concat(), change).await
}

/// The node with this id or name.
pub(super) async fn find(gateway: &GatewayClient, name: &str) -> Result<NodeBody> {
    let list: NodeList = gateway.get(&NODES, &[]).await?;
    let mut matching = list.nodes.into_iter().filter(|node| node.id == name || node.name == name);
    let node =
        matching.next().with_context(|| format!("there is no node {name:?}; see `hearth node list`"))?;
    ensure!(matching.next().is_none(), "several nodes are named {name:?}; use an id of `hearth node list`");
    Ok(node)
}
