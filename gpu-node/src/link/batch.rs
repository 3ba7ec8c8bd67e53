//! Collects a run's events to batches.
//!
//! The first piece of an answer and the last event are sent at once, other events at most every 150 to 300 ms. While a batch is on
//! its way the next one grows: a slow line gets larger batches, not more of them.

use std::time::Duration;

use futures::{FutureExt as _, Stream, StreamExt as _};
use hearth_wire::{RunEvent, RunEventBody};
use tokio::time::Instant;

use super::timing::LinkTiming;
use crate::supervisor::LoggedEvent;

/// Bytes of events that are sent without waiting for more.
const FULL_BYTES: usize = 16 << 10;
/// Maximum bytes of events in a batch, except for a single event.
const BATCH_MAX_BYTES: usize = 256 << 10;

/// Events that are sent together.
#[derive(Debug, Default)]
pub(super) struct Batch {
    events: Vec<LoggedEvent>,
    bytes: usize,
    has_answer: bool,
    /// It has the terminal event.
    pub(super) ends: bool,
}

impl Batch {
    fn push(&mut self, event: LoggedEvent) {
        self.bytes += event.json.len();
        if let Ok(RunEvent { body, .. }) = serde_json::from_str(&event.json) {
            self.has_answer |= body.commits_to_candidate();
            self.ends |= body.is_terminal();
        }
        self.events.push(event);
    }

    /// The seq of the last event.
    pub(super) fn last_seq(&self) -> Option<u64> {
        self.events.last().map(|event| event.seq)
    }

    /// The batch as the body of its request.
    pub(super) fn to_json(&self, fence: u64) -> Vec<u8> {
        let mut json = Vec::with_capacity(self.bytes + self.events.len() + 64);
        json.extend(format!(r#"{{"fence":{fence},"events":["#).into_bytes());
        for (place, event) in self.events.iter().enumerate() {
            if place > 0 {
                json.push(b',');
            }
            json.extend(event.json.as_bytes());
        }
        json.extend(b"]}");
        json
    }

    /// The batch of one event that the node's log doesn't have.
    pub(super) fn of(seq: u64, body: RunEventBody) -> Self {
        let mut batch = Self::default();
        let json = serde_json::to_string(&RunEvent { seq, body }).unwrap_or_default();
        batch.push(LoggedEvent { seq, json });
        batch
    }
}

/// The next batch of a run.
#[derive(Debug)]
pub(super) enum NextBatch {
    /// Events.
    Events(Batch),
    /// No event for so long that the lease must be renewed.
    Silence,
    /// The node's log has no further events, though the run hasn't ended.
    Cut,
}

/// Collects the events of one run.
#[derive(Debug)]
pub(super) struct Batcher {
    timing: LinkTiming,
    /// Time without events after which an empty batch renews the lease.
    renew_interval: Duration,
    last_post_at: Option<Instant>,
    /// Time that the last post has taken.
    round_trip: Duration,
    has_answered: bool,
}

impl Batcher {
    pub(super) fn new(timing: LinkTiming, renew_interval: Duration) -> Self {
        let round_trip = Duration::ZERO;
        Self { timing, renew_interval, last_post_at: None, round_trip, has_answered: false }
    }

    /// Waits until events are due.
    pub(super) async fn next(&mut self, events: &mut (impl Stream<Item = LoggedEvent> + Unpin)) -> NextBatch {
        let renew_at = self.last_post_at.unwrap_or_else(Instant::now) + self.renew_interval;
        let first = match tokio::time::timeout_at(renew_at, events.next()).await {
            Ok(Some(event)) => event,
            Ok(None) => return NextBatch::Cut,
            Err(_) => return NextBatch::Silence,
        };
        let (began, mut batch) = (Instant::now(), Batch::default());
        batch.push(first);
        loop {
            while batch.bytes < BATCH_MAX_BYTES
                && let Some(Some(event)) = events.next().now_or_never()
            {
                batch.push(event);
            }
            let due_at = self.due_at(&batch, began);
            if batch.bytes >= BATCH_MAX_BYTES || due_at <= Instant::now() {
                break;
            }
            match tokio::time::timeout_at(due_at, events.next()).await {
                Ok(Some(event)) => batch.push(event),
                Ok(None) | Err(_) => break,
            }
        }
        self.has_answered |= batch.has_answer;
        NextBatch::Events(batch)
    }

    /// The time at which a batch is sent.
    fn due_at(&self, batch: &Batch, began: Instant) -> Instant {
        let is_first_answer = batch.has_answer && !self.has_answered;
        if batch.ends || is_first_answer || batch.bytes >= FULL_BYTES {
            return began;
        }
        if !batch.has_answer && !self.has_answered {
            // The answer may begin soon, and would have to wait for this batch's way.
            return began + self.timing.linger;
        }
        let interval = self.round_trip.clamp(self.timing.batch_min, self.timing.batch_max);
        self.last_post_at.map_or(began, |last| last + interval)
    }

    /// Notes that a batch was sent at `began`, and has arrived by now.
    pub(super) fn note_post(&mut self, began: Instant) {
        self.last_post_at = Some(began);
        self.round_trip = began.elapsed();
    }
}

#[cfg(test)]
mod tests;
