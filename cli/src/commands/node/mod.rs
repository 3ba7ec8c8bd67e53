//! `hearth node`: this machine's node, and the nodes of a gateway.

mod code;
#[cfg(feature = "engine")]
mod enroll;
#[cfg(feature = "engine")]
mod install;
mod manage;
mod output;
#[cfg(feature = "engine")]
mod run;
mod wake;

use anyhow::Result;
use clap::{Args, Subcommand};

#[cfg(not(feature = "engine"))]
use super::without_engine::node::{enroll, install, run};
use crate::{
    client::connection::Connection,
    context::{Context, ContextFlags},
};
use code::Code;
use manage::{Drain, List, Rename, Revoke, Share, Status};
use wake::Wake;

/// Enrol this machine as a node of a gateway and run it, and manage the nodes of a gateway
#[derive(Debug, Args)]
#[command(after_help = "\
A machine at home becomes a provider of a gateway, with no open port:
  hearth node code                                  # where you use the gateway: prints the next command
  hearth node enroll https://ai.example.org CODE    # on the machine
  hearth node run                                   # on the machine; or `hearth node install`, as a service
  hearth node list                                  # where you use the gateway

A node is named by its id, or by its name if no other node has it. For gateway and node on one machine `hearth up` is \
enough. See docs/bring-your-own-box.md.")]
pub(crate) struct NodeCommand {
    #[command(subcommand)]
    action: NodeAction,
}

/// Commands for nodes.
#[derive(Debug, Subcommand)]
enum NodeAction {
    /// Run this machine's node, for the gateway that it is enrolled at
    Run(run::Run),
    /// Make this machine a node of a gateway, by a code
    Enroll(enroll::Enroll),
    /// Run this machine's node as a service of systemd or launchd
    Install(install::Install),
    /// Create a code, by which one machine is enrolled within ten minutes
    #[command(alias = "enroll-code")]
    Code(Code),
    /// Show the nodes that you may use
    List(List),
    /// Show everything that is known of a node
    Status(Status),
    /// Change the name of a node
    Rename(Rename),
    /// Choose who may use a node beside its owner
    Share(Share),
    /// Give a node no further runs; those that it has go on
    Drain(Drain),
    /// Wake a node that sleeps, by another of your nodes in its network
    Wake(Wake),
    /// Remove a node from the gateway: its key is no longer accepted
    Revoke(Revoke),
}

impl NodeAction {
    /// The connection to the gateway, of a command that has one.
    fn connection(&self) -> Option<&Connection> {
        match self {
            Self::Run(_) | Self::Enroll(_) | Self::Install(_) => None,
            Self::Code(code) => Some(&code.connection),
            Self::List(list) => Some(&list.connection),
            Self::Status(status) => Some(&status.connection),
            Self::Rename(rename) => Some(&rename.connection),
            Self::Share(share) => Some(&share.connection),
            Self::Drain(drain) => Some(&drain.connection),
            Self::Wake(wake) => Some(&wake.connection),
            Self::Revoke(revoke) => Some(&revoke.connection),
        }
    }
}

impl NodeCommand {
    pub(crate) fn flags(&self) -> ContextFlags {
        match &self.action {
            NodeAction::Run(run) => run.flags(),
            NodeAction::Enroll(enroll) => enroll.flags(),
            NodeAction::Install(install) => install.flags(),
            action => action.connection().map(ContextFlags::from).unwrap_or_default(),
        }
    }

    /// Runs the command.
    ///
    /// # Errors
    /// As of the command.
    pub(crate) async fn run(self, context: &Context) -> Result<()> {
        match self.action {
            NodeAction::Run(run) => run.run(context).await,
            NodeAction::Enroll(enroll) => enroll.run(context).await,
            NodeAction::Install(install) => install.run(context).await,
            NodeAction::Code(code) => code.run(context).await,
            NodeAction::List(list) => list.run(context).await,
            NodeAction::Status(status) => status.run(context).await,
            NodeAction::Rename(rename) => rename.run(context).await,
            NodeAction::Share(share) => share.run(context).await,
            NodeAction::Drain(drain) => drain.run(context).await,
            NodeAction::Wake(wake) => wake.run(context).await,
            NodeAction::Revoke(revoke) => revoke.run(context).await,
        }
    }
}
