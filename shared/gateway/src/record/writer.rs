//! Writes records, and retries failed writes.
//!
//! While the store fails, one write at a time is tried, with exponential backoff; all others wait for their turn. So a
//! store that is down gets no more requests than a healthy one, however many runs are to be recorded.

use std::{
    sync::{
        Arc, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use hearth_domain::{Owner, Run, RunId};
use hearth_store::{DiskProblem, Store, StoreError, conversations::Conversation};
use hearth_wire::RunEvent;
use tokio::{sync::Mutex, time::Instant};

use super::end_writes::EndWrites;
use crate::events::{Announcement, Events};

/// Time for which the write of a record's beginning, or of events, is retried; the end of the run records the rest.
pub(super) const PART_RETRY_TIMEOUT: Duration = Duration::from_secs(4);
/// Time for which the write of a run's end is retried.
pub(super) const END_RETRY_TIMEOUT: Duration = Duration::from_secs(30);
/// The first pause after a failed write, and the longest.
const BACKOFF: (Duration, Duration) = (Duration::from_millis(50), Duration::from_secs(2));

/// Writes the records of all runs of this process.
#[derive(Debug, Clone)]
pub(crate) struct RecordWriter {
    shared: Arc<Shared>,
    /// Publishes the ends of runs.
    events: Option<Events>,
}

#[derive(Debug)]
struct Shared {
    store: Store,
    end_writes: EndWrites,
    /// The latest write has failed.
    is_failing: AtomicBool,
    /// The next pause. Held by the one write that is retried.
    turn: Mutex<Duration>,
    /// The latest failure.
    failure: std::sync::Mutex<Option<StoreError>>,
}

impl RecordWriter {
    /// A writer to `store`.
    pub(crate) fn new(store: Store) -> Self {
        let (is_failing, turn) = (AtomicBool::new(false), Mutex::new(BACKOFF.0));
        let (end_writes, failure) = (EndWrites::default(), std::sync::Mutex::default());
        let shared = Arc::new(Shared { store, end_writes, is_failing, turn, failure });
        Self { shared, events: None }
    }

    /// The writer, whose runs' ends are published.
    pub(super) fn with_events(self, events: Events) -> Self {
        Self { events: Some(events), ..self }
    }

    /// Announces the end of a run, which is about to be written.
    pub(super) async fn announce_end(&self, run: &Run) -> Announcement {
        match &self.events {
            Some(events) => events.announce_end(run).await,
            None => Announcement::none(),
        }
    }

    /// The store of the records.
    pub(super) fn store(&self) -> &Store {
        &self.shared.store
    }

    /// Age of the oldest write in the store's own queue.
    pub(crate) fn lag(&self) -> Duration {
        self.shared.store.writer_lag()
    }

    /// The last writes of ended runs that are in progress.
    pub(super) fn end_writes(&self) -> &EndWrites {
        &self.shared.end_writes
    }

    /// Stores a new run. A conflict is an earlier write whose answer was lost.
    pub(super) async fn begin(&self, run: &Run) -> Result<(), StoreError> {
        let runs = self.shared.store.runs();
        let begin = || runs.begin(run);
        self.write(PART_RETRY_TIMEOUT, begin).await.map(drop)
    }

    /// Appends events to a run whose beginning is stored.
    pub(super) async fn append(&self, id: RunId, events: &[RunEvent]) -> Result<(), StoreError> {
        let runs = self.shared.store.runs();
        let append = || runs.append(id, events);
        self.write(PART_RETRY_TIMEOUT, append).await.map(drop)
    }

    /// Updates the record of a run whose beginning is stored, also at its end. One that has ended already stays as it is.
    pub(super) async fn update(&self, run: &Run) -> Result<(), StoreError> {
        let timeout = if run.state.is_terminal() { END_RETRY_TIMEOUT } else { PART_RETRY_TIMEOUT };
        let runs = self.shared.store.runs();
        let update = || runs.update(run);
        self.write(timeout, update).await.map(drop)
    }

    /// Stores a run that has ended as one write, with those events that its record doesn't contain. If an earlier write
    /// of its beginning has come through after all, the record is brought up to date.
    pub(super) async fn record_ended(&self, run: &Run, events: &[RunEvent]) -> Result<(), StoreError> {
        let runs = self.shared.store.runs();
        let record = || runs.record_ended(run, events);
        match self.write(END_RETRY_TIMEOUT, record).await? {
            Written::Done => Ok(()),
            // The events come before the record, and are written.
            Written::Conflict => self.update(run).await,
        }
    }

    /// Stores the conversation that ends with a run.
    pub(crate) async fn put_conversation(
        &self,
        id: RunId,
        owner: Owner,
        conversation: &Conversation,
    ) -> Result<(), StoreError> {
        let conversations = self.shared.store.conversations();
        self.write(PART_RETRY_TIMEOUT, || conversations.put(id, owner, conversation)).await.map(drop)
    }

    /// Writes, and retries a failed write until the time is over.
    async fn write<F>(&self, timeout: Duration, write: impl Fn() -> F) -> Result<Written, StoreError>
    where
        F: Future<Output = Result<(), StoreError>>,
    {
        let mut deadline = None;
        loop {
            // No timer comes before the first failure: the caller may go on in another runtime then.
            let is_failing = &self.shared.is_failing;
            if !is_failing.load(Ordering::Acquire) {
                match written(write().await) {
                    Err(error) if is_transient(&error) => self.fail(&error),
                    result => return result,
                }
            }
            let deadline = *deadline.get_or_insert_with(|| Instant::now() + timeout);
            let Ok(mut pause) = tokio::time::timeout_at(deadline, self.shared.turn.lock()).await else {
                return Err(self.failure());
            };
            while is_failing.load(Ordering::Acquire) {
                tokio::time::sleep_until(deadline.min(Instant::now() + *pause)).await;
                match written(write().await) {
                    Err(error) if is_transient(&error) => {
                        self.fail(&error);
                        *pause = (*pause * 2).min(BACKOFF.1);
                        if Instant::now() >= deadline {
                            return Err(error);
                        }
                    }
                    result => {
                        *pause = BACKOFF.0;
                        is_failing.store(false, Ordering::Release);
                        return result;
                    }
                }
            }
        }
    }

    fn fail(&self, error: &StoreError) {
        tracing::warn!(%error, "records wait for the store");
        *self.shared.failure.lock().unwrap_or_else(PoisonError::into_inner) = Some(error.clone());
        self.shared.is_failing.store(true, Ordering::Release);
    }

    /// The problem of the home stores for which the records wait, if there is one.
    pub(super) fn disk_problem(&self) -> Option<DiskProblem> {
        let is_failing = self.shared.is_failing.load(Ordering::Acquire);
        is_failing.then(|| self.failure().disk_problem()).flatten()
    }

    fn failure(&self) -> StoreError {
        let failure = self.shared.failure.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let reason = || "the store has failed for too long".to_owned();
        failure.unwrap_or_else(|| StoreError::Unavailable { operation: "write", reason: reason() })
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Written {
    Done,
    /// The item isn't in the state that the write needs.
    Conflict,
}

fn written(result: Result<(), StoreError>) -> Result<Written, StoreError> {
    match result {
        Ok(()) => Ok(Written::Done),
        Err(StoreError::Conflict) => Ok(Written::Conflict),
        Err(error) => Err(error),
    }
}

/// True if the same write may succeed later.
fn is_transient(error: &StoreError) -> bool {
    !matches!(error, StoreError::Conflict | StoreError::Unreadable(_) | StoreError::Newer { .. })
}
