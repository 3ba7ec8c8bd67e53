//! Compares what clients have received with the records.

use std::time::{Duration, Instant};

use anyhow::{Context as _, Result};
use futures::{StreamExt as _, stream};
use serde_json::Value;

use super::{delay::SchedulingDelay, load::Received, process::Gateway};

/// Limit of the time from the delivery of an answer to its record.
pub(super) const ANSWER_LAG_LIMIT: Duration = Duration::from_millis(50);
/// The same for a part of a streamed answer: the time for which events are collected, and their write.
const EVENT_LAG_LIMIT: Duration = Duration::from_millis(250);
/// Records that are read at once.
const CONCURRENT_READS: usize = 16;

/// Times up to which what was received must be stored; none for all.
#[derive(Debug, Clone, Copy)]
pub(super) struct Due {
    /// The kill.
    at: Option<Instant>,
    /// The time before the kill for which the machine left a waiting thread without a processor.
    delay: Duration,
    answers: Option<Instant>,
    events: Option<Instant>,
}

/// The result of all checks.
#[derive(Debug, Default)]
pub(super) struct Checks {
    pub(super) count: usize,
    pub(super) faults: Vec<String>,
    /// Age of the oldest answer that isn't recorded, at the kill, less the machine's delays.
    pub(super) lag: Duration,
}

impl Due {
    /// After an orderly stop.
    pub(super) fn all() -> Self {
        Self { at: None, delay: Duration::ZERO, answers: None, events: None }
    }

    /// After a kill.
    pub(super) fn before(killed_at: Instant, delays: &SchedulingDelay) -> Self {
        let before = |limit| killed_at.checked_sub(limit + delays.before(killed_at, limit));
        Self {
            at: Some(killed_at),
            delay: delays.before(killed_at, ANSWER_LAG_LIMIT),
            answers: before(ANSWER_LAG_LIMIT),
            events: before(EVENT_LAG_LIMIT),
        }
    }
}

/// Checks the records of all runs.
pub(super) async fn check(gateway: &Gateway, received: &[Received], due: Due) -> Checks {
    let mut checks = Checks::default();
    let mut records = stream::iter(received)
        .map(async |run| (run, record(gateway, &run.id).await))
        .buffer_unordered(CONCURRENT_READS);
    while let Some((run, record)) = records.next().await {
        checks.count += 1;
        let Some(fault) = fault(run, &record, due) else { continue };
        let is_due = match run.ended_at {
            Some(ended) => due.answers.is_none_or(|time| ended < time),
            None => true,
        };
        if let (Some(ended), Some(killed)) = (run.ended_at, due.at) {
            let age = killed.saturating_duration_since(ended);
            checks.lag = checks.lag.max(age.saturating_sub(due.delay));
        }
        if is_due {
            checks.faults.push(format!("{}: {fault}", run.id));
        }
    }
    checks
}

async fn record(gateway: &Gateway, id: &str) -> Result<Value> {
    let request = gateway.http.get(format!("{}/v1/requests/{id}", gateway.url)).bearer_auth(&gateway.token);
    let answer = request.send().await.context("the record isn't answered")?;
    let status = answer.status();
    answer.json().await.with_context(|| format!("the record is answered with {status}"))
}

/// The difference of a record from what its client has received.
fn fault(run: &Received, record: &Result<Value>, due: Due) -> Option<String> {
    let record = match record {
        Ok(record) => record,
        Err(error) => return Some(format!("{error:#}")),
    };
    let (status, stored) = (&record["status"], record["output"]["text"].as_str().unwrap_or_default());
    if run.ended_at.is_some() {
        let is_same = status == "completed" && stored == run.text;
        return (!is_same).then(|| format!("an answered run is {status} with {} bytes", stored.len()));
    }
    let is_due = |at: &Instant| due.events.is_none_or(|time| *at < time);
    let due_bytes = run.arrivals.iter().filter(|(at, _)| is_due(at)).map(|(_, bytes)| *bytes).max();
    let is_same = stored.starts_with(&run.text) || run.text.starts_with(stored);
    let is_recorded = record["finished_at"].is_string() && is_same && stored.len() >= due_bytes.unwrap_or(0);
    (!is_recorded).then(|| {
        let (bytes, due) = (stored.len(), due_bytes.unwrap_or(0));
        format!("a run that was cut off is {status} with {bytes} bytes, and {due} were received early enough")
    })
}
