//! `hearth models`: what there is, what is in memory, and how to get more.

mod list;
mod load;

use std::path::PathBuf;

use serde_json::Value;

use super::{connection::Connection, http::Gateway, pull::Pull, terminal};

pub use super::pull::PullSettings;
pub use list::List;
pub use load::Load;

/// List, load, unload and download models
#[derive(Debug, clap::Args)]
pub struct Models {
    #[command(subcommand)]
    pub command: ModelsCommand,
    /// The data folder that `pull` saves to
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
    /// Download a model file from Hugging Face. The gateway need not run
    Pull(Pull),
}

impl Models {
    /// Does what was asked; `pull` says where a download comes from and goes.
    ///
    /// # Errors
    /// No gateway, the gateway's own error, or why a download failed.
    pub async fn run(self, pull: &PullSettings) -> anyhow::Result<()> {
        let json = self.connection.json;
        match self.command {
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
