//! `hearth`: the gateway and its node in one process (`up`), the node alone (`node`), and the client
//! commands.

#![expect(clippy::print_stdout, clippy::print_stderr, reason = "this is a command line")]

mod api;
pub mod client;
mod examined;
mod home;
mod node;
mod service;
mod settings;

use std::{path::PathBuf, process::ExitCode};

use anyhow::Result;
use clap::{CommandFactory as _, Parser, Subcommand};
use hearth_node::confine;
use home::commands_access::CommandsAccess;
use mimalloc::MiMalloc;
use settings::Settings;

/// A request is many small allocations, made in one thread and freed in another: this one is quicker at that than
/// the system's, and gives back more.
#[global_allocator]
static ALLOCATOR: MiMalloc = MiMalloc;

/// More threads in the background would have nothing to do.
const WORKERS_MAX_COUNT: usize = 4;

/// An AI gateway at home: local models and one API for all of them.
#[derive(Debug, Parser)]
#[command(
    name = "hearth",
    version,
    propagate_version = true,
    after_help = "\
Start with:
  hearth up                                     # in one terminal
  hearth chat                                   # in another
  hearth models pull Qwen/Qwen3-0.6B-GGUF       # a model to work with
  hearth doctor                                 # if something doesn't work

Each command says more with --help."
)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Start everything: the gateway, its stores, and a node with a model
    Up(home::Up),
    /// Start a node alone, for a gateway that reaches it directly
    Node(node::NodeCommand),
    /// Chat with a model
    Chat(client::chat::Chat),
    /// Generate text from one prompt
    Generate(client::generate::Generate),
    /// List, pull, load and remove models
    Models(client::models::Models),
    /// Show what the models take on the disk, and remove what isn't used
    Storage(client::storage::Storage),
    /// Look whether this machine is ready to run models
    Doctor(client::doctor::Doctor),
    /// Make, list and revoke API tokens
    Token(client::token::Token),
    /// Set, list and remove the keys of providers
    Key(client::key::Key),
    /// Run Hearth as a service of systemd
    Service(service::Service),
    /// Print the effective settings, without secrets
    Config(settings::Source),
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
    #[command(hide = true)]
    Openapi,
    /// Run a worker; started by the node
    #[command(hide = true)]
    Engine {
        #[command(subcommand)]
        command: EngineCommand,
    },
}

/// What a child process of the node does.
#[derive(Debug, Subcommand)]
enum EngineCommand {
    /// Load a model and carry out runs; the socket to the node is standard input
    Llama {
        /// What it may do, as JSON
        #[arg(long)]
        confinement: Option<String>,
    },
    /// Print the devices of these backends as JSON
    Probe {
        /// A library to load
        #[arg(long = "backend")]
        backends: Vec<PathBuf>,
    },
    /// Print ggml's score of a backend on this processor as JSON
    Score {
        /// The library
        backend: PathBuf,
    },
    /// Compute with these backends and print the results as lines of JSON
    SelfTest {
        /// A library to load; without one, the backends that were built in
        #[arg(long = "backend")]
        backends: Vec<PathBuf>,
        /// A folder for the models to test with
        #[arg(long)]
        folder: PathBuf,
    },
}

fn main() -> ExitCode {
    let cli = Cli::parse();
    // reqwest and the AWS clients take whichever provider is installed; there is one in the process.
    let _ = rustls::crypto::ring::default_provider().install_default();
    match run(cli.command) {
        Ok(code) => code,
        Err(error) => match client::quiet_exit(&error) {
            Some(code) => code.into(),
            None => {
                client::terminal::note(&format!("error: {}", client::error::whole(&error)));
                ExitCode::FAILURE
            }
        },
    }
}

fn run(command: Command) -> Result<ExitCode> {
    // Before a thread starts: most of what a worker gives up holds for the threads that start afterwards.
    let confined = match &command {
        Command::Engine { command: EngineCommand::Llama { confinement: Some(confinement) } } => {
            confine::apply(&serde_json::from_str(confinement)?)
        }
        _ => Ok(()),
    };
    let runtime = match &command {
        // A worker's own threads compute; its I/O needs no more than one.
        Command::Engine { .. } => tokio::runtime::Builder::new_current_thread().enable_all().build()?,
        _ => tokio::runtime::Builder::new_multi_thread().worker_threads(workers()).enable_all().build()?,
    };
    runtime.block_on(dispatch(command, confined))?;
    // What still runs in the background has nothing left to do.
    runtime.shutdown_background();
    Ok(ExitCode::SUCCESS)
}

/// Threads for all but the connections, which have [their own](home::serve): records, polling, and large requests.
fn workers() -> usize {
    std::thread::available_parallelism().map_or(1, Into::into).min(WORKERS_MAX_COUNT)
}

async fn dispatch(command: Command, confined: Result<(), String>) -> Result<()> {
    match command {
        Command::Up(up) => home::up(up).await,
        Command::Node(node) => node::run(node).await,
        Command::Chat(mut chat) => {
            chat.connection = with_settings(chat.connection)?;
            chat.run().await
        }
        Command::Generate(mut generate) => {
            generate.connection = with_settings(generate.connection)?;
            generate.run().await
        }
        Command::Models(mut models) => {
            let source = settings::Source { data: models.data.clone(), ..settings::Source::default() };
            let settings = Settings::read(&source)?;
            models.connection = with_access(models.connection, &settings);
            let pull = client::models::PullSettings {
                models_dir: settings.models_folder(),
                hub: settings.hub.url.clone(),
                hub_token: settings.hub.token.clone(),
            };
            let local = examined::local_models(&settings, models.data.is_some());
            models.run(&pull, &local).await
        }
        Command::Storage(storage) => {
            let source = settings::Source { data: storage.data.clone(), ..settings::Source::default() };
            let settings = Settings::read(&source)?;
            let folder = examined::model_folder(&settings);
            let connection = with_access(storage.connection, &settings);
            client::storage::Storage { connection, ..storage }.run(&folder).await
        }
        Command::Doctor(doctor) => {
            let settings = Settings::read(&doctor.source)?;
            let subject = examined::subject(&settings, doctor.connection.url.is_some())?;
            let connection = with_access(doctor.connection, &settings);
            client::doctor::Doctor { connection, ..doctor }.run(&subject).await
        }
        Command::Key(mut key) => {
            key.connection = with_settings(key.connection)?;
            key.run().await
        }
        Command::Token(token) => match (token.data.clone(), token.table.clone()) {
            (Some(data), _) => home::offline::in_folder(token, &data).await,
            (None, Some(table)) => home::offline::in_table(token, &table).await,
            (None, None) => {
                let connection = with_settings(token.connection)?;
                client::token::Token { connection, ..token }.run().await
            }
        },
        Command::Service(service) => service::run(&service),
        Command::Config(source) => Ok(client::terminal::print(&Settings::read(&source)?.shown()?)?),
        Command::Completions { shell } => {
            let mut script = Vec::new();
            clap_complete::generate(shell, &mut Cli::command(), "hearth", &mut script);
            Ok(client::terminal::print(&String::from_utf8_lossy(&script))?)
        }
        Command::Openapi => Ok(client::terminal::print(&format!("{}\n", api::document()?))?),
        Command::Engine { command } => engine(command, confined).await,
    }
}

async fn engine(command: EngineCommand, confined: Result<(), String>) -> Result<()> {
    // A test's models have no vocabulary, of which llama.cpp warns each time.
    let tests = matches!(command, EngineCommand::SelfTest { .. });
    hearth_telemetry::logs::to_supervisor(if tests { "error" } else { "warn" })?;
    if let Err(reason) = confined {
        tracing::warn!(reason, "the worker is confined less than it could be");
    }
    match command {
        EngineCommand::Llama { .. } => Ok(hearth_node::engines::llama::run().await?),
        EngineCommand::Probe { backends } => {
            let probe = hearth_node::engines::probe::look(&backends).map_err(anyhow::Error::msg)?;
            println!("{}", serde_json::to_string(&probe)?);
            Ok(())
        }
        EngineCommand::Score { backend } => {
            println!("{}", hearth_node::backends::score(&backend).map_err(anyhow::Error::msg)?);
            Ok(())
        }
        EngineCommand::SelfTest { backends, folder } => {
            Ok(hearth_node::backends::self_test::run(&backends, &folder, home::model::TINY)?)
        }
    }
}

/// Where the gateway is and who asks: from the settings, where the command line doesn't say.
fn with_settings(connection: client::Connection) -> Result<client::Connection> {
    Ok(with_access(connection, &Settings::read(&settings::Source::default())?))
}

/// The same with settings that were read. The gateway of this data folder takes the token that it has left there.
fn with_access(connection: client::Connection, settings: &Settings) -> client::Connection {
    let connection = connection.or(settings.url.clone(), settings.token.clone());
    match CommandsAccess::read(&settings.data) {
        Some(access) if connection.is_at(&access.url) => {
            // Its own form of the address: the token goes nowhere else.
            connection.at(&access.url).or(None, Some(access.token()))
        }
        _ => connection,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_line_is_consistent() {
        Cli::command().debug_assert();
    }
}
