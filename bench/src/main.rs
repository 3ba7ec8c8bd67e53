//! `hearth-bench`: measures Hearth's node beside llama.cpp's own server, and wears it. `cargo xtask bench`
//! builds what this needs and starts it; README.md says what is measured.

#![expect(clippy::print_stdout, clippy::print_stderr, reason = "the terminal is what this program is for")]

mod client;
mod gguf;
mod hearth;
mod model;
mod node;
mod peer;
mod process;
mod random;
mod server;
mod soak;
mod statistics;
mod table;
mod words;

use std::process::ExitCode;

use anyhow::Result;
use clap::{Parser, Subcommand};

/// Measurements of Hearth
#[derive(Debug, Parser)]
#[command(name = "hearth-bench")]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Compare the node with llama-server, and the gateway with the node
    Node(node::Options),
    /// Wear `hearth up` for a while, and see that nothing is lost
    Soak(soak::Options),
}

fn main() -> ExitCode {
    match run(Cli::parse().command) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("\nerror: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run(command: Command) -> Result<()> {
    // One thread is enough to ask, and leaves the processors to those who answer.
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        match command {
            Command::Node(options) => node::run(options).await,
            Command::Soak(options) => soak::run(options).await,
        }
    })
}
