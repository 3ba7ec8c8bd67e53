//! From a cancel to the slot's next run: how long one that waits for the only slot goes on waiting.

use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail};
use futures::StreamExt as _;
use hearth_providers::EventStream;
use hearth_wire::RunEventBody;
use tokio::sync::mpsc;

use super::{
    Bench, Part, Report,
    plan::{SHORT, SMALL_CONTEXT},
};
use crate::{
    client::{Ask, Client, Link},
    hearth,
    random::Random,
    rounds::seed,
    statistics::{median, percentile},
    table::{Goal, Row},
};

/// Tokens of the run that is cancelled: more than it gets to.
const LONG: u32 = 400;
/// Steps that are timed before each cancel.
const STEPS: usize = 8;

pub(super) async fn cancel_to_slot_free(bench: &Bench, report: &mut Report) -> Result<()> {
    if !bench.measures(Part::Cancel) {
        return Ok(());
    }
    let model = Some(bench.model.as_path());
    let node = hearth::node(&bench.hearth, model, bench.capacity(1, SMALL_CONTEXT)).await?;
    let node = node.warm_up().await?;
    let Client::Link(link) = &node.client else { bail!("the node is measured through its own port") };
    let mut random = Random::new(seed("cancel", 0));
    let (mut steps, mut in_steps) = (Vec::new(), Vec::new());
    for cancel in 0..bench.plan.cancels {
        if cancel % 10 == 0 {
            eprintln!("cancel: {} of {}", cancel + 1, bench.plan.cancels);
        }
        in_steps.push(one(link, &mut random, &mut steps).await.context("cancel")?);
    }
    let table = &mut report.node;
    table.push(Row::alone("decode step of one stream", "ms", &steps));
    for percent in [50.0, 99.0] {
        let what = format!("cancel to slot free, p{percent}");
        let row = Row::alone(what, "decode steps", &[percentile(&in_steps, percent)]);
        table.push(row.goal(Goal::AtMost(1.0)));
    }
    node.process.stop().await
}

/// Cancels a run at any point of a step while another one waits. Gives the time until that one is started, in
/// steps of the first one, and adds to `steps` what those took, in milliseconds.
async fn one(link: &Link, random: &mut Random, steps: &mut Vec<f64>) -> Result<f64> {
    let (running, events) = link.begin(&Ask::random(random, SHORT, LONG)).await?;
    let mut deltas = watch(events);
    let mut times = Vec::with_capacity(STEPS);
    while times.len() < STEPS {
        times.push(deltas.recv().await.context("a run ended before it was cancelled")?);
    }
    let gaps: Vec<f64> = times.windows(2).map(|pair| (pair[1] - pair[0]).as_secs_f64() * 1000.0).collect();
    let (_, mut waiting) = link.begin(&Ask::random(random, SHORT, 1)).await?;
    until(&mut waiting, |event| matches!(event, RunEventBody::Queued { .. })).await?;
    tokio::time::sleep(Duration::from_secs_f64(median(&gaps) / 1000.0 * random.fraction())).await;
    let sent = Instant::now();
    link.cancel(running).await?;
    until(&mut waiting, |event| matches!(event, RunEventBody::Started { .. })).await?;
    let wait = sent.elapsed().as_secs_f64() * 1000.0 / median(&gaps);
    until(&mut waiting, RunEventBody::is_terminal).await?;
    // The first run's stream ends too.
    while deltas.recv().await.is_some() {}
    steps.extend(gaps);
    Ok(wait)
}

/// Reads the rest of a run, and returns a receiver of the time of each text.
fn watch(mut events: EventStream) -> mpsc::UnboundedReceiver<Instant> {
    let (sender, times) = mpsc::unbounded_channel();
    tokio::spawn(async move {
        while let Some(event) = events.next().await {
            if matches!(event, RunEventBody::Delta { .. }) && sender.send(Instant::now()).is_err() {
                return;
            }
        }
    });
    times
}

async fn until(events: &mut EventStream, wanted: impl Fn(&RunEventBody) -> bool) -> Result<()> {
    while let Some(event) = events.next().await {
        if wanted(&event) {
            return Ok(());
        }
        if let RunEventBody::Error { error } = event {
            bail!("a run failed: {error}");
        }
    }
    bail!("a run ended too early")
}
