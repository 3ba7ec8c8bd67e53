//! `hearth-bench node`: the node beside llama-server, and the gateway beside the node.

mod cancel;
mod fairness;
mod overhead;
mod plan;
mod prefix;
mod throughput;

use std::{fs, path::PathBuf};

use anyhow::{Context as _, Result};
use clap::{Args, ValueEnum};
use hearth_node::{NodeConfig, gguf::Header};
use serde_json::{Value, json};

use crate::{
    hearth, machine, model, peer,
    server::{Capacity, Server},
    table::Table,
};
use plan::Plan;

/// The small model of the repository: for `--quick`, and where the model's own time would only be noise.
const TINY: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../models/tiny-chat/tiny-chat.gguf");

/// Measurements, and the programs to compare
#[derive(Debug, Args)]
pub(crate) struct Options {
    /// The built `hearth`
    #[arg(long, value_name = "FILE")]
    hearth: PathBuf,
    /// The built `llama-server`
    #[arg(long, value_name = "FILE")]
    llama_server: PathBuf,
    /// The folder that the generated model is kept in
    #[arg(long, value_name = "DIR")]
    cache: PathBuf,
    /// The model to measure with [default: a generated one of 0.5B weights, Q4_0]
    #[arg(long, value_name = "FILE")]
    model: Option<PathBuf>,
    /// Threads that compute, on each side [default: the node's default]
    #[arg(long, value_name = "N")]
    threads: Option<u32>,
    /// Number of rounds
    #[arg(long, value_name = "N")]
    rounds: Option<usize>,
    /// Measure these only
    #[arg(long, value_delimiter = ',', value_name = "PARTS")]
    only: Vec<Part>,
    /// See that everything runs: the tiny model, and little of everything
    #[arg(long)]
    quick: bool,
    /// Write the tables to this file too
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Part {
    Throughput,
    Prefix,
    Fairness,
    Overhead,
    Cancel,
}

/// State that every measurement uses.
struct Bench {
    hearth: PathBuf,
    llama_server: PathBuf,
    model: PathBuf,
    threads: u32,
    plan: Plan,
    only: Vec<Part>,
}

/// The three that are measured in turns, with the same model and the same capacity.
struct Servers {
    node: Server,
    llama_server: Server,
    gateway: Option<Server>,
}

/// The tables, filled as it goes.
struct Report {
    against_llama_server: Table,
    gateway_against_node: Table,
    node: Table,
}

pub(crate) async fn run(options: Options) -> Result<()> {
    let bench = Bench::prepare(&options)?;
    let about = bench.about()?;
    println!("{}\n", heading(&about));
    let mut report = Report {
        against_llama_server: Table::new("node", "llama-server"),
        gateway_against_node: Table::new("gateway", "node"),
        node: Table::new("node", ""),
    };
    throughput::with_eight_slots(&bench, &mut report).await?;
    throughput::with_many_slots(&bench, &mut report).await?;
    overhead::first_token(&bench, &mut report).await?;
    cancel::cancel_to_slot_free(&bench, &mut report).await?;
    let tables = [&report.against_llama_server, &report.gateway_against_node, &report.node];
    for table in tables.iter().filter(|table| !table.is_empty()) {
        println!("{}", table.markdown());
    }
    if let Some(path) = &options.json {
        let tables: Vec<Value> = tables.iter().map(|table| table.json()).collect();
        let text = serde_json::to_string_pretty(&json!({"about": about, "tables": tables}))?;
        fs::write(path, text + "\n").with_context(|| format!("{} can't be written", path.display()))?;
    }
    Ok(())
}

impl Bench {
    fn prepare(options: &Options) -> Result<Self> {
        let mut plan = if options.quick { Plan::QUICK } else { Plan::FULL };
        plan.rounds = options.rounds.unwrap_or(plan.rounds).max(1);
        let model = match &options.model {
            Some(model) => model.clone(),
            None if options.quick => PathBuf::from(TINY),
            None => model::cached(&options.cache)?,
        };
        let defaults = NodeConfig::new(PathBuf::new(), PathBuf::new());
        Ok(Self {
            hearth: options.hearth.clone(),
            llama_server: options.llama_server.clone(),
            model: model.canonicalize().with_context(|| format!("{} can't be read", model.display()))?,
            threads: options.threads.unwrap_or_else(|| defaults.threads()),
            plan,
            only: options.only.clone(),
        })
    }

    /// Returns whether a part is measured.
    fn measures(&self, part: Part) -> bool {
        self.only.is_empty() || self.only.contains(&part)
    }

    fn capacity(&self, slots: u32, context: u32) -> Capacity {
        Capacity { threads: self.threads, slots, context }
    }

    /// Starts the servers that are compared. An idle server takes no processor time from the measured one.
    async fn servers(&self, capacity: Capacity, with_gateway: bool) -> Result<Servers> {
        let model = Some(self.model.as_path());
        eprintln!("starting servers of {} slots with {} tokens each", capacity.slots, capacity.context);
        let node = hearth::node(&self.hearth, model, capacity).await?.warm_up().await?;
        let llama_server = peer::llama_server(&self.llama_server, &self.model, capacity).await?;
        let gateway = match with_gateway {
            true => Some(hearth::gateway(&self.hearth, model, capacity).await?.warm_up().await?),
            false => None,
        };
        Ok(Servers { node, llama_server: llama_server.warm_up().await?, gateway })
    }

    /// The machine and the model, for a reader of the figures.
    fn about(&self) -> Result<Value> {
        let header = Header::read(&self.model).context("the model can't be read")?;
        Ok(json!({
            "model": header.name(),
            "quantisation": header.quantisation(),
            "model_bytes": header.file_size(),
            "threads": self.threads,
            "rounds": self.plan.rounds,
            "processors": machine::processors(),
            "processor": machine::processor(),
            "load_before": machine::load(),
        }))
    }
}

impl Servers {
    async fn stop(self) -> Result<()> {
        for server in [Some(self.node), Some(self.llama_server), self.gateway].into_iter().flatten() {
            server.process.stop().await?;
        }
        Ok(())
    }
}

fn heading(about: &Value) -> String {
    let text = |name: &str| about[name].as_str().map_or_else(|| about[name].to_string(), str::to_owned);
    format!(
        "{}, {}, {} threads on {} processors ({}), {} rounds, load before {}",
        text("model"),
        text("quantisation"),
        text("threads"),
        text("processors"),
        text("processor"),
        text("rounds"),
        text("load_before"),
    )
}
