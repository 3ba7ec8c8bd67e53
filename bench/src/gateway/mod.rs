//! `hearth-bench gateway`: Hearth's gateway beside others, all in front of the same mock of a vendor.

mod cache;
mod client;
mod hearth;
mod instructions;
mod load;
mod matrix;
pub(crate) mod memory;
pub(crate) mod pass_through;
mod peers;
mod plan;
mod stall;
mod start;
mod streams;
mod subject;
pub(crate) mod upstream;

use std::{fs, path::PathBuf, time::Duration};

use anyhow::{Context as _, Result, bail};
use clap::{Args, ValueEnum};
use serde_json::{Value, json};
use tokio::signal::unix::{SignalKind, signal};

use crate::{
    machine,
    rounds::in_turns,
    table::{Goal, Row, Table},
};
use hearth::Home;
use matrix::Matrix;
use peers::Peer;
use plan::Plan;
use subject::Subject;

/// Measurements, and the gateways to compare with
#[derive(Debug, Args)]
pub(crate) struct Options {
    /// The built `hearth`
    #[arg(long, value_name = "FILE")]
    hearth: PathBuf,
    /// An earlier build of `hearth` to compare with
    #[arg(long, value_name = "FILE")]
    before: Option<PathBuf>,
    /// Another gateway: NAME=PROGRAM, or NAME:WHY-THERE-IS-NONE
    #[arg(long = "peer", value_name = "PEER")]
    peers: Vec<Peer>,
    /// Number of rounds
    #[arg(long, value_name = "N")]
    rounds: Option<usize>,
    /// Measure these only
    #[arg(long, value_delimiter = ',', value_name = "PARTS")]
    only: Vec<Part>,
    /// See that everything runs: little of everything
    #[arg(long)]
    quick: bool,
    /// Limit Hearth's token, by figures that no load reaches, and not that of the earlier build
    #[arg(long)]
    limits: bool,
    /// The binary was built with LTO, for which the throughput's goal is higher
    #[arg(long)]
    lto: bool,
    /// Write the tables to this file too
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Part {
    Load,
    Streams,
    Cache,
    Memory,
    Stall,
    Start,
    Instructions,
}

/// The subjects, and the results so far.
struct Bench {
    plan: Plan,
    only: Vec<Part>,
    /// Hearth's token has limits.
    limits: bool,
    /// Requests a second to those of the pass-through, at least.
    throughput_goal: f64,
    home: Home,
    /// The data folder of the earlier build, which lasts as long as its process.
    _home_before: Option<Home>,
    /// The mock itself first, then the pass-through, then Hearth, then its earlier build and the peers that could be started.
    subjects: Vec<Subject>,
    everybody: Matrix,
    goals: Table,
}

/// Time between the two measurements of memory. Hearth has returned what it doesn't need by then.
const MEMORY_IDLE_INTERVAL: Duration = Duration::from_secs(4);

/// Where in [`Bench::subjects`] the ones that are always there stand.
const DIRECT: usize = 0;
const PASS_THROUGH: usize = 1;
const HEARTH: usize = 2;

pub(crate) async fn run(options: Options) -> Result<()> {
    let (mut int, mut term) = (signal(SignalKind::interrupt())?, signal(SignalKind::terminate())?);
    // What is dropped then ends the processes that were started.
    tokio::select! {
        done = measure(options) => done,
        _ = int.recv() => bail!("interrupted"),
        _ = term.recv() => bail!("ended"),
    }
}

async fn measure(options: Options) -> Result<()> {
    let mut plan = if options.quick { Plan::QUICK } else { Plan::FULL };
    plan.rounds = options.rounds.unwrap_or(plan.rounds).max(1);
    let about = machine::about(plan.rounds);
    println!("{}\n", machine::heading(&about));
    let (mut bench, missing) = Bench::start(&options, plan).await?;
    println!("{}", bench.setups(&missing));
    load::under_load(&mut bench).await?;
    streams::two_hundred_chunks(&mut bench).await?;
    cache::hit(&mut bench).await?;
    bench.memory().await;
    stall::held_up_store(&mut bench).await?;
    instructions::a_request(&mut bench).await?;
    start::first_answer(&mut bench).await?;
    println!("{}\n{}", bench.everybody.markdown(), bench.goals.markdown());
    if let Some(path) = &options.json {
        let setups: Value =
            bench.subjects.iter().map(|one| (one.name.to_owned(), json!(one.setup))).collect();
        let tables = json!({"everybody": bench.everybody.json(), "goals": bench.goals.json()});
        let all = json!({"about": about, "setups": setups, "missing": missing, "tables": tables});
        let text = serde_json::to_string_pretty(&all)? + "\n";
        fs::write(path, text).with_context(|| format!("{} can't be written", path.display()))?;
    }
    for subject in bench.subjects {
        subject.process.stop().await?;
    }
    Ok(())
}

impl Bench {
    /// Starts all subjects. Returns the missing peers too, with the reason.
    async fn start(options: &Options, plan: Plan) -> Result<(Self, Vec<(String, String)>)> {
        let direct = hearth::direct().await.context("the mock")?;
        let upstream = format!("http://{}", direct.address.at);
        let pass_through = hearth::pass_through(&upstream, None).await.context("the pass-through")?;
        let home = Home::new(&options.hearth, &upstream).await?;
        let mut subjects = vec![direct, pass_through, home.start(None).await.context("hearth")?];
        if options.limits {
            home.limit(&mut subjects[HEARTH]).await.context("limits")?;
        }
        let home_before = match &options.before {
            Some(program) => Some(Home::new(program, &upstream).await.context("hearth before")?),
            None => None,
        };
        if let Some(home) = &home_before {
            subjects.push(home.start_as(hearth::BEFORE, None).await.context("hearth before")?);
        }
        let mut missing = Vec::new();
        for Peer { name, program } in &options.peers {
            let started = match program {
                Ok(program) => {
                    peers::start(name, program, &upstream).await.map_err(|error| format!("{error:#}"))
                }
                Err(why) => Err(why.clone()),
            };
            match started {
                Ok(subject) => subjects.push(subject),
                Err(why) => missing.push((name.clone(), why)),
            }
        }
        let everybody = Matrix::new(subjects.iter().map(|subject| subject.name).collect());
        let goals = Table::new("Hearth", "other");
        let throughput_goal = if options.lto { 0.65 } else { 0.5 };
        let (only, limits) = (options.only.clone(), options.limits);
        let bench = Self {
            plan,
            only,
            limits,
            throughput_goal,
            home,
            _home_before: home_before,
            subjects,
            everybody,
            goals,
        };
        Ok((bench, missing))
    }

    /// Where the mock is.
    fn upstream(&self) -> String {
        format!("http://{}", self.subjects[DIRECT].address.at)
    }

    /// Returns whether a part is measured.
    fn measures(&self, part: Part) -> bool {
        self.only.is_empty() || self.only.contains(&part)
    }

    /// Measures everybody in turns. A peer that fails has no value; Hearth and what it is compared with must not.
    async fn in_turns<const N: usize>(
        &self,
        what: &str,
        mut measure: impl AsyncFnMut(&Subject) -> Result<[f64; N]>,
    ) -> Result<[Vec<Vec<f64>>; N]> {
        let subjects: Vec<&Subject> = self.subjects.iter().collect();
        let values = in_turns(what, self.plan.rounds, &subjects, async |subject, _| {
            let is_peer = self.subjects.iter().skip(HEARTH + 1).any(|peer| std::ptr::eq(peer, subject));
            let is_peer = is_peer && subject.name != hearth::BEFORE;
            match measure(subject).await {
                Err(error) if is_peer => {
                    eprintln!("  {} failed: {error:#}", subject.name);
                    Ok([f64::NAN; N])
                }
                values => values,
            }
        })
        .await?;
        let one =
            |index: usize| values.iter().map(|rounds| rounds.iter().map(|of| of[index]).collect()).collect();
        Ok(std::array::from_fn(one))
    }

    /// Hearth's values over those of another one, by what the other is called.
    fn ratio_to(&mut self, what: &str, unit: &'static str, values: &[Vec<f64>], goals: &[(&str, Goal)]) {
        for (index, subject) in self.subjects.iter().enumerate().skip(PASS_THROUGH) {
            let goal = goals.iter().find(|(name, _)| *name == subject.name);
            if let Some((name, goal)) = goal.filter(|_| values[index].iter().all(|value| value.is_finite())) {
                let row = Row::ratio(format!("{what}, to {name}"), unit, &values[HEARTH], &values[index]);
                self.goals.push(row.goal(*goal));
            }
        }
    }

    /// Measures the memory of every subject after the loads: at once, and when they have been idle.
    async fn memory(&mut self) {
        if !self.measures(Part::Memory) {
            return;
        }
        self.memory_now("at once");
        tokio::time::sleep(MEMORY_IDLE_INTERVAL).await;
        let resident = self.memory_now(&format!("after {} s", MEMORY_IDLE_INTERVAL.as_secs()));
        if resident[HEARTH].iter().all(|megabytes| megabytes.is_finite()) {
            let row = Row::alone("resident memory when idle", "MB", &resident[HEARTH]);
            self.goals.push(row.goal(Goal::AtMost(40.0)));
        }
    }

    /// Measures the memory of every subject now. Returns the resident memory, in MB.
    fn memory_now(&mut self, when: &str) -> Vec<Vec<f64>> {
        const MEGABYTE: f64 = 1e6;
        let of = |subject: &Subject| memory::Memory::of(subject.process.pid());
        let memories: Vec<Option<memory::Memory>> = self.subjects.iter().map(of).collect();
        let megabytes = |bytes: fn(&memory::Memory) -> u64| -> Vec<Vec<f64>> {
            let one = |memory: &Option<memory::Memory>| {
                memory.as_ref().map_or(f64::NAN, |m| bytes(m) as f64 / MEGABYTE)
            };
            memories.iter().map(|memory| vec![one(memory)]).collect()
        };
        let resident = megabytes(|memory| memory.resident);
        self.everybody.push(format!("resident memory {when}"), "MB", &resident);
        self.everybody.push(
            format!("proportional memory {when}"),
            "MB",
            &megabytes(|memory| memory.proportional),
        );
        resident
    }

    /// Lists the subjects with their settings, and the missing peers with the reason.
    fn setups(&self, missing: &[(String, String)]) -> String {
        let line = |(name, what): (&str, &str)| format!("- {name}: {what}\n");
        let there: String = self.subjects.iter().map(|one| line((one.name, &one.setup))).collect();
        let first = |text: &str| text.lines().next().unwrap_or_default().to_owned();
        let gone = missing.iter().map(|(name, why)| line((name, &format!("not measured: {}", first(why)))));
        there + &gone.collect::<String>()
    }
}
