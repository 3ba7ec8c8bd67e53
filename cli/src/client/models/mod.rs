//! `hearth models`: what there is, what is in memory, and how to get more, or fewer.

mod info;
mod list;
mod load;
mod local;
mod remove;

use std::path::PathBuf;

use serde_json::Value;

use super::{connection::Connection, http::Gateway, pull::Pull, terminal};

pub use super::pull::PullSettings;
pub use info::Info;
pub use list::List;
pub use load::Load;
pub use local::LocalModels;
pub use remove::Remove;

/// List, load, unload, download and remove models
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  hearth models pull Qwen/Qwen3-0.6B-GGUF
  hearth models list
  hearth models info Qwen3-0.6B-Q8_0
  hearth models load Qwen3-0.6B-Q8_0
  hearth models remove Qwen3-0.6B-Q8_0

`pull` works without a running gateway; `info` and `remove` do so for models of this machine.")]
pub struct Models {
    #[command(subcommand)]
    pub command: ModelsCommand,
    /// The data folder whose models are meant
    #[arg(long, global = true, value_name = "DIR")]
    pub data: Option<PathBuf>,
    #[command(flatten)]
    pub connection: Connection,
}

/// What to do with models.
#[derive(Debug, clap::Subcommand)]
pub enum ModelsCommand {
    /// Show the models and what they are doing
    List(List),
    /// Read a model into memory
    Load(Load),
    /// Take a model out of memory
    Unload {
        /// The model's id
        #[arg(value_name = "ID")]
        id: String,
    },
    /// Show everything that is known of a model
    Info(Info),
    /// Download a model file from Hugging Face. The gateway need not run
    Pull(Pull),
    /// Remove a model's file from this machine
    Remove(Remove),
}

impl Models {
    /// Does what was asked; `pull` says where a download comes from and goes, `local` which models this machine has.
    ///
    /// # Errors
    /// No gateway, the gateway's own error, or why a download or a removal failed.
    pub async fn run(self, pull: &PullSettings, local: &LocalModels) -> anyhow::Result<()> {
        let json = self.connection.json;
        match self.command {
            ModelsCommand::Info(command) => command.run(&self.connection, local).await,
            ModelsCommand::Remove(command) => command.run(&self.connection, local).await,
            ModelsCommand::Pull(command) => command.run(pull, json).await,
            ModelsCommand::List(command) => command.run(&Gateway::new(&self.connection)?, json).await,
            ModelsCommand::Load(command) => command.run(&Gateway::new(&self.connection)?, json).await,
            ModelsCommand::Unload { id } => unload(&Gateway::new(&self.connection)?, &id, json).await,
        }
    }
}

async fn unload(gateway: &Gateway, id: &str, json: bool) -> anyhow::Result<()> {
    let answer: Value = gateway.post(&["v1", "models", id, "unload"], &serde_json::json!({})).await?;
    if json {
        return terminal::print_json(&answer);
    }
    Ok(terminal::print_line(&format!("{id} is unloaded"))?)
}
