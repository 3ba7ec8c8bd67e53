//! `hearth-bench relay`: a node behind a router, beside the node alone, and what idle nodes cost their gateway.

mod idle;
mod latency;
mod node;

use std::{fs, path::PathBuf, time::Duration};

use anyhow::{Context as _, Result};
use clap::{Args, ValueEnum};
use serde_json::{Value, json};

use crate::{machine, table::Table};

/// Round trips between node and gateway, in milliseconds.
const ROUND_TRIPS: [u64; 3] = [20, 50, 100];

/// Measurements
#[derive(Debug, Args)]
pub(crate) struct Options {
    /// The built `hearth`
    #[arg(long, value_name = "FILE")]
    hearth: PathBuf,
    /// Number of rounds
    #[arg(long, value_name = "N")]
    rounds: Option<usize>,
    /// Idle nodes at one gateway
    #[arg(long, value_name = "N")]
    nodes: Option<usize>,
    /// Measure these only
    #[arg(long, value_delimiter = ',', value_name = "PARTS")]
    only: Vec<Part>,
    /// See that everything runs: little of everything
    #[arg(long)]
    quick: bool,
    /// Write the tables to this file too
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Part {
    Relay,
    Direct,
    Idle,
}

/// Sizes of the measurements.
#[derive(Debug, Clone, Copy)]
struct Plan {
    rounds: usize,
    /// Requests whose first token is timed in each round.
    first_tokens: usize,
    /// Tokens of the stream whose rate is measured.
    stream_tokens: u32,
    idle_nodes: usize,
}

impl Plan {
    const FULL: Self = Self { rounds: 5, first_tokens: 20, stream_tokens: 400, idle_nodes: 1000 };
    const QUICK: Self = Self { rounds: 2, first_tokens: 5, stream_tokens: 100, idle_nodes: 50 };
}

pub(crate) async fn run(options: Options) -> Result<()> {
    let mut plan = if options.quick { Plan::QUICK } else { Plan::FULL };
    plan.rounds = options.rounds.unwrap_or(plan.rounds).max(1);
    plan.idle_nodes = options.nodes.unwrap_or(plan.idle_nodes).max(1);
    let measures = |part| options.only.is_empty() || options.only.contains(&part);
    let about = machine::about(plan.rounds);
    println!("{}\n", machine::heading(&about));
    let mut tables = Vec::new();
    for (part, way, name) in
        [(Part::Relay, latency::Way::Relay, "relay"), (Part::Direct, latency::Way::Direct, "direct")]
    {
        if measures(part) {
            let mut table = Table::new(name, "node alone");
            for round_trip in ROUND_TRIPS.map(Duration::from_millis) {
                latency::measure(&options.hearth, way, round_trip, plan, &mut table).await?;
            }
            tables.push(table);
        }
    }
    if measures(Part::Idle) {
        let mut table = Table::new("with idle nodes", "none");
        idle::memory(&options.hearth, plan.idle_nodes, &mut table).await?;
        tables.push(table);
    }
    for table in &tables {
        println!("{}", table.markdown());
    }
    if let Some(path) = &options.json {
        let tables: Vec<Value> = tables.iter().map(Table::json).collect();
        let text = serde_json::to_string_pretty(&json!({"about": about, "tables": tables}))?;
        fs::write(path, text + "\n").with_context(|| format!("{} can't be written", path.display()))?;
    }
    Ok(())
}
