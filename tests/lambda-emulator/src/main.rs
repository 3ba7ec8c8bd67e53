//! `lambda-emulator measure <binary> <event.json>`: how fast a function starts and answers.

use std::path::PathBuf;

use anyhow::Context as _;
use clap::Parser;

/// Runs a function's binary as Lambda would, on this machine.
#[derive(Parser)]
enum Command {
    /// Measure how fast a function starts and answers. HEARTH_* and AWS_* variables are passed on to it.
    Measure {
        /// The function's binary.
        binary: PathBuf,
        /// The event to give it, as API Gateway sends it.
        event: PathBuf,
        /// How many processes to start.
        #[arg(long, default_value_t = 10)]
        rounds: usize,
        /// How many events to give each.
        #[arg(long, default_value_t = 200)]
        invokes: usize,
    },
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let Command::Measure { binary, event, rounds, invokes } = Command::parse();
    let text = std::fs::read(&event).with_context(|| format!("cannot read {}", event.display()))?;
    let event = serde_json::from_slice(&text).with_context(|| format!("{} is not JSON", event.display()))?;
    let env = passed_on();
    let env: Vec<_> = env.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
    let measured = lambda_emulator::measure(&binary, &env, &event, rounds, invokes).await?;
    #[expect(clippy::print_stdout, reason = "the table is what the command is for")]
    {
        println!("{measured}");
    }
    Ok(())
}

#[expect(clippy::disallowed_methods, reason = "the settings are the function's, not this program's")]
fn passed_on() -> Vec<(String, String)> {
    std::env::vars().filter(|(name, _)| name.starts_with("HEARTH_") || name.starts_with("AWS_")).collect()
}
