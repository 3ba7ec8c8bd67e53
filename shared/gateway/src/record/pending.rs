//! Runs whose stored record lags behind this process.
//!
//! Stages of a run here, and the calls that wait for each:
//!
//! ```text
//! entered ──▶ begin tried ───────▶ ended ────────────────▶ done: stored, or given up; the run is removed
//!             wait_begun,          its client may have     EndReceipt::wait, settle,
//!             wait_current         the terminal event      wait_current
//! ```
//!
//! A run that ends before the write of its beginning is ended without `begin_tried`, which comes with `done` then.

use std::{
    collections::{HashMap, VecDeque},
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use hearth_domain::{Delivery, RunId};
use tokio::sync::{Notify, watch};

/// Limit of the lag of the records of runs whose answers were delivered.
pub(crate) const RECORD_LAG_LIMIT: Duration = Duration::from_millis(50);
/// Lag from which on an answer waits for its record: the write may take as long again.
const LAG_WAIT_THRESHOLD: Duration = Duration::from_millis(RECORD_LAG_LIMIT.as_millis() as u64 / 2);
/// Time for which the duration of the latest write of an end counts as the present lag.
const LAG_WINDOW: Duration = Duration::from_secs(1);
/// With more ended runs than this to be recorded, answers wait for their records however young those are.
const PENDING_ENDS_MAX_COUNT: usize = 2_000;
/// Timeout of an answer, or of a request for a run, that waits for a record to be written. A store that has left a write
/// waiting for so long is down: then answers don't wait for it.
pub(crate) const RECORD_WAIT_TIMEOUT: Duration = Duration::from_secs(5);

/// Progress of a run's record.
#[derive(Debug, Clone, Copy, Default)]
struct RecordStage {
    /// The store has the run's beginning, or an attempt to write it has failed.
    begin_tried: bool,
    /// The run has ended, and its client may have the terminal event.
    ended: bool,
    /// Nothing more is written.
    done: bool,
    /// Nothing more is written, and the store has the run's end.
    stored: bool,
}

#[derive(Debug, Default)]
struct Entry {
    stage: watch::Sender<RecordStage>,
    /// A request waits for the run's record.
    is_wanted: AtomicBool,
    /// Wakes the recorder when a request begins to wait.
    wanted: Notify,
}

/// The ages of the oldest writes that wait, and the number of ends that do.
struct Ages {
    begin: Duration,
    end: Duration,
    ends: usize,
}

/// The runs that are being recorded.
#[derive(Debug, Clone, Default)]
pub(crate) struct PendingRecords(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    state: Mutex<State>,
    latest_end: LatestEndWrite,
    start: Instant,
}

/// The latest write of an end.
#[derive(Debug, Default)]
struct LatestEndWrite {
    /// Its duration, in microseconds.
    took: AtomicU64,
    /// The time at which it ended, in microseconds after [`Shared::start`].
    ended_at: AtomicU64,
}

#[derive(Debug, Default)]
struct State {
    runs: HashMap<RunId, Arc<Entry>>,
    /// The runs that are to be begun, oldest first; those that are begun are removed when they are first.
    begins: VecDeque<(Instant, Arc<Entry>)>,
    /// The runs that have ended, likewise.
    ends: VecDeque<(Instant, Arc<Entry>)>,
}

impl Default for Shared {
    fn default() -> Self {
        Self { state: Mutex::default(), latest_end: LatestEndWrite::default(), start: Instant::now() }
    }
}

impl PendingRecords {
    /// Adds a run that is about to be recorded. The record of a streamed one is begun now.
    pub(super) fn enter(&self, id: RunId, delivery: Delivery) -> Progress {
        let entry = Arc::new(Entry::default());
        let mut state = self.state();
        state.runs.insert(id, Arc::clone(&entry));
        if delivery == Delivery::Stream {
            state.begins.push_back((Instant::now(), Arc::clone(&entry)));
        }
        drop(state);
        Progress { pending: self.clone(), id, entry, ended: None }
    }

    /// True if an answer that ends now waits for its record: the lag is above its limit, and the store isn't down. With too
    /// many records in memory answers wait in any case.
    pub(crate) fn is_late(&self, writer_lag: Duration) -> bool {
        let Ages { begin, end, ends } = self.ages();
        let lag = end.max(writer_lag).max(self.recent_lag());
        let is_down = begin.max(end) >= RECORD_WAIT_TIMEOUT;
        lag >= LAG_WAIT_THRESHOLD && !is_down || ends > PENDING_ENDS_MAX_COUNT
    }

    /// True if the store has left a write waiting for too long.
    pub(crate) fn is_down(&self) -> bool {
        let Ages { begin, end, .. } = self.ages();
        begin.max(end) >= RECORD_WAIT_TIMEOUT
    }

    /// True if the run's record isn't complete yet.
    pub(crate) fn contains(&self, id: RunId) -> bool {
        self.state().runs.contains_key(&id)
    }

    fn ages(&self) -> Ages {
        let mut state = self.state();
        while state.begins.front().is_some_and(|(_, entry)| entry.stage.borrow().begin_tried) {
            state.begins.pop_front();
        }
        while state.ends.front().is_some_and(|(_, entry)| entry.stage.borrow().done) {
            state.ends.pop_front();
        }
        let age = |queue: &VecDeque<(Instant, Arc<Entry>)>| {
            queue.front().map_or(Duration::ZERO, |(since, _)| since.elapsed())
        };
        Ages { begin: age(&state.begins), end: age(&state.ends), ends: state.ends.len() }
    }

    /// Duration of the latest write of an end, if it is recent.
    fn recent_lag(&self) -> Duration {
        let now = self.micros();
        let LatestEndWrite { took, ended_at } = &self.0.latest_end;
        let (took, ended_at) = (took.load(Ordering::Relaxed), ended_at.load(Ordering::Relaxed));
        let is_recent =
            now.saturating_sub(ended_at) < u64::try_from(LAG_WINDOW.as_micros()).unwrap_or(u64::MAX);
        Duration::from_micros(if is_recent { took } else { 0 })
    }

    /// Waits for a run's record to be in the store, for a limited time, and not for a store that is down.
    pub(crate) async fn wait_begun(&self, id: RunId) {
        if !self.is_down() {
            self.wait_for(id, |stage| stage.begin_tried).await;
        }
    }

    /// Waits for a run's record to contain all that its client may have, for a limited time.
    pub(crate) async fn wait_current(&self, id: RunId) {
        self.wait_for(id, |stage| if stage.ended { stage.done } else { stage.begin_tried }).await;
    }

    /// Waits for all pending records; returns false if the time was too short.
    pub(crate) async fn settle(&self, timeout: Duration) -> bool {
        let all = async {
            loop {
                let next = self.state().runs.values().next().map(|entry| entry.stage.subscribe());
                let Some(mut stage) = next else { return };
                let _ = stage.wait_for(|stage| stage.done).await;
            }
        };
        tokio::time::timeout(timeout, all).await.is_ok()
    }

    async fn wait_for(&self, id: RunId, reached: impl Fn(&RecordStage) -> bool) {
        let Some(entry) = self.state().runs.get(&id).map(Arc::clone) else { return };
        if reached(&entry.stage.borrow()) {
            return;
        }
        entry.is_wanted.store(true, Ordering::Release);
        entry.wanted.notify_one();
        let mut stage = entry.stage.subscribe();
        let _ = tokio::time::timeout(RECORD_WAIT_TIMEOUT, stage.wait_for(|stage| reached(stage))).await;
    }

    fn micros(&self) -> u64 {
        u64::try_from(self.0.start.elapsed().as_micros()).unwrap_or(u64::MAX)
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The recorder's end of an entry. Dropping it ends the writes.
#[derive(Debug)]
pub(super) struct Progress {
    pending: PendingRecords,
    id: RunId,
    entry: Arc<Entry>,
    ended: Option<Instant>,
}

/// Waits for the end of a run to be written.
#[derive(Debug)]
pub(crate) struct EndReceipt(watch::Receiver<RecordStage>);

impl EndReceipt {
    /// Waits until the run's end is stored, the recorder has given up, or the time is over; returns whether it is stored.
    pub(crate) async fn wait(mut self) -> bool {
        let done = self.0.wait_for(|stage| stage.done);
        matches!(tokio::time::timeout(RECORD_WAIT_TIMEOUT, done).await, Ok(Ok(stage)) if stage.stored)
    }
}

impl Progress {
    /// Wakes the requests that wait for the run's beginning: it is stored, or an attempt has failed.
    pub(super) fn set_begin_tried(&self) {
        self.entry.stage.send_modify(|stage| stage.begin_tried = true);
    }

    /// Records that the run has ended: its client is about to have the terminal event.
    pub(super) fn set_ended(&mut self) {
        let now = Instant::now();
        self.ended = Some(now);
        self.pending.state().ends.push_back((now, Arc::clone(&self.entry)));
        self.entry.stage.send_modify(|stage| stage.ended = true);
    }

    /// A receipt for the write of the run's end.
    pub(super) fn receipt(&self) -> EndReceipt {
        EndReceipt(self.entry.stage.subscribe())
    }

    /// Records that the store has the run's end.
    pub(super) fn set_stored(&self) {
        self.entry.stage.send_modify(|stage| stage.stored = true);
    }

    /// True if a request waits for the record.
    pub(super) fn is_wanted(&self) -> bool {
        self.entry.is_wanted.load(Ordering::Acquire)
    }

    /// A future that ends when a request begins to wait for the record, or has done so since the last call.
    pub(super) fn wanted(&self) -> impl Future<Output = ()> + Send + use<> {
        let entry = Arc::clone(&self.entry);
        async move { entry.wanted.notified().await }
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        if let Some(ended) = self.ended {
            let took = u64::try_from(ended.elapsed().as_micros()).unwrap_or(u64::MAX);
            let latest = &self.pending.0.latest_end;
            latest.took.store(took, Ordering::Relaxed);
            latest.ended_at.store(self.pending.micros(), Ordering::Relaxed);
        }
        // Remove the entry before waking the waiting requests: the next request finds nothing to wait for.
        self.pending.state().runs.remove(&self.id);
        self.entry.stage.send_modify(|stage| (stage.begin_tried, stage.done) = (true, true));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn request_for_a_run_waits_for_its_delivered_end() {
        let (pending, id) = (PendingRecords::default(), RunId::new());
        pending.wait_current(id).await;
        let mut progress = pending.enter(id, Delivery::Stream);
        progress.set_begin_tried();
        // Its client doesn't have its end yet: the record is current.
        pending.wait_current(id).await;
        assert!(!progress.is_wanted());
        progress.set_ended();
        let waits = tokio::spawn({
            let pending = pending.clone();
            async move { pending.wait_current(id).await }
        });
        progress.wanted().await;
        assert!(progress.is_wanted() && !waits.is_finished());
        assert!(!pending.settle(Duration::from_millis(20)).await);
        let receipt = progress.receipt();
        progress.set_stored();
        drop(progress);
        waits.await.unwrap();
        assert!(receipt.wait().await);
        assert!(pending.settle(Duration::from_secs(1)).await);
    }

    #[tokio::test]
    async fn answers_wait_while_an_end_is_not_written_in_time() {
        let pending = PendingRecords::default();
        assert!(!pending.is_late(Duration::ZERO) && pending.is_late(RECORD_LAG_LIMIT));
        let mut first = pending.enter(RunId::new(), Delivery::Whole);
        first.set_ended();
        assert!(!pending.is_late(Duration::ZERO));
        tokio::time::sleep(LAG_WAIT_THRESHOLD).await;
        assert!(pending.is_late(Duration::ZERO));
        // A write that took so long counts for a while.
        let receipt = first.receipt();
        drop(first);
        assert!(pending.is_late(Duration::ZERO));
        assert!(!receipt.wait().await, "an end that was given up isn't stored");
    }
}
