//! `hearth models`: lists, loads, downloads and removes models.

mod export;
mod info;
mod list;
mod load;
#[cfg(feature = "engine")]
mod local;
#[cfg(not(feature = "engine"))]
#[path = "no_local.rs"]
mod local;
mod pull;
mod register;
mod remove;
mod schema;

use std::path::PathBuf;

use serde_json::Value;

use crate::{
    client::{connection::Connection, gateway_client::GatewayClient, terminal},
    context::{Context, ContextFlags},
    settings::SettingsFlags,
};
use export::{Export, Import};
use info::Info;
use list::List;
use load::Load;
use local::LocalModels;
use pull::Pull;
pub(crate) use pull::follow;
use register::{Register, Update, unregister};
use remove::Remove;
use schema::Schema;

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
pub(crate) struct Models {
    #[command(subcommand)]
    pub(crate) command: ModelsCommand,
    /// The data folder of the models
    #[arg(long, global = true, value_name = "DIR")]
    pub(crate) data: Option<PathBuf>,
    #[command(flatten)]
    pub(crate) connection: Connection,
}

/// Commands for models.
#[derive(Debug, clap::Subcommand)]
pub(crate) enum ModelsCommand {
    /// Show the models and their state
    List(List),
    /// Load a model into memory
    Load(Load),
    /// Remove a model from memory
    Unload {
        /// The model's id
        #[arg(value_name = "ID")]
        id: String,
    },
    /// Show all information on a model
    Info(Info),
    /// Download a model, from Hugging Face or elsewhere. The gateway need not run
    Pull(Pull),
    /// Remove a model's file from this machine
    Remove(Remove),
    /// Register a model: a name for a model of a node or a provider, or a local file
    Register(Register),
    /// Change a registered model
    Update(Update),
    /// Remove a registered model's entry, and no file
    Unregister {
        /// The entry's id
        #[arg(value_name = "ID")]
        id: String,
    },
    /// Show or edit the schema of a model's parameters
    Schema(Schema),
    /// Export the registry as JSON Lines, or as SQL for PostgreSQL
    Export(Export),
    /// Import registered models and schemas from a file of `hearth models export`
    Import(Import),
}

impl Models {
    pub(crate) fn flags(&self) -> ContextFlags {
        ContextFlags {
            settings: SettingsFlags::with_data(self.data.clone()),
            connection: self.connection.clone(),
        }
    }

    /// Runs the command.
    ///
    /// # Errors
    /// No gateway, an error of the gateway, or a failed download or removal.
    pub(crate) async fn run(self, context: &Context) -> anyhow::Result<()> {
        let (connection, json) = (&context.connection, context.connection.json);
        let local = || LocalModels::new(&context.settings, self.data.is_some());
        match self.command {
            ModelsCommand::Info(command) => command.run(connection, &local()).await,
            ModelsCommand::Remove(command) => command.run(connection, &local()).await,
            ModelsCommand::Pull(command) => {
                let place = (context.is_url_set, self.data.as_ref());
                command.run(&context.settings, connection, place).await
            }
            ModelsCommand::List(command) => command.run(&GatewayClient::new(connection)?, json).await,
            ModelsCommand::Load(command) => command.run(&GatewayClient::new(connection)?, json).await,
            ModelsCommand::Register(command) => command.run(&GatewayClient::new(connection)?, json).await,
            ModelsCommand::Update(command) => command.run(&GatewayClient::new(connection)?, json).await,
            ModelsCommand::Unregister { id } => unregister(&GatewayClient::new(connection)?, &id, json).await,
            ModelsCommand::Schema(command) => command.run(&GatewayClient::new(connection)?, json).await,
            ModelsCommand::Export(command) => command.run(&GatewayClient::new(connection)?).await,
            ModelsCommand::Import(command) => command.run(&GatewayClient::new(connection)?, json).await,
            ModelsCommand::Unload { id } => unload(&GatewayClient::new(connection)?, &id, json).await,
        }
    }
}

async fn unload(gateway: &GatewayClient, id: &str, json: bool) -> anyhow::Result<()> {
    let answer: Value = gateway.post(&["v1", "models", id, "unload"], &serde_json::json!({})).await?;
    if json {
        return terminal::print_json(&answer);
    }
    Ok(terminal::print_line(&format!("{id} is unloaded"))?)
}
