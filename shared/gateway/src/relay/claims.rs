//! A node claims a run, or refuses it.

use hearth_domain::{NodeId, RunId};
use hearth_store::{
    StoreError,
    nodes::NodeRecord,
    relay::{Assignment, AssignmentEnd, AssignmentState},
};
use hearth_wire::{
    ApiError,
    node_limits::error_of_node,
    relay::{ClaimBody, ClaimedRun, NodeRefusal},
};

use super::{Relay, errors};
use crate::error;

/// Number of attempts at a write whose condition another request keeps changing.
const ATTEMPT_MAX_COUNT: usize = 4;
/// Characters of a process' name that are stored.
const PROCESS_MAX_CHARS: usize = 64;

impl Relay {
    /// Gives a run to the node that it is assigned to, with the fencing token for its events. A node may claim a run again: the
    /// process that has claimed it gets the same token, and another process, which is the node after a restart, a new one,
    /// while no event is posted. After that the run is lost.
    ///
    /// # Errors
    /// `not_found` if the run isn't assigned to this node; `conflict` if it has ended, or is in progress; `internal` if the store
    /// fails.
    #[crate::boxed_future]
    pub async fn claim(
        &self,
        node: &NodeRecord,
        run: RunId,
        body: ClaimBody,
    ) -> Result<ClaimedRun, ApiError> {
        let process = body.process.map(|process| process.chars().take(PROCESS_MAX_CHARS).collect::<String>());
        for _ in 0..ATTEMPT_MAX_COUNT {
            let before = self.assignment(node.id, run).await?;
            let is_claimer = process.is_some() && process == before.claimer;
            let claimed = match before.state {
                AssignmentState::Ended => {
                    self.0.store.relay().close_run(node.id, run).await.map_err(error::store)?;
                    return Err(errors::fenced_off("the run has ended"));
                }
                AssignmentState::Claimed if is_claimer => before,
                AssignmentState::Running if is_claimer || process.is_none() => {
                    return Err(errors::fenced_off("the run is claimed already"));
                }
                AssignmentState::Running => {
                    self.give_up(node.id, run, &before, "it was restarted").await?;
                    return Err(errors::fenced_off("the run was lost when the node was restarted"));
                }
                AssignmentState::Assigned | AssignmentState::Claimed => {
                    let lease = self.lease_until_ms();
                    let store = self.0.store.relay();
                    match store.claim(node.id, run, &before, lease, process.clone()).await {
                        Ok(claimed) => claimed,
                        Err(StoreError::Conflict) => continue,
                        Err(failure) => return Err(error::store(failure)),
                    }
                }
            };
            let task = self.0.store.relay().task(node.id, run).await.map_err(error::store)?;
            let task = task.ok_or_else(errors::no_such_run)?;
            self.0.runs.wake(&(node.id, run));
            let lease_seconds = u32::try_from(self.0.times.lease.as_secs()).unwrap_or(u32::MAX);
            return Ok(ClaimedRun { run: task, fence: claimed.fence, last_seq: 0, lease_seconds });
        }
        Err(errors::fenced_off("the run is claimed by several requests at once"))
    }

    /// Records that a node refuses a run that it has claimed, before its first event.
    ///
    /// # Errors
    /// `not_found` as for [`Relay::claim`]; `conflict` if the claim isn't valid any more, or has an event.
    #[crate::boxed_future]
    pub async fn refuse(&self, node: &NodeRecord, run: RunId, refusal: NodeRefusal) -> Result<(), ApiError> {
        let before = self.assignment(node.id, run).await?;
        if before.fence != refusal.fence {
            return Err(errors::fenced_off("the run has a newer claim"));
        }
        if matches!(before.end, Some(AssignmentEnd::Refused { .. })) {
            return Ok(());
        }
        let end = AssignmentEnd::Refused { error: error_of_node(refusal.error) };
        let store = self.0.store.relay();
        let claimed = [AssignmentState::Claimed];
        match store.end_assignment(node.id, run, &before, &claimed, None, &end).await {
            Ok(()) => {
                self.0.runs.wake(&(node.id, run));
                Ok(())
            }
            Err(StoreError::Conflict) => Err(errors::fenced_off("the run has events, or has ended")),
            Err(failure) => Err(error::store(failure)),
        }
    }

    /// A run's assignment to a node.
    pub(super) async fn assignment(&self, node: NodeId, run: RunId) -> Result<Assignment, ApiError> {
        let assignment = self.0.store.relay().assignment(node, run).await.map_err(error::store)?;
        assignment.ok_or_else(errors::no_such_run)
    }

    /// Ends an assignment, which is as `before`, since its node is lost.
    pub(super) async fn give_up(
        &self,
        node: NodeId,
        run: RunId,
        before: &Assignment,
        problem: &str,
    ) -> Result<(), ApiError> {
        self.end_as_lost(node, run, before, None, errors::lost(problem)).await.map(drop)
    }

    /// Ends an assignment, which is as `before`, with an error, if the lease of its claim ends at `lease_max_ms` at the latest.
    /// Returns false if it has changed meanwhile.
    pub(super) async fn end_as_lost(
        &self,
        node: NodeId,
        run: RunId,
        before: &Assignment,
        lease_max_ms: Option<i64>,
        reason: ApiError,
    ) -> Result<bool, ApiError> {
        let open = AssignmentState::OPEN;
        self.end_from(node, run, before, &open, lease_max_ms, reason).await.map_err(error::store)
    }

    /// Ends a claim without an event, as [`Relay::end_as_lost`]. One that has just got its first event goes on.
    pub(super) async fn end_unbegun_as_lost(
        &self,
        node: NodeId,
        run: RunId,
        before: &Assignment,
        lease_max_ms: i64,
        reason: ApiError,
    ) -> Result<bool, ApiError> {
        let claimed = [AssignmentState::Claimed];
        self.end_from(node, run, before, &claimed, Some(lease_max_ms), reason).await.map_err(error::store)
    }

    /// Ends an assignment, which is as `before` and in one of the states, with an error.
    pub(super) async fn end_from(
        &self,
        node: NodeId,
        run: RunId,
        before: &Assignment,
        states: &[AssignmentState],
        lease_max_ms: Option<i64>,
        reason: ApiError,
    ) -> Result<bool, StoreError> {
        let (end, store) = (AssignmentEnd::Lost { error: reason }, self.0.store.relay());
        match store.end_assignment(node, run, before, states, lease_max_ms, &end).await {
            Ok(()) => {
                self.0.runs.wake(&(node, run));
                Ok(true)
            }
            Err(StoreError::Conflict) => Ok(false),
            Err(failure) => Err(failure),
        }
    }
}
