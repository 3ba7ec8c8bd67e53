//! Follows the log of a run as its node posts events.
//!
//! Where this process receives the batches, each wakes the reader. Elsewhere the reader polls, with longer intervals while nothing
//! comes, and with the longest ones if nobody sees the answer before its end.

use std::time::Duration;

use futures::StreamExt as _;
use hearth_domain::{NodeId, RunId, Timestamp};
use hearth_providers::LinkEvents;
use hearth_store::relay::{Assignment, AssignmentEnd, AssignmentState};
use hearth_wire::{ApiError, RunEvent, RunEventBody};
use tokio::time::{Instant, timeout};

use super::{Relay, errors, millis, wakeups::Wakeup};

/// Interval of the reads of an assignment while no event comes: it may have ended without one.
const STATE_INTERVAL: Duration = Duration::from_secs(2);
/// Wait before the lease of a claim is checked again.
const LEASE_CHECK_MIN_INTERVAL: Duration = Duration::from_millis(50);

/// A reader of the log of a run.
pub(super) struct Tail {
    relay: Relay,
    node: NodeId,
    run: RunId,
    /// The seq of the last event that was read.
    after: u64,
    /// Nobody sees the answer before its end.
    is_whole: bool,
    /// The latest claim, and its lease.
    assignment: Assignment,
    wakeup: Wakeup<(NodeId, RunId)>,
    /// Milliseconds since 1970 at which the latest batch was stored.
    heard_ms: i64,
    poll: Duration,
    state_read_at: Instant,
}

/// The end of a run whose log has no more events.
enum End {
    /// It goes on.
    Open,
    /// The reader has the terminal event.
    Silent,
    /// The event that ends it.
    Event(RunEventBody),
}

impl Tail {
    /// Reads the events after `after`. `assignment`: as it was just read.
    pub(super) fn new(
        relay: Relay,
        (node, run): (NodeId, RunId),
        after: u64,
        is_whole: bool,
        assignment: Assignment,
    ) -> Self {
        let wakeup = relay.0.runs.subscribe((node, run));
        let poll = relay.0.times.poll.0;
        let state_read_at = Instant::now();
        Self { relay, node, run, after, is_whole, assignment, wakeup, heard_ms: 0, poll, state_read_at }
    }

    /// The events, up to the terminal one. A node that is lost is an error at the end. If the store can't be read, the stream
    /// ends earlier.
    pub(super) fn events(mut self) -> LinkEvents {
        async_stream::stream! {
            loop {
                let events = match self.read().await {
                    Ok(events) => events,
                    Err(error) => {
                        tracing::warn!(run = %self.run, %error, "the log of a run can't be read");
                        return;
                    }
                };
                let is_silent = events.is_empty();
                for event in events {
                    let ends = event.body.is_terminal();
                    yield event;
                    if ends {
                        return;
                    }
                }
                if !is_silent {
                    self.poll = if self.is_whole { self.relay.0.times.poll.1 } else { self.relay.0.times.poll.0 };
                    continue;
                }
                match self.end().await {
                    Ok(End::Open) => {}
                    Ok(End::Silent) => return,
                    Ok(End::Event(body)) => {
                        yield RunEvent { seq: self.after + 1, body };
                        return;
                    }
                    Err(error) => {
                        tracing::warn!(run = %self.run, %error, "the state of a run can't be read");
                        return;
                    }
                }
                self.wait().await;
            }
        }
        .boxed()
    }

    /// The next events.
    async fn read(&mut self) -> Result<Vec<RunEvent>, ApiError> {
        if !matches!(self.assignment.state, AssignmentState::Running | AssignmentState::Ended) {
            self.read_state().await?;
        }
        let fence = self.assignment.fence;
        let batches = self.relay.batches_from(self.node, self.run, fence, self.after + 1).await?;
        let mut events = Vec::new();
        for batch in batches {
            self.heard_ms = self.heard_ms.max(batch.stored_ms);
            for event in batch.events {
                if event.seq > self.after {
                    self.after = event.seq;
                    let ends = event.body.is_terminal();
                    events.push(event);
                    if ends {
                        return Ok(events);
                    }
                }
            }
        }
        Ok(events)
    }

    async fn read_state(&mut self) -> Result<(), ApiError> {
        self.assignment = self.relay.assignment(self.node, self.run).await?;
        self.state_read_at = Instant::now();
        Ok(())
    }

    /// The end of a run whose log has no more events. Gives up a node whose lease is over.
    async fn end(&mut self) -> Result<End, ApiError> {
        let is_over = self.lease_left().is_zero();
        let is_home = self.relay.0.background.outlives_response();
        let has_ended = self.assignment.state == AssignmentState::Ended;
        if !has_ended && !is_over && !is_home && self.state_read_at.elapsed() < STATE_INTERVAL {
            return Ok(End::Open);
        }
        let fence = self.assignment.fence;
        self.read_state().await?;
        if self.assignment.state != AssignmentState::Ended {
            let is_lost = self.assignment.fence == fence && self.lease_left().is_zero();
            if !is_lost || !self.give_up().await? {
                return Ok(End::Open);
            }
            self.read_state().await?;
        }
        // Events that were accepted before the end may have come since the last read.
        if !self.relay.batches_from(self.node, self.run, fence, self.after + 1).await?.is_empty() {
            return Ok(End::Open);
        }
        Ok(match &self.assignment.end {
            Some(AssignmentEnd::Refused { error } | AssignmentEnd::Lost { error }) => {
                End::Event(RunEventBody::Error { error: error.clone() })
            }
            Some(AssignmentEnd::Withdrawn) => End::Event(RunEventBody::Cancelled),
            Some(AssignmentEnd::Terminal) | None => End::Silent,
        })
    }

    /// Takes the run from its node. Returns false if the node has renewed its lease meanwhile.
    async fn give_up(&self) -> Result<bool, ApiError> {
        let problem = format!("it posted nothing for {} s", self.relay.0.times.lease.as_secs());
        let (reason, now) = (errors::lost(&problem), millis(Timestamp::now()));
        // The batches before this write count; those after it are refused.
        let lost = self.relay.end_as_lost(self.node, self.run, &self.assignment, Some(now), reason).await?;
        if lost {
            self.relay.note_lost(self.node).await;
        }
        Ok(lost)
    }

    /// The time for which the claim is still valid.
    fn lease_left(&self) -> Duration {
        let lease = i64::try_from(self.relay.0.times.lease.as_millis()).unwrap_or(i64::MAX);
        let until = match self.assignment.state {
            // The transport that has assigned it watches the time.
            AssignmentState::Assigned => return self.relay.0.times.lease,
            _ => self.assignment.lease_until_ms.max(self.heard_ms.saturating_add(lease)),
        };
        let left = until.saturating_sub(millis(Timestamp::now()));
        Duration::from_millis(u64::try_from(left).unwrap_or(0))
    }

    async fn wait(&mut self) {
        let wait = self.poll.min(self.lease_left().max(LEASE_CHECK_MIN_INTERVAL));
        if timeout(wait, self.wakeup.changed()).await.is_ok() {
            return;
        }
        self.poll = (self.poll * 3 / 2).min(self.relay.0.times.poll.1);
    }
}
