//! Run records: writes each run's record (its state and result), and its events in batches, while the run goes on.
//!
//! Every run, of a node or of a provider, short or long, is recorded in the same way: its record is begun, events are
//! appended, and its end is written, each as one operation of the store. The record of a run whose client gets the whole
//! answer at once is begun only if the run lasts; one that ends before is a single write.
//!
//! - [`Recording`] is the driver's handle. It has no task of its own: the driver's task polls it. It has the states of a
//!   record.
//! - [`recorder`] has the rules: the content of a record, and the times of its writes. It does no I/O.
//! - [`writer`] writes, and retries.
//! - [`end_writes`] drives the last writes of ended runs.
//! - [`pending`] tracks the records that lag behind.
//! - [`replay`] makes events of a record.

mod end_writes;
pub(crate) mod pending;
mod recorder;
mod recording;
pub(crate) mod replay;
mod writer;

use std::time::Duration;

use hearth_domain::{ClientDialect, Delivery, Generation, Owner, Run, RunId, Timestamp};
use hearth_store::{DiskProblem, Store, StoreError, conversations::Conversation};
use hearth_telemetry::traces::TraceContext;
use hearth_wire::ApiError;
use serde_json::Value;

pub(crate) use recording::Recording;

use crate::{background::Background, error, events::Events};
use pending::PendingRecords;
use recorder::RecordTimes;
use writer::RecordWriter;

/// The records of the runs in progress.
#[derive(Debug)]
pub(crate) struct Records {
    writer: RecordWriter,
    pending: PendingRecords,
    times: RecordTimes,
    background: Background,
}

impl Records {
    pub(crate) fn new(store: Store, events: Events, background: Background) -> Self {
        let times =
            if background.outlives_response() { RecordTimes::OWN_STORE } else { RecordTimes::PAID_STORE };
        let (writer, pending) = (RecordWriter::new(store).with_events(events), PendingRecords::default());
        Self { writer, pending, times, background }
    }

    /// Begins to record a run.
    pub(crate) fn start(&self, run: Run, delivery: Delivery, trace: TraceContext) -> Recording {
        recording::start(self.writer.clone(), &self.pending, run, self.times, delivery, trace)
    }

    /// True if the end of a response waits for its record: where the process is frozen after it, and where the records lag
    /// behind by more than the limit.
    pub(crate) fn end_waits(&self) -> bool {
        self.pending.is_late(self.writer.lag()) || !self.background.outlives_response()
    }

    /// True if other processes share the store, as on Lambda: one of them may cancel a run of this one.
    pub(crate) fn are_shared(&self) -> bool {
        !self.background.outlives_response()
    }

    /// Asks the process that carries out a run to cancel it.
    pub(crate) async fn mark_cancelled(&self, id: RunId) -> Result<(), StoreError> {
        self.writer.store().runs().mark_cancelled(id).await
    }

    /// True if another process has cancelled the run.
    pub(crate) async fn is_cancel_marked(&self, id: RunId) -> Result<bool, StoreError> {
        self.writer.store().runs().is_cancel_marked(id).await
    }

    /// Records that a process follows a run of another one until `until`.
    pub(crate) async fn mark_followed(&self, id: RunId, until: Timestamp) -> Result<(), StoreError> {
        self.writer.store().runs().mark_followed(id, until).await
    }

    /// The time up to which another process follows the run, if one does.
    pub(crate) async fn followed_until(&self, id: RunId) -> Result<Option<Timestamp>, StoreError> {
        self.writer.store().runs().followed_until(id).await
    }

    /// True if this process writes the run's record, or is about to.
    pub(crate) fn is_pending(&self, id: RunId) -> bool {
        self.pending.contains(id)
    }

    /// True if the store has left a write waiting for too long.
    pub(crate) fn is_down(&self) -> bool {
        self.pending.is_down()
    }

    /// The problem of the home stores for which the records wait, if there is one.
    pub(crate) fn disk_problem(&self) -> Option<DiskProblem> {
        self.writer.disk_problem()
    }

    /// Waits for a run's record to be in the store, for a limited time, and not for a store that is down.
    pub(crate) async fn wait_begun(&self, id: RunId) {
        self.pending.wait_begun(id).await;
    }

    /// Waits for a run's record to contain all that its client may have, for a limited time.
    pub(crate) async fn wait_current(&self, id: RunId) {
        self.pending.wait_current(id).await;
    }

    /// Waits for all pending records; returns false if the time was too short.
    pub(crate) async fn settle(&self, timeout: Duration) -> bool {
        self.pending.settle(timeout).await
    }

    /// Stores the request of a run, before the run begins. Without room in the quota, one that only the operator wants to be
    /// stored isn't.
    ///
    /// # Errors
    /// `quota_exceeded`; `internal` if the store fails: then the run doesn't begin, as it couldn't be repeated later.
    pub(crate) async fn put_request(
        &self,
        id: RunId,
        owner: Owner,
        request: &Generation,
    ) -> Result<(), ApiError> {
        let stored = self.writer.store().run_requests().put(id, owner, request).await;
        match stored {
            Err(StoreError::OverQuota(_)) if wants_store(request) != Some(true) => {
                tracing::warn!(run = %id, "a request isn't stored: the quota of its owner is reached");
                Ok(())
            }
            result => result.map_err(error::no_request),
        }
    }

    /// Stores the conversation that ends with a run.
    pub(crate) async fn put_conversation(
        &self,
        id: RunId,
        owner: Owner,
        conversation: &Conversation,
    ) -> Result<(), StoreError> {
        self.writer.put_conversation(id, owner, conversation).await
    }
}

/// The client's wish that its request is stored; none if it leaves that open. OpenAI's chat completions have a field of the same
/// name, which a provider of this dialect gets too.
pub(crate) fn wants_store(generation: &Generation) -> Option<bool> {
    let extra = &generation.extra;
    let of_dialect = || match extra.dialect {
        ClientDialect::OpenAiChat => extra.fields.get("store").and_then(Value::as_bool),
        _ => None,
    };
    generation.store.or_else(of_dialect)
}
