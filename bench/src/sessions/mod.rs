//! `hearth-bench sessions`: requests about sessions in a large table, beside the same ones in a small table.

mod subject;

use std::{fs, path::PathBuf};

use anyhow::{Context as _, Result};
use clap::Args;
use serde_json::{Value, json};

use crate::{
    machine, rounds, statistics,
    table::{Goal, Row, Table},
};
use subject::Subject;

/// A request in the large table may take this much longer.
const RATIO_LIMIT: f64 = 1.5;
/// Messages of each session.
const MESSAGES: usize = 10;
/// Sessions in the small table: a page of the list, so that both lists have as many entries.
const SMALL: usize = 50;

/// Measurements
#[derive(Debug, Args)]
pub(crate) struct Options {
    /// The built `hearth`
    #[arg(long, value_name = "FILE")]
    hearth: PathBuf,
    /// Number of rounds
    #[arg(long, value_name = "N")]
    rounds: Option<usize>,
    /// Sessions in the large table, each with ten messages
    #[arg(long, value_name = "N")]
    sessions: Option<usize>,
    /// See that everything runs: little of everything
    #[arg(long)]
    quick: bool,
    /// Write the tables to this file too
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
}

/// Sizes of the measurements.
#[derive(Debug, Clone, Copy)]
struct Plan {
    rounds: usize,
    /// Requests of a round, of which the median counts.
    requests: usize,
    sessions: usize,
}

impl Plan {
    const FULL: Self = Self { rounds: 7, requests: 100, sessions: 10_000 };
    const QUICK: Self = Self { rounds: 2, requests: 10, sessions: 500 };
}

/// A request that is measured.
#[derive(Debug, Clone, Copy)]
pub(super) enum Request {
    /// The first page of the list.
    List,
    /// A session with its latest messages.
    Get,
    /// A message that is added to a session.
    Append,
}

impl Request {
    fn what(self) -> &'static str {
        match self {
            Self::List => "list, the first page",
            Self::Get => "get, with 10 messages",
            Self::Append => "append a message",
        }
    }
}

pub(crate) async fn run(options: Options) -> Result<()> {
    let mut plan = if options.quick { Plan::QUICK } else { Plan::FULL };
    plan.rounds = options.rounds.unwrap_or(plan.rounds).max(1);
    plan.sessions = options.sessions.unwrap_or(plan.sessions).max(SMALL);
    let about = machine::about(plan.rounds);
    println!("{}\n", machine::heading(&about));
    let large = Subject::start("large", &options.hearth).await?;
    let small = Subject::start("small", &options.hearth).await?;
    let large = large.fill(plan.sessions, MESSAGES).await?;
    let small = small.fill(SMALL, MESSAGES).await?;
    let mut table = Table::new("large table", "small table");
    // Appended messages would be part of later answers.
    for request in [Request::List, Request::Get, Request::Append] {
        let what = request.what();
        let measure = async |subject: &Subject, round: u64| {
            let mut times = Vec::with_capacity(plan.requests);
            for number in 0..plan.requests {
                times.push(subject.time(request, round as usize * plan.requests + number).await?);
            }
            Ok(statistics::median(&times))
        };
        let values = rounds::in_turns(what, plan.rounds, &[&large, &small], measure).await?;
        let row = Row::ratio(what, "ms", &values[0], &values[1]);
        table.push(row.goal(Goal::AtMost(RATIO_LIMIT)));
    }
    large.stop().await?;
    small.stop().await?;
    println!("{} sessions of {MESSAGES} messages beside {SMALL}\n", plan.sessions);
    println!("{}", table.markdown());
    if let Some(path) = &options.json {
        let tables: Vec<Value> = vec![table.json()];
        let text = serde_json::to_string_pretty(&json!({"about": about, "tables": tables}))?;
        fs::write(path, text + "\n").with_context(|| format!("{} can't be written", path.display()))?;
    }
    Ok(())
}
