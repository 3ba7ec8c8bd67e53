//! `hearth`: the gateway and its node in one process (`up`), the node alone (`node`), and the client
//! commands.

#![cfg_attr(
    feature = "engine",
    expect(clippy::print_stdout, clippy::print_stderr, reason = "this is a command line")
)]

#[cfg(feature = "engine")]
mod api;
mod client;
mod commands;
mod context;
#[cfg(feature = "engine")]
mod home;
mod settings;

use std::process::ExitCode;

use anyhow::Result;
use clap::{
    CommandFactory as _, Parser,
    error::{ContextKind, ContextValue, ErrorKind},
};
use client::{error, terminal};
use commands::Command;
use context::Context;

/// Threads in the background. More would be idle.
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

`hearth COMMAND --help` has the options of a command, with examples."
)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

fn main() -> ExitCode {
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) => return refuse(error),
    };
    // reqwest and the AWS clients take whichever provider is installed; there is one in the process.
    let _ = rustls::crypto::ring::default_provider().install_default();
    match run(cli.command) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => match error::quiet_exit(&error) {
            Some(code) => code.into(),
            None => {
                match prints_json() {
                    true => terminal::note(&error::to_json(&error)),
                    false => terminal::note(&format!("error: {}", error::with_causes(&error))),
                }
                ExitCode::FAILURE
            }
        },
    }
}

/// True if the command line has `--json`. It may be one that can't be parsed.
fn prints_json() -> bool {
    std::env::args_os().skip(1).take_while(|argument| argument != "--").any(|argument| argument == "--json")
}

/// Prints the help or the version, or the error of a wrong command line.
fn refuse(error: clap::Error) -> ExitCode {
    if !error.use_stderr() {
        error.exit();
    }
    let error = with_tip(without_variables(error, std::env::args_os()));
    if !prints_json() {
        error.exit();
    }
    terminal::note(&error::usage_to_json(&error.render().to_string()));
    u8::try_from(error.exit_code()).map_or(ExitCode::FAILURE, ExitCode::from)
}

/// The same error with the usage of the command alone: clap's names each flag whose variable is set, as if it were required.
fn without_variables(
    error: clap::Error,
    arguments: impl IntoIterator<Item = impl Into<std::ffi::OsString> + Clone>,
) -> clap::Error {
    fn reset(command: clap::Command) -> clap::Command {
        command.mut_args(|argument| argument.env(None::<&str>)).mut_subcommands(reset)
    }
    if error.get(ContextKind::Usage).is_none() {
        return error;
    }
    let plain = reset(Cli::command()).try_get_matches_from(arguments).err();
    plain.filter(|plain| plain.kind() == error.kind()).unwrap_or(error)
}

/// Adds a tip to the error of a command that has no flag `--data`.
fn with_tip(mut error: clap::Error) -> clap::Error {
    let is_data = error.get(ContextKind::InvalidArg) == Some(&ContextValue::String("--data".to_owned()));
    if is_data && error.kind() == ErrorKind::UnknownArgument {
        let tip = "the variable HEARTH_DATA names the data folder for every command".into();
        error.insert(ContextKind::Suggested, ContextValue::StyledStrs(vec![tip]));
    }
    error
}

fn run(command: Command) -> Result<()> {
    match command {
        Command::Configured(command) => {
            let context = Context::new(command.flags())?;
            let ended = block_on(command.run(&context));
            ended.map_err(|error| error::with_advice(error, &context.settings.data))
        }
        Command::Standalone(command) => block_on(command.run::<Cli>()),
        #[cfg(feature = "engine")]
        Command::Engine { command } => command.run(),
    }
}

fn block_on(command: impl Future<Output = Result<()>>) -> Result<()> {
    let threads = background_threads();
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(threads)
        .on_thread_park(hearth_memory::release_if_requested)
        .enable_all()
        .build()?;
    runtime.block_on(command)?;
    // Tasks that still run in the background have nothing left to do.
    runtime.shutdown_background();
    Ok(())
}

/// Threads for all but the connections of `hearth up`, which have their own: records, polling, and large requests.
fn background_threads() -> usize {
    std::thread::available_parallelism().map_or(1, Into::into).min(WORKERS_MAX_COUNT)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn command_line_is_consistent() {
        Cli::command().debug_assert();
    }

    #[test]
    fn refused_data_flag_is_answered_with_the_variable() {
        for arguments in [&["hearth", "whoami", "--data", "/x"][..], &["hearth", "node", "list", "--data=/x"]]
        {
            let error = with_tip(Cli::try_parse_from(arguments).unwrap_err()).to_string();
            assert!(error.contains("HEARTH_DATA") && error.contains("--data"), "{error}");
        }
        let other = with_tip(Cli::try_parse_from(["hearth", "whoami", "--dta"]).unwrap_err()).to_string();
        assert!(!other.contains("HEARTH_DATA"), "{other}");
    }
}
