//! The commands, each in a file or a folder of its own.

mod backup;
mod chat;
mod config;
mod doctor;
#[cfg(feature = "engine")]
mod engine;
mod generate;
mod key;
mod models;
#[cfg(feature = "engine")]
mod node;
mod sampling;
#[cfg(feature = "engine")]
mod service;
#[cfg(feature = "engine")]
mod storage;
mod token;
#[cfg(feature = "engine")]
mod up;
#[cfg(not(feature = "engine"))]
mod without_engine;

use anyhow::Result;
use clap::{CommandFactory, Subcommand};

use crate::{
    client::terminal,
    context::{Context, ContextFlags},
};

#[cfg(feature = "engine")]
pub(crate) use engine::Engine;
#[cfg(not(feature = "engine"))]
use without_engine::{node, service, storage, up};

/// Every command.
#[cfg_attr(
    feature = "engine",
    expect(clippy::large_enum_variant, reason = "there is one value in a process")
)]
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    #[command(flatten)]
    Configured(ConfiguredCommand),
    #[command(flatten)]
    Standalone(StandaloneCommand),
    /// Run a worker; started by the node
    #[cfg(feature = "engine")]
    #[command(hide = true)]
    Engine {
        #[command(subcommand)]
        command: Engine,
    },
}

/// Commands that read the settings.
#[derive(Debug, Subcommand)]
pub(crate) enum ConfiguredCommand {
    /// Start everything: the gateway, its stores, and a node with a model
    Up(up::Up),
    /// Start a node alone, for a gateway that reaches it directly
    Node(node::NodeCommand),
    /// Chat with a model
    Chat(chat::Chat),
    /// Generate text from one prompt
    Generate(generate::Generate),
    /// List, pull, load and remove models
    Models(models::Models),
    /// Show how much disk space the models use, and remove unused ones
    Storage(storage::Storage),
    /// Check whether this machine is ready to run models
    Doctor(doctor::Doctor),
    /// Create, list and revoke API tokens
    Token(token::Token),
    /// Set, list and remove the keys of providers
    Key(key::Key),
    /// Write everything that users have stored to a file
    Export(backup::Export),
    /// Read a file of `hearth export` into a store
    Import(backup::Import),
    /// Print the effective settings; push, pull and restore the gateway's configuration
    Config(config::ConfigCommand),
}

/// Commands without settings.
#[derive(Debug, Subcommand)]
pub(crate) enum StandaloneCommand {
    /// Run Hearth as a service of systemd
    Service(service::Service),
    /// Print a completion script for a shell
    #[command(after_help = "\
Examples:
  hearth completions bash > ~/.local/share/bash-completion/completions/hearth
  hearth completions zsh > ~/.zfunc/_hearth      # with `fpath+=~/.zfunc` before `compinit` in ~/.zshrc
  hearth completions fish > ~/.config/fish/completions/hearth.fish")]
    Completions {
        /// The shell
        shell: clap_complete::Shell,
    },
    /// Print the OpenAPI document of the API
    #[cfg(feature = "engine")]
    #[command(hide = true)]
    Openapi,
    /// Print every setting with its variable and its default, as JSON
    #[command(hide = true)]
    Settings,
}

impl ConfiguredCommand {
    /// The flags that the command's context is made from.
    pub(crate) fn flags(&self) -> ContextFlags {
        match self {
            Self::Up(up) => up.flags(),
            Self::Node(node) => node.flags(),
            Self::Chat(chat) => (&chat.connection).into(),
            Self::Generate(generate) => (&generate.connection).into(),
            Self::Models(models) => models.flags(),
            Self::Storage(storage) => storage.flags(),
            Self::Doctor(doctor) => doctor.flags(),
            Self::Token(token) => (&token.connection).into(),
            Self::Key(key) => (&key.connection).into(),
            Self::Export(export) => export.flags(),
            Self::Import(import) => import.flags(),
            Self::Config(config) => config.flags(),
        }
    }

    /// Runs the command.
    pub(crate) async fn run(self, context: &Context) -> Result<()> {
        match self {
            Self::Up(up) => up.run(context).await,
            Self::Node(node) => node.run(context).await,
            Self::Chat(chat) => chat.run(context).await,
            Self::Generate(generate) => generate.run(context).await,
            Self::Models(models) => models.run(context).await,
            Self::Storage(storage) => storage.run(context).await,
            Self::Doctor(doctor) => doctor.run(context).await,
            Self::Token(token) => token.run(context).await,
            Self::Key(key) => key.run(context).await,
            Self::Export(export) => export.run(context).await,
            Self::Import(import) => import.run(context).await,
            Self::Config(config) => config.run(context).await,
        }
    }
}

impl StandaloneCommand {
    /// Runs the command. `Root` is the whole command line, for completions.
    pub(crate) async fn run<Root: CommandFactory>(self) -> Result<()> {
        match self {
            Self::Service(service) => service.run(),
            Self::Completions { shell } => {
                let mut script = Vec::new();
                clap_complete::generate(shell, &mut Root::command(), "hearth", &mut script);
                Ok(terminal::print(&String::from_utf8_lossy(&script))?)
            }
            #[cfg(feature = "engine")]
            Self::Openapi => Ok(terminal::print(&format!("{}\n", crate::api::document()?))?),
            Self::Settings => config::list(),
        }
    }
}
