//! A node posts the events of a run.

use std::time::Duration;

use hearth_domain::{NodeId, RunId, Timestamp};
use hearth_store::{
    StoreError,
    nodes::NodeRecord,
    relay::{Assignment, AssignmentEnd, AssignmentState, RelayBatch},
};
use hearth_wire::{
    ApiError, ErrorCode, RunEvent,
    relay::{NodeBatchAccepted, NodeEventBatch},
};

use super::{Relay, checks, errors, millis};
use crate::error;

/// Time for which a cancelled run may go on.
const CANCEL_GRACE: Duration = Duration::from_secs(30);

impl Relay {
    /// Appends a node's events to the log of a run. Those that the log has already are ignored, and a batch that leaves a gap is
    /// not stored: the answer has the number after which the node sends on. An empty batch renews the lease. After the terminal
    /// event no batch changes anything.
    ///
    /// # Errors
    /// `not_found` if the run isn't assigned to this node; `conflict` if the claim isn't the latest, or the run was taken from the
    /// node; `invalid_request` or `payload_too_large` for events that no node may post; `internal` if the store fails.
    #[crate::boxed_future]
    pub async fn append(
        &self,
        node: &NodeRecord,
        run: RunId,
        batch: NodeEventBatch,
    ) -> Result<NodeBatchAccepted, ApiError> {
        let events = checks::check(batch.events)?;
        let assignment = self.assignment(node.id, run).await?;
        if assignment.fence != batch.fence {
            return Err(errors::fenced_off("the run has a newer claim"));
        }
        match (assignment.state, &assignment.end) {
            (AssignmentState::Assigned, _) => {
                return Err(errors::fenced_off("the run isn't claimed"));
            }
            (AssignmentState::Ended, Some(AssignmentEnd::Terminal)) => {
                let last_seq = self.last_seq(node.id, run, batch.fence).await?;
                return Ok(NodeBatchAccepted { last_seq, cancelled: false });
            }
            (AssignmentState::Ended, _) => return Err(errors::fenced_off("the run was taken from the node")),
            (AssignmentState::Claimed | AssignmentState::Running, _) => {}
        }
        let cancelled = assignment.cancelled_at.is_some();
        if assignment.cancelled_at.is_some_and(|at| at.plus(CANCEL_GRACE) < Timestamp::now()) {
            self.give_up(node.id, run, &assignment, "it didn't stop a cancelled run").await?;
            return Err(errors::fenced_off("the run was cancelled, and hasn't stopped"));
        }
        let last_seq = match events.first() {
            Some(first) => {
                let before = self.batches_from(node.id, run, batch.fence, first.seq - 1).await?;
                let stored = before.last().map_or(0, RelayBatch::last_seq);
                if stored + 1 < first.seq {
                    self.renew(node.id, run, batch.fence).await?;
                    self.last_seq(node.id, run, batch.fence).await?
                } else {
                    self.store_batch(node.id, run, &assignment, before.last(), events).await?
                }
            }
            None => {
                self.renew(node.id, run, batch.fence).await?;
                self.last_seq(node.id, run, batch.fence).await?
            }
        };
        Ok(NodeBatchAccepted { last_seq, cancelled })
    }

    /// Stores the events behind the batch `before`, which is the last one. Returns the last seq.
    async fn store_batch(
        &self,
        node: NodeId,
        run: RunId,
        assignment: &Assignment,
        before: Option<&RelayBatch>,
        mut events: Vec<RunEvent>,
    ) -> Result<u64, ApiError> {
        let (store, fence) = (self.0.store.relay(), assignment.fence);
        let last_seq = before.map_or(0, RelayBatch::last_seq);
        let has_ended = before.is_some_and(RelayBatch::is_terminal);
        events.retain(|event| event.seq > last_seq && !has_ended);
        let Some(last) = events.last() else {
            if has_ended {
                self.end_by_terminal(node, run, assignment).await?;
            }
            return Ok(last_seq);
        };
        let (last_seq, ends) = (last.seq, last.body.is_terminal());
        let bytes_before = before.map_or(0, |before| before.total_bytes);
        let bytes: u64 = events.iter().map(|event| event.json_bytes() as u64).sum();
        if bytes_before + bytes > self.0.run_max_bytes {
            let message = "the answer is larger than the gateway allows (answer_max_bytes), and was stopped";
            let reason = ApiError::new(ErrorCode::ProviderError, message);
            self.end_as_lost(node, run, assignment, None, reason).await?;
            let message = "the answer is larger than the gateway allows; stop the run";
            return Err(ApiError::new(ErrorCode::PayloadTooLarge, message));
        }
        if assignment.state == AssignmentState::Claimed {
            match store.begin(node, run, fence, self.lease_until_ms()).await {
                Ok(()) => {}
                Err(StoreError::Conflict) => self.check_running(node, run, fence).await?,
                Err(failure) => return Err(error::store(failure)),
            }
        } else if self.is_lease_short(assignment, before) {
            // Otherwise a reader could give the node up while its batch is stored and accepted.
            self.renew(node, run, fence).await?;
        }
        store.append_batch(node, run, fence, &events, bytes_before).await.map_err(error::store)?;
        self.0.lengths.put((node, run, fence), last_seq);
        if ends {
            self.end_by_terminal(node, run, assignment).await?;
        }
        self.0.runs.wake(&(node, run));
        Ok(last_seq)
    }

    /// True if less than half of a lease is left, by the last batch and the last renewal. It is renewed by a batch only then.
    fn is_lease_short(&self, assignment: &Assignment, before: Option<&RelayBatch>) -> bool {
        let lease = i64::try_from(self.0.times.lease.as_millis()).unwrap_or(i64::MAX);
        let heard = before.map_or(0, |before| before.stored_ms.saturating_add(lease));
        let left = assignment.lease_until_ms.max(heard).saturating_sub(millis(Timestamp::now()));
        left < lease / 2
    }

    /// Checks that a run whose first batch met another write is in progress under the same claim.
    async fn check_running(&self, node: NodeId, run: RunId, fence: u64) -> Result<(), ApiError> {
        let now = self.assignment(node, run).await?;
        match now.fence == fence && now.state == AssignmentState::Running {
            true => Ok(()),
            false => Err(errors::fenced_off("the run was taken from the node")),
        }
    }

    async fn end_by_terminal(&self, node: NodeId, run: RunId, before: &Assignment) -> Result<(), ApiError> {
        let running = [AssignmentState::Running];
        let store = self.0.store.relay();
        match store.end_assignment(node, run, before, &running, None, &AssignmentEnd::Terminal).await {
            // Another request has ended it.
            Ok(()) | Err(StoreError::Conflict) => Ok(()),
            Err(failure) => Err(error::store(failure)),
        }
    }

    async fn renew(&self, node: NodeId, run: RunId, fence: u64) -> Result<(), ApiError> {
        match self.0.store.relay().renew(node, run, fence, self.lease_until_ms()).await {
            Ok(()) => Ok(()),
            Err(StoreError::Conflict) => Err(errors::fenced_off("the run was taken from the node")),
            Err(failure) => Err(error::store(failure)),
        }
    }

    /// All batches of a claim that end at `last_from` or later.
    pub(super) async fn batches_from(
        &self,
        node: NodeId,
        run: RunId,
        fence: u64,
        last_from: u64,
    ) -> Result<Vec<RelayBatch>, ApiError> {
        let (mut all, mut from) = (Vec::new(), last_from);
        loop {
            let page = self.0.store.relay().batches(node, run, fence, from).await;
            let (page, has_more) = page.map_err(error::store)?;
            from = page.last().map_or(from, |last| last.last_seq() + 1);
            all.extend(page);
            if !has_more {
                return Ok(all);
            }
        }
    }

    /// The events of a run after `after` that its node has posted; none if the node doesn't have the run.
    ///
    /// # Errors
    /// `internal` if the store fails.
    pub(crate) async fn posted_events(
        &self,
        node: NodeId,
        run: RunId,
        after: u64,
    ) -> Result<Vec<RunEvent>, ApiError> {
        let assignment = self.0.store.relay().assignment(node, run).await.map_err(error::store)?;
        let Some(assignment) = assignment else { return Ok(Vec::new()) };
        let batches = self.batches_from(node, run, assignment.fence, after + 1).await?;
        let mut events: Vec<RunEvent> = Vec::new();
        for event in batches.into_iter().flat_map(|batch| batch.events) {
            let last = events.last();
            if event.seq > last.map_or(after, |last| last.seq)
                && !last.is_some_and(|last| last.body.is_terminal())
            {
                events.push(event);
            }
        }
        Ok(events)
    }

    async fn last_seq(&self, node: NodeId, run: RunId, fence: u64) -> Result<u64, ApiError> {
        // A log only grows, so the part that is known needn't be read again.
        let known_seq = self.0.lengths.get(&(node, run, fence)).unwrap_or(0);
        let batches = self.batches_from(node, run, fence, known_seq + 1).await?;
        let last_seq = batches.last().map_or(known_seq, RelayBatch::last_seq);
        self.0.lengths.put((node, run, fence), last_seq);
        Ok(last_seq)
    }
}
