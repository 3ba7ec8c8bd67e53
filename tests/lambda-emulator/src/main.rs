//! `lambda-emulator measure <binary> <event.json>`: measures the times of a function's start and responses.

use std::path::PathBuf;

use anyhow::Context as _;
use clap::Parser;

/// Runs a function's binary on this machine, as Lambda does.
#[derive(Parser)]
enum Command {
    /// Measure the times of a function's start and responses. It inherits the variables HEARTH_* and AWS_*.
    Measure {
        /// Binary of the function.
        binary: PathBuf,
        /// Event of API Gateway to send.
        event: PathBuf,
        /// Number of processes to start.
        #[arg(long, default_value_t = 10)]
        rounds: usize,
        /// Number of events for each process.
        #[arg(long, default_value_t = 200)]
        invokes: usize,
    },
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let Command::Measure { binary, event, rounds, invokes } = Command::parse();
    let text = std::fs::read(&event).with_context(|| format!("cannot read {}", event.display()))?;
    let event = serde_json::from_slice(&text).with_context(|| format!("{} is not JSON", event.display()))?;
    let env = function_variables();
    let env: Vec<_> = env.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
    let measured = lambda_emulator::measure(&binary, &env, &event, rounds, invokes).await?;
    #[expect(clippy::print_stdout, reason = "the table is what the command is for")]
    {
        println!("{measured}");
    }
    Ok(())
}

#[expect(clippy::disallowed_methods, reason = "the settings are the function's, not this program's")]
fn function_variables() -> Vec<(String, String)> {
    std::env::vars().filter(|(name, _)| name.starts_with("HEARTH_") || name.starts_with("AWS_")).collect()
}
