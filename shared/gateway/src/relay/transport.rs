//! The gateway's side of the relay.

use std::time::Duration;

use async_trait::async_trait;
use futures::{StreamExt as _, stream};
use hearth_domain::{NodeId, NodeTransport, RunId, Timestamp};
use hearth_providers::{LinkEvents, LinkRequest, LinkResponse, LinkTransport};
use hearth_store::{
    StoreError,
    relay::{Assignment, AssignmentEnd, AssignmentState},
};
use hearth_telemetry::traces::TraceContext;
use hearth_wire::{ApiError, ErrorCode, RunEvent, RunEventBody, node::NodeRun, relay::Doorbell};
use tokio::time::{Instant, timeout};

use super::{Relay, errors, millis, tail::Tail, wakeups::Wakeup};
use crate::error;

/// Time after which the doorbell is rung again for a run that isn't claimed.
const RING_AGAIN_DELAY: Duration = Duration::from_secs(2);
/// Time for a node to claim a run.
const CLAIM_TIMEOUT: Duration = Duration::from_secs(10);
/// Interval of the reads of an assignment that isn't claimed, where the claim doesn't wake the reader.
const CLAIM_POLL_INTERVAL: Duration = Duration::from_millis(50);

/// The transport to a node that fetches its runs.
#[derive(Debug)]
pub(super) struct RelayTransport {
    relay: Relay,
    node: NodeId,
}

impl RelayTransport {
    pub(super) fn new(relay: Relay, node: NodeId) -> Self {
        Self { relay, node }
    }

    /// Checks that the node is alive. Returns when it was last heard of.
    async fn check_alive(&self) -> Result<Timestamp, ApiError> {
        let state = self.relay.state(self.node).await?;
        match state.as_deref().and_then(|state| Some((state, state.seen_at?))) {
            None => Err(errors::offline(self.node, "it hasn't reported yet")),
            Some((state, seen_at)) if state.is_alive(Timestamp::now()) => Ok(seen_at),
            Some((_, seen_at)) => {
                Err(errors::offline(self.node, &format!("it was last heard of at {seen_at}")))
            }
        }
    }

    /// Assigns the run. A run that the node has already is followed, and not assigned again.
    async fn assign(&self, run: &NodeRun) -> Result<Assignment, ApiError> {
        match self.relay.0.store.relay().assign(self.node, run).await {
            Ok(assignment) => Ok(assignment),
            Err(StoreError::Conflict) => self.relay.assignment(self.node, run.run).await,
            Err(failure) => Err(error::store(failure)),
        }
    }

    /// Waits for a run that is assigned to be claimed and to begin, and returns its events.
    async fn wait_for_events(
        &self,
        run: RunId,
        is_whole: bool,
        mut assignment: Assignment,
        mut wakeup: Wakeup<(NodeId, RunId)>,
        seen_at: Timestamp,
    ) -> Result<LinkEvents, ApiError> {
        let (began, mut rings) = (Instant::now(), 0);
        loop {
            match (&assignment.state, &assignment.end) {
                (
                    AssignmentState::Ended,
                    Some(AssignmentEnd::Refused { error } | AssignmentEnd::Lost { error }),
                ) => {
                    return Err(error.clone());
                }
                (AssignmentState::Ended, Some(AssignmentEnd::Withdrawn)) => {
                    return Ok(stream::iter([RunEvent { seq: 1, body: RunEventBody::Cancelled }]).boxed());
                }
                (AssignmentState::Running | AssignmentState::Ended, _) => {
                    let key = (self.node, run);
                    return Ok(Tail::new(self.relay.clone(), key, 0, is_whole, assignment).events());
                }
                (AssignmentState::Assigned, _) if began.elapsed() >= CLAIM_TIMEOUT => {
                    if self.withdraw(run, &assignment).await? {
                        return Err(self.unclaimed(run, seen_at).await);
                    }
                }
                (AssignmentState::Assigned, _) => {
                    if began.elapsed() >= RING_AGAIN_DELAY * rings {
                        rings += 1;
                        self.relay.ring(self.node, &Doorbell::Run { run }).await;
                    }
                }
                (AssignmentState::Claimed, _) => {
                    let now = millis(Timestamp::now());
                    if assignment.lease_until_ms <= now {
                        let reason = errors::lost("it claimed the run, and then posted nothing");
                        if self.relay.end_unbegun_as_lost(self.node, run, &assignment, now, reason).await? {
                            self.relay.note_lost(self.node).await;
                        }
                    }
                }
            }
            let is_woken = self.relay.0.background.outlives_response();
            let wait = if is_woken { CLAIM_POLL_INTERVAL * 10 } else { CLAIM_POLL_INTERVAL };
            let _ = timeout(wait, wakeup.changed()).await;
            assignment = self.relay.assignment(self.node, run).await?;
        }
    }

    /// Gives a node another lease for a run that nobody has followed for a while, such as during a restart of the gateway.
    async fn renew_lease(&self, run: RunId, assignment: &Assignment) -> Result<(), ApiError> {
        if assignment.state == AssignmentState::Ended {
            return Ok(());
        }
        let (store, until) = (self.relay.0.store.relay(), self.relay.lease_until_ms());
        match store.renew(self.node, run, assignment.fence, until).await {
            // It has a newer claim, or has ended.
            Ok(()) | Err(StoreError::Conflict) => Ok(()),
            Err(failure) => Err(error::store(failure)),
        }
    }

    /// Ends an assignment that the node hasn't claimed. Returns false if it has.
    async fn withdraw(&self, run: RunId, assignment: &Assignment) -> Result<bool, ApiError> {
        let (store, assigned) = (self.relay.0.store.relay(), [AssignmentState::Assigned]);
        let end = AssignmentEnd::Withdrawn;
        match store.end_assignment(self.node, run, assignment, &assigned, None, &end).await {
            Ok(()) => {
                self.relay.0.runs.wake(&(self.node, run));
                Ok(true)
            }
            Err(StoreError::Conflict) => Ok(false),
            Err(failure) => Err(error::store(failure)),
        }
    }

    /// Gives up a node that doesn't claim a run: the next runs needn't wait for it, until it is heard of again.
    async fn unclaimed(&self, run: RunId, seen_at: Timestamp) -> ApiError {
        if let Err(failure) = self.relay.0.store.relay().end_node_lease(self.node, seen_at).await {
            tracing::warn!(node = %self.node, error = %failure, "the lease of a node can't be ended");
        }
        self.relay.0.states.remove(&self.node);
        let seconds = CLAIM_TIMEOUT.as_secs();
        tracing::warn!(node = %self.node, %run, "a node doesn't claim a run");
        errors::offline(self.node, &format!("it didn't fetch the run within {seconds} s"))
    }
}

#[async_trait]
impl LinkTransport for RelayTransport {
    fn kind(&self) -> NodeTransport {
        NodeTransport::Relay
    }

    async fn request(&self, request: LinkRequest) -> Result<LinkResponse, ApiError> {
        self.check_alive().await?;
        self.relay.request(self.node, request).await
    }

    async fn start(&self, run: &NodeRun, _trace: &TraceContext) -> Result<LinkEvents, ApiError> {
        let seen_at = self.check_alive().await?;
        let wakeup = self.relay.0.runs.subscribe((self.node, run.run));
        let assignment = self.assign(run).await?;
        self.wait_for_events(run.run, run.whole, assignment, wakeup, seen_at).await
    }

    async fn events(&self, run: RunId, after: u64, _trace: &TraceContext) -> Result<LinkEvents, ApiError> {
        let wakeup = self.relay.0.runs.subscribe((self.node, run));
        let assignment = self.relay.assignment(self.node, run).await?;
        match assignment.state {
            AssignmentState::Assigned => {
                // The process that has assigned it is gone.
                self.wait_for_events(run, false, assignment, wakeup, Timestamp::now()).await
            }
            _ => {
                self.renew_lease(run, &assignment).await?;
                Ok(Tail::new(self.relay.clone(), (self.node, run), after, false, assignment).events())
            }
        }
    }

    async fn cancel(&self, run: RunId) -> Result<bool, ApiError> {
        let assignment = match self.relay.assignment(self.node, run).await {
            Err(error) if error.code == ErrorCode::NotFound => return Ok(false),
            assignment => assignment?,
        };
        match assignment.state {
            AssignmentState::Ended => return Ok(false),
            AssignmentState::Assigned if self.withdraw(run, &assignment).await? => return Ok(true),
            _ => {}
        }
        match self.relay.0.store.relay().mark_run_cancelled(self.node, run).await {
            Ok(()) => {}
            Err(StoreError::Conflict) => {
                // It has ended, or is marked.
                return Ok(self.relay.assignment(self.node, run).await?.state != AssignmentState::Ended);
            }
            Err(failure) => return Err(error::store(failure)),
        }
        self.relay.ring(self.node, &Doorbell::Cancel { run }).await;
        Ok(true)
    }
}
