//! The commands, each in a file or a folder of its own.

mod access_key;
mod analyze;
mod audit;
mod backup;
mod batch;
mod chat;
mod config;
mod definitions;
mod doctor;
#[cfg(feature = "engine")]
mod engine;
mod files;
mod generate;
mod invite;
mod jobs;
mod key;
mod login;
mod models;
mod node;
mod offline;
mod org;
mod requests;
mod sampling;
#[cfg(feature = "engine")]
mod service;
mod sessions;
mod signing_key;
#[cfg(feature = "engine")]
mod storage;
mod team;
mod token;
#[cfg(feature = "engine")]
mod up;
mod usage;
mod user;
mod webhook;
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
use without_engine::{service, storage, up};

/// Every command.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    #[command(flatten)]
    Configured(Box<ConfiguredCommand>),
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
    /// Enrol and run nodes, and manage those of a gateway
    Node(node::NodeCommand),
    /// Chat with a model
    Chat(chat::Chat),
    /// Generate text from one prompt
    Generate(generate::Generate),
    /// Extract data from texts, by a JSON Schema
    Analyze(Box<analyze::Analyze>),
    /// List, show, create, update, label and delete schemas of answers
    Schema(definitions::Schema),
    /// List, show, create, update, label, render and delete templates of prompts
    Template(definitions::Template),
    /// List, create, show, rename, search, export and import sessions
    Sessions(sessions::Sessions),
    /// List, show, cancel, repeat and delete requests
    Requests(requests::Requests),
    /// List, upload, read and delete files
    Files(files::Files),
    /// Submit, list, watch and cancel batches of requests, and read their results
    Batch(batch::Batch),
    /// List, pull, load and remove models
    Models(models::Models),
    /// Submit, list, follow, pause and cancel jobs: generations, analyses, batches and downloads
    Jobs(jobs::Jobs),
    /// Show how much disk space the models use, and remove unused ones
    Storage(storage::Storage),
    /// Check whether this machine is ready to run models
    Doctor(doctor::Doctor),
    /// Manage organisations and their members
    Org(org::Org),
    /// Manage the teams of the organisation
    Team(team::Team),
    /// Sign in to a gateway
    Login(login::Login),
    /// End the login at a gateway
    Logout(login::Logout),
    /// Show who the commands act as
    Whoami(login::Whoami),
    /// Create, list, rename, rotate and revoke API tokens
    Token(token::Token),
    /// Create, list and revoke access keys, which run named local models
    AccessKey(access_key::AccessKey),
    /// Set, list and remove the keys of providers
    Key(key::Key),
    /// Create, list, show, disable and erase users
    User(user::User),
    /// Invite people into an organisation, and accept invitations
    Invite(invite::Invite),
    /// List and rotate the keys that sign access tokens
    SigningKey(signing_key::SigningKey),
    /// Show how much was used, and what it cost
    Usage(usage::Usage),
    /// List, set and remove limits of requests, tokens and money
    Limit(usage::limit::Limit),
    /// Create, list, test and pause webhooks, and read and replay their deliveries
    Webhook(webhook::Webhook),
    /// Read, export and verify the audit log
    Audit(audit::Audit),
    /// Write everything that users have stored to a file
    Export(backup::Export),
    /// Read a file of `hearth export` into a store
    Import(backup::Import),
    /// Rewrite stored items of earlier versions, or undo that
    Migrate(backup::Migrate),
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
            Self::Analyze(analyze) => (&analyze.connection).into(),
            Self::Schema(schema) => (&schema.connection).into(),
            Self::Template(template) => (&template.connection).into(),
            Self::Sessions(sessions) => (&sessions.connection).into(),
            Self::Requests(requests) => (&requests.connection).into(),
            Self::Files(files) => (&files.connection).into(),
            Self::Batch(batch) => (&batch.connection).into(),
            Self::Models(models) => models.flags(),
            Self::Jobs(jobs) => jobs.flags(),
            Self::Storage(storage) => storage.flags(),
            Self::Doctor(doctor) => doctor.flags(),
            Self::Org(org) => (&org.connection).into(),
            Self::Team(team) => (&team.connection).into(),
            Self::Login(login) => (&login.connection()).into(),
            Self::Logout(logout) => (&logout.connection).into(),
            Self::Whoami(whoami) => (&whoami.connection).into(),
            Self::Token(token) => (&token.connection).into(),
            Self::AccessKey(key) => (&key.connection).into(),
            Self::Key(key) => (&key.connection).into(),
            Self::User(user) => (&user.connection).into(),
            Self::Invite(invite) => (&invite.connection).into(),
            Self::SigningKey(key) => (&key.connection).into(),
            Self::Usage(usage) => (&usage.connection).into(),
            Self::Limit(limit) => (&limit.connection).into(),
            Self::Webhook(webhook) => (&webhook.connection).into(),
            Self::Audit(audit) => (&audit.connection).into(),
            Self::Export(export) => export.flags(),
            Self::Import(import) => import.flags(),
            Self::Migrate(migrate) => migrate.flags(),
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
            Self::Analyze(analyze) => analyze.run(context).await,
            Self::Schema(schema) => schema.run(context).await,
            Self::Template(template) => template.run(context).await,
            Self::Sessions(sessions) => sessions.run(context).await,
            Self::Requests(requests) => requests.run(context).await,
            Self::Files(files) => files.run(context).await,
            Self::Batch(batch) => batch.run(context).await,
            Self::Models(models) => models.run(context).await,
            Self::Jobs(jobs) => jobs.run(context).await,
            Self::Storage(storage) => storage.run(context).await,
            Self::Doctor(doctor) => doctor.run(context).await,
            Self::Org(org) => org.run(context).await,
            Self::Team(team) => team.run(context).await,
            Self::Login(login) => login.run(context).await,
            Self::Logout(logout) => logout.run(context).await,
            Self::Whoami(whoami) => whoami.run(context).await,
            Self::Token(token) => token.run(context).await,
            Self::AccessKey(key) => key.run(context).await,
            Self::Key(key) => key.run(context).await,
            Self::User(user) => user.run(context).await,
            Self::Invite(invite) => invite.run(context).await,
            Self::SigningKey(key) => key.run(context).await,
            Self::Usage(usage) => usage.run(context).await,
            Self::Limit(limit) => limit.run(context).await,
            Self::Webhook(webhook) => webhook.run(context).await,
            Self::Audit(audit) => audit.run(context).await,
            Self::Export(export) => export.run(context).await,
            Self::Import(import) => import.run(context).await,
            Self::Migrate(migrate) => migrate.run(context).await,
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
