//! The writes that wait for the writer: bounded, and with the age of the oldest.

use std::{
    collections::VecDeque,
    sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use tokio::sync::{OwnedSemaphorePermit, Semaphore, oneshot};

use crate::{StoreError, database::Write};

/// Bytes of writes that may wait; who comes then waits in turn, outside the queue. About half a second's work.
const QUEUE_MAX_BYTES: usize = 16 << 20;
/// Bytes that a write counts for at least.
const WRITE_MIN_BYTES: usize = 1 << 10;
/// How long a write waits for others that can be committed with it, unless somebody waits for it or them.
const LINGER: Duration = Duration::from_millis(2);
/// The most that are committed together: enough that the commit itself counts for nothing, and few enough that none
/// of them waits long.
const GROUP_MAX_COUNT: usize = 256;

/// Whether a write's caller waits for it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Urgency {
    /// It is committed at once.
    Now,
    /// It may wait [`LINGER`] for others.
    Soon,
}

/// Work for the writer.
#[derive(Debug)]
pub(super) enum Task {
    /// All of these, or none.
    Writes(Vec<Write>),
    /// Nothing: it is done when what was before it is.
    Flush,
}

impl Task {
    fn bytes(&self) -> usize {
        let Self::Writes(writes) = self else { return 0 };
        let size = |write: &Write| match write {
            Write::Put(item, _) => item.size(),
            Write::Update(..) | Write::Delete(..) => 0,
        };
        writes.iter().map(|write| WRITE_MIN_BYTES + size(write)).sum()
    }
}

/// A task in the queue.
#[derive(Debug)]
pub(super) struct Job {
    task: Task,
    reply: oneshot::Sender<Result<(), StoreError>>,
    queued_at: Instant,
    urgency: Urgency,
    /// Its room in the queue, until it is carried out.
    room: OwnedSemaphorePermit,
}

impl Job {
    /// What is to be done, and what waits for that: the caller, and the room in the queue.
    pub(super) fn split(self) -> (Task, Reply) {
        (self.task, Reply { caller: self.reply, _room: self.room })
    }
}

/// What waits for a job.
pub(super) struct Reply {
    caller: oneshot::Sender<Result<(), StoreError>>,
    _room: OwnedSemaphorePermit,
}

impl Reply {
    /// Tells the caller the result, if it still waits.
    pub(super) fn send(self, result: Result<(), StoreError>) {
        let _ = self.caller.send(result);
    }
}

/// The queue. Clones share it.
#[derive(Debug, Clone)]
pub(super) struct Queue(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    state: Mutex<State>,
    /// Wakes the writer.
    wake: Condvar,
    /// In units of [`WRITE_MIN_BYTES`].
    room: Arc<Semaphore>,
}

#[derive(Debug, Default)]
struct State {
    jobs: VecDeque<Job>,
    /// The beginning of the group that is being committed.
    committing: Option<Instant>,
    /// How many of `jobs` are urgent.
    urgent: usize,
    closed: bool,
}

/// What the writer has to do.
pub(super) enum Next {
    /// These jobs.
    Group(Vec<Job>),
    /// Nothing was queued for so long.
    Idle,
    /// The queue is closed and empty.
    Closed,
}

impl Queue {
    pub(super) fn new() -> Self {
        let room = Arc::new(Semaphore::new(QUEUE_MAX_BYTES / WRITE_MIN_BYTES));
        Self(Arc::new(Inner { state: Mutex::default(), wake: Condvar::new(), room }))
    }

    /// Puts a task into the queue, when there is room; where its result comes, or the task if the queue is closed.
    pub(super) async fn push(
        &self,
        task: Task,
        urgency: Urgency,
    ) -> Result<oneshot::Receiver<Result<(), StoreError>>, StoreError> {
        let units = task.bytes().div_ceil(WRITE_MIN_BYTES).min(QUEUE_MAX_BYTES / WRITE_MIN_BYTES);
        let units = u32::try_from(units).unwrap_or(u32::MAX);
        let room = Arc::clone(&self.0.room).acquire_many_owned(units).await;
        let room = room.map_err(|_| closed())?;
        let (reply, result) = oneshot::channel();
        let mut state = self.state();
        if state.closed {
            return Err(closed());
        }
        state.urgent += usize::from(urgency == Urgency::Now);
        state.jobs.push_back(Job { task, reply, queued_at: Instant::now(), urgency, room });
        // The writer looks at the queue again before it sleeps; only what changes its mind wakes it.
        let wakes = state.jobs.len() == 1 || urgency == Urgency::Now || state.jobs.len() == GROUP_MAX_COUNT;
        drop(state);
        if wakes {
            self.0.wake.notify_one();
        }
        Ok(result)
    }

    /// Waits for jobs, `idle` at most, and takes those that are to be committed together.
    pub(super) fn next(&self, idle: Duration) -> Next {
        let mut state = self.state();
        let idle_until = Instant::now() + idle;
        loop {
            let now = Instant::now();
            let until = match state.jobs.front() {
                None if state.closed => return Next::Closed,
                None if now >= idle_until => return Next::Idle,
                None => idle_until,
                Some(first) => {
                    let linger_until = first.queued_at + LINGER;
                    let full = state.jobs.len() >= GROUP_MAX_COUNT;
                    if full || state.urgent > 0 || state.closed || now >= linger_until {
                        return Next::Group(state.take());
                    }
                    linger_until
                }
            };
            let waited = self.0.wake.wait_timeout(state, until - now);
            state = waited.unwrap_or_else(PoisonError::into_inner).0;
        }
    }

    /// Notes that the group which was taken last is committed, or has failed.
    pub(super) fn carried_out(&self) {
        self.state().committing = None;
    }

    /// The age of the oldest job that isn't carried out.
    pub(super) fn lag(&self) -> Duration {
        let state = self.state();
        let oldest = state.committing.or_else(|| state.jobs.front().map(|job| job.queued_at));
        oldest.map_or(Duration::ZERO, |at| at.elapsed())
    }

    /// Takes no more tasks. Those in it are carried out.
    pub(super) fn close(&self) {
        self.state().closed = true;
        self.0.room.close();
        self.0.wake.notify_one();
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn take(&mut self) -> Vec<Job> {
        let count = self.jobs.len().min(GROUP_MAX_COUNT);
        let group: Vec<Job> = self.jobs.drain(..count).collect();
        self.committing = group.first().map(|job| job.queued_at);
        self.urgent -= group.iter().filter(|job| job.urgency == Urgency::Now).count();
        group
    }
}

pub(super) fn closed() -> StoreError {
    StoreError::Unavailable { operation: "write", reason: "the store is closed".to_owned() }
}
