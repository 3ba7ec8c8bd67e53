//! One run of the relay: claimed, carried out, and its events posted until the gateway has the terminal one.

use std::{pin::pin, sync::Arc, time::Duration};

use futures::StreamExt as _;
use hearth_domain::RunId;
use hearth_wire::{
    ApiError, ErrorCode, RunEventBody,
    relay::{ClaimBody, ClaimedRun, NodeBatchAccepted, NodeRefusal},
};
use serde_json::Value;
use tokio::time::Instant;

use super::{
    Link,
    backoff::Backoff,
    batch::{Batch, Batcher, NextBatch},
    error::LinkFailure,
};
use crate::supervisor::RunLog;

/// Attempts to claim a run. The next request for orders lists it again.
const CLAIM_ATTEMPTS_MAX_COUNT: usize = 6;

/// The end of this node's part in a run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum RunOutcome {
    /// The gateway has the run's end.
    Settled,
    /// The gateway has the run's failure or refusal, and may assign the run to this node once more.
    Failed,
    /// The run isn't this node's: another has claimed it, or it has ended.
    NotClaimed,
    /// The run was stopped here before its end: its claim is over.
    Abandoned,
}

/// A run of the gateway on this node.
pub(super) struct RelayedRun<'a> {
    link: &'a Arc<Link>,
    run: RunId,
}

/// The source of a claimed run's events.
enum Source {
    Log(Arc<RunLog>),
    /// The run can't be carried out: its last event.
    Event(RunEventBody),
    Refusal(ApiError),
}

impl<'a> RelayedRun<'a> {
    pub(super) fn new(link: &'a Arc<Link>, run: RunId) -> Self {
        Self { link, run }
    }

    /// Claims the run, carries it out, and posts its events.
    pub(super) async fn carry_out(self) -> RunOutcome {
        let Some(mut claimed) = self.claim().await else { return RunOutcome::NotClaimed };
        match self.source(&mut claimed).await {
            Source::Log(log) => self.post_log(&claimed, &log).await,
            Source::Event(last) => self.post_last(&claimed, claimed.last_seq, last).await,
            Source::Refusal(error) => self.refuse(claimed.fence, error).await,
        }
    }

    async fn claim(&self) -> Option<ClaimedRun> {
        let path = format!("/v1/node/runs/{}/claim", self.run);
        let body = ClaimBody { process: Some(self.link.process.clone()) };
        let mut backoff = self.backoff();
        for _ in 0..CLAIM_ATTEMPTS_MAX_COUNT {
            match self.link.client.post(&path, &body, self.link.timing.claim_timeout).await {
                Ok(claimed) => return Some(claimed),
                Err(failure) if failure.is_transient() => self.link.note_failure(&failure),
                Err(failure) => {
                    tracing::debug!(run = %self.run, %failure, "a run isn't claimed");
                    self.note_end(&failure);
                    return None;
                }
            }
            backoff.wait().await;
        }
        None
    }

    /// Starts a new run, and one that has failed here; another that this process has is continued.
    async fn source(&self, claimed: &mut ClaimedRun) -> Source {
        let (node, runs) = (&self.link.node, &self.link.runs);
        let log = match node.log(self.run).await {
            Ok(log) => log,
            Err(error) => return Source::Refusal(error),
        };
        let lost =
            |reason| Source::Event(RunEventBody::Error { error: ApiError::new(ErrorCode::NodeLost, reason) });
        match log {
            Some(_) if runs.was_abandoned(self.run) => {
                lost("the node stopped the run when it had lost its claim")
            }
            Some(log) if !log.has_failed() => Source::Log(log),
            None if claimed.last_seq > 0 => lost("the node was restarted and has lost the run"),
            None if runs.is_cancelled(self.run) => Source::Event(RunEventBody::Cancelled),
            _ => match node.submit(claimed.run.clone()).await {
                Ok(log) => Source::Log(log),
                Err(error) => Source::Refusal(error),
            },
        }
    }

    /// Posts the events of a log until the gateway has the last one.
    async fn post_log(&self, claimed: &ClaimedRun, log: &Arc<RunLog>) -> RunOutcome {
        // A cancellation that came before the run was submitted.
        if self.link.runs.is_cancelled(self.run) {
            self.cancel().await;
        }
        let renew_interval = Duration::from_secs(claimed.lease_seconds.into()) / 3;
        let mut batcher = Batcher::new(self.link.timing.clone(), renew_interval);
        let (mut last_seq, mut backoff) = (claimed.last_seq, self.backoff());
        loop {
            let Ok(events) = log.read(last_seq) else { return self.post_loss(claimed, last_seq).await };
            let mut events = pin!(events.fuse());
            loop {
                let batch = match batcher.next(&mut events).await {
                    NextBatch::Events(batch) => batch,
                    NextBatch::Silence => Batch::default(),
                    NextBatch::Cut => return self.post_loss(claimed, last_seq).await,
                };
                let accepted = match self.post(claimed.fence, &batch, Some(&mut batcher)).await {
                    Ok(accepted) => accepted,
                    Err(failure) => return self.give_up(claimed, last_seq, &failure).await,
                };
                if accepted.cancelled {
                    self.cancel().await;
                }
                let sent = batch.last_seq().unwrap_or(last_seq);
                if batch.ends && accepted.last_seq >= sent {
                    return if log.has_failed() { RunOutcome::Failed } else { RunOutcome::Settled };
                }
                let has_progress = accepted.last_seq > last_seq;
                last_seq = accepted.last_seq;
                if last_seq == sent {
                    backoff.reset();
                    continue;
                }
                tracing::info!(run = %self.run, sent, last_seq, "the gateway has other events; they are sent again");
                if !has_progress {
                    backoff.wait().await;
                }
                break;
            }
        }
    }

    /// Posts one batch, as often as it takes.
    async fn post(
        &self,
        fence: u64,
        batch: &Batch,
        mut batcher: Option<&mut Batcher>,
    ) -> Result<NodeBatchAccepted, LinkFailure> {
        let (path, body) = (format!("/v1/node/runs/{}/events", self.run), batch.to_json(fence));
        let (mut backoff, give_up_at) = (self.backoff(), Instant::now() + self.link.timing.delivery_timeout);
        loop {
            let began = Instant::now();
            match self.link.client.post_json(&path, body.clone(), self.link.timing.request_timeout).await {
                Ok(accepted) => {
                    self.link.note_success();
                    if let Some(batcher) = &mut batcher {
                        batcher.note_post(began);
                    }
                    return Ok(accepted);
                }
                Err(failure) if failure.is_transient() && Instant::now() < give_up_at => {
                    self.link.note_failure(&failure);
                }
                Err(failure) => return Err(failure),
            }
            backoff.wait().await;
        }
    }

    /// Ends a run whose batch was refused.
    async fn give_up(&self, claimed: &ClaimedRun, last_seq: u64, failure: &LinkFailure) -> RunOutcome {
        tracing::warn!(run = %self.run, %failure, "a run is stopped: the gateway doesn't take its events");
        self.note_end(failure);
        self.cancel().await;
        match failure {
            // The gateway can't store the events, such as one that is too large, but waits for the run's end.
            LinkFailure::Refused { .. } if !failure.is_about_claim() && !failure.is_transient() => {
                let message = "the gateway can't store the answer of the node";
                let error = ApiError::new(ErrorCode::ProviderError, message);
                self.post_last(claimed, last_seq, RunEventBody::Error { error }).await
            }
            _ => RunOutcome::Abandoned,
        }
    }

    /// Ends a run whose events are no longer in the node's log.
    async fn post_loss(&self, claimed: &ClaimedRun, last_seq: u64) -> RunOutcome {
        self.cancel().await;
        let message = "the gateway was away for too long: events of the run are no longer in the node's log";
        let error = ApiError::new(ErrorCode::NodeLost, message);
        self.post_last(claimed, last_seq, RunEventBody::Error { error }).await
    }

    /// Posts a terminal event of the link itself.
    async fn post_last(&self, claimed: &ClaimedRun, last_seq: u64, last: RunEventBody) -> RunOutcome {
        let ended = match last {
            RunEventBody::Error { .. } => RunOutcome::Failed,
            _ => RunOutcome::Settled,
        };
        match self.post(claimed.fence, &Batch::of(last_seq + 1, last), None).await {
            Ok(_) => ended,
            Err(failure) => {
                self.note_end(&failure);
                RunOutcome::Abandoned
            }
        }
    }

    async fn refuse(&self, fence: u64, error: ApiError) -> RunOutcome {
        let (path, body) = (format!("/v1/node/runs/{}/refuse", self.run), NodeRefusal { fence, error });
        let mut backoff = self.backoff();
        for _ in 0..CLAIM_ATTEMPTS_MAX_COUNT {
            match self.link.client.post::<Value>(&path, &body, self.link.timing.claim_timeout).await {
                Ok(_) => return RunOutcome::Failed,
                Err(failure) if failure.is_transient() => self.link.note_failure(&failure),
                Err(failure) => {
                    self.note_end(&failure);
                    return RunOutcome::NotClaimed;
                }
            }
            backoff.wait().await;
        }
        RunOutcome::NotClaimed
    }

    /// Notes a final failure, unless it only says that the run isn't this node's.
    fn note_end(&self, failure: &LinkFailure) {
        if !failure.is_about_claim() {
            self.link.note_refusal(failure);
        }
    }

    async fn cancel(&self) {
        // An error means that the node is shutting down, which ends the run too.
        let _ = self.link.node.cancel(self.run).await;
    }

    fn backoff(&self) -> Backoff {
        Backoff::new(self.link.timing.retry_min, self.link.timing.run_retry_max)
    }
}
