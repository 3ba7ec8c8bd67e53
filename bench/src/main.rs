//! `hearth-bench`: measures Hearth's node beside llama.cpp's own server and its gateway beside others, and wears
//! it. `cargo xtask bench`
//! builds what this needs and starts it; README.md says what is measured.

#![expect(clippy::print_stdout, clippy::print_stderr, reason = "the terminal is what this program is for")]

mod client;
mod gateway;
mod gguf;
mod hearth;
mod machine;
mod model;
mod node;
mod peer;
mod process;
mod random;
mod relay;
mod rounds;
mod server;
mod sessions;
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
    /// Compare the gateway with other gateways, in front of the same mock of a vendor
    Gateway(gateway::Options),
    /// Be the mock of a vendor that gateways are measured in front of
    #[command(hide = true)]
    Upstream,
    /// Be the least that a gateway can be: pass on what comes to the server at this address
    #[command(hide = true)]
    PassThrough {
        /// As in `http://127.0.0.1:8000`
        upstream: String,
    },
    /// Compare a node behind a router with the node alone, and measure what idle nodes cost their gateway
    Relay(relay::Options),
    /// Compare requests about sessions in a large table with those in a small one
    Sessions(sessions::Options),
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
    use tokio::runtime::Builder;
    let runtime = match &command {
        // As gateways have it: a thread for each processor.
        Command::PassThrough { .. } => Builder::new_multi_thread().enable_all().build()?,
        // One thread is enough for the client, and leaves the processors to the servers.
        _ => Builder::new_current_thread().enable_all().build()?,
    };
    runtime.block_on(async {
        match command {
            Command::Node(options) => node::run(options).await,
            Command::Gateway(options) => gateway::run(options).await,
            Command::Upstream => gateway::upstream::serve().await,
            Command::PassThrough { upstream } => gateway::pass_through::serve(upstream).await,
            Command::Relay(options) => relay::run(options).await,
            Command::Sessions(options) => sessions::run(options).await,
            Command::Soak(options) => soak::run(options).await,
        }
    })
}
