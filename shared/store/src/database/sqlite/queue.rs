//! The queue of writes for the writer thread: bounded, with the age of the oldest write.

use std::{
    collections::VecDeque,
    sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use tokio::sync::{OwnedSemaphorePermit, Semaphore, oneshot};

use crate::{StoreError, database::Write};

/// Bytes of queued writes. When the queue is full, further writes wait for room, in their order. About half a second's
/// work.
const QUEUE_MAX_BYTES: usize = 16 << 20;
/// Minimum number of bytes that a write counts for.
const WRITE_MIN_BYTES: usize = 1 << 10;
/// The time after a group within which a write that isn't urgent waits for other writes, to be committed with them. After a pause it
/// is committed at once.
const BATCH_WINDOW: Duration = Duration::from_millis(2);
/// The same for a write that nothing waits for. A commit writes every page that has changed, of the table and of its indexes: a larger
/// group has fewer for each of its writes. An answer waits for records that are 25 ms late.
const DEFERRED_WINDOW: Duration = Duration::from_millis(8);
/// Maximum number of tasks in one commit: enough to make the cost of the commit itself negligible, and few enough that
/// none of them waits long.
const GROUP_MAX_COUNT: usize = 256;

/// The urgency of a write.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Urgency {
    /// Commit it at once, since its caller waits for it.
    Now,
    /// It may wait for others, until [`BATCH_WINDOW`] after the group before.
    Soon,
    /// Nothing waits for it: it may wait for others, up to [`DEFERRED_WINDOW`].
    Deferred,
}

impl Urgency {
    /// Returns when a write that is queued `now` is to be committed, at the latest. `last_group`: when the writer took the group
    /// before.
    fn due_at(self, now: Instant, last_group: Option<Instant>) -> Instant {
        match self {
            Self::Now => now,
            Self::Soon => last_group.map_or(now, |last| now.max(last + BATCH_WINDOW)),
            Self::Deferred => now + DEFERRED_WINDOW,
        }
    }
}

/// Work for the writer.
#[derive(Debug)]
pub(super) enum Task {
    /// Execute all of these, or none.
    Writes(Vec<Write>),
    /// Do nothing. It is done when all earlier tasks are.
    Flush,
}

impl Task {
    fn bytes(&self) -> usize {
        let Self::Writes(writes) = self else { return 0 };
        writes.iter().map(|write| WRITE_MIN_BYTES + write.size()).sum()
    }
}

/// A task in the queue.
#[derive(Debug)]
pub(super) struct Job {
    task: Task,
    reply: oneshot::Sender<Result<(), StoreError>>,
    queued_at: Instant,
    /// When it is to be committed, at the latest.
    due_at: Instant,
    /// Its share of the queue's bytes, until it is committed.
    room: OwnedSemaphorePermit,
}

impl Job {
    /// Separates the task from the caller that waits for it and from its share of the queue.
    pub(super) fn split(self) -> (Task, Reply) {
        (self.task, Reply { caller: self.reply, _room: self.room })
    }
}

/// The caller that waits for a job, and the job's share of the queue.
pub(super) struct Reply {
    caller: oneshot::Sender<Result<(), StoreError>>,
    _room: OwnedSemaphorePermit,
}

impl Reply {
    /// Sends the result to the caller, if it still waits.
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
    /// Wakes the writer thread.
    wake: Condvar,
    /// In units of [`WRITE_MIN_BYTES`].
    room: Arc<Semaphore>,
}

#[derive(Debug, Default)]
struct State {
    jobs: VecDeque<Job>,
    /// When the oldest job of the group that is being committed was queued.
    committing: Option<Instant>,
    /// The earliest time at which one of `jobs` is due; none if there are none.
    due_at: Option<Instant>,
    /// When the writer took the latest group.
    last_group: Option<Instant>,
    closed: bool,
}

/// The next work for the writer thread.
pub(super) enum Next {
    /// Commit these jobs.
    Group(Vec<Job>),
    /// No job was queued within the given time.
    Idle,
    /// The queue is closed and empty.
    Closed,
}

impl Queue {
    pub(super) fn new() -> Self {
        let room = Arc::new(Semaphore::new(QUEUE_MAX_BYTES / WRITE_MIN_BYTES));
        Self(Arc::new(Inner { state: Mutex::default(), wake: Condvar::new(), room }))
    }

    /// Queues a task when there is room. Returns the channel of its result, or an error if the queue is closed.
    pub(super) async fn push(
        &self,
        task: Task,
        urgency: Urgency,
    ) -> Result<oneshot::Receiver<Result<(), StoreError>>, StoreError> {
        let units = task.bytes().div_ceil(WRITE_MIN_BYTES).min(QUEUE_MAX_BYTES / WRITE_MIN_BYTES);
        let units = u32::try_from(units).unwrap_or(u32::MAX);
        let room = Arc::clone(&self.0.room).acquire_many_owned(units).await;
        let room = room.map_err(|_| closed("write"))?;
        let (reply, result) = oneshot::channel();
        let mut state = self.state();
        if state.closed {
            return Err(closed("write"));
        }
        let queued_at = Instant::now();
        let due_at = urgency.due_at(queued_at, state.last_group);
        state.jobs.push_back(Job { task, reply, queued_at, due_at, room });
        // The writer checks the queue before it sleeps; wake it only if this job changes when it commits.
        let is_first_due = state.due_at.is_none_or(|earliest| due_at < earliest);
        if is_first_due {
            state.due_at = Some(due_at);
        }
        let wakes = is_first_due || state.jobs.len() == GROUP_MAX_COUNT;
        drop(state);
        if wakes {
            self.0.wake.notify_one();
        }
        Ok(result)
    }

    /// Waits for jobs, `idle` at most, and takes the next group to commit.
    pub(super) fn next(&self, idle: Duration) -> Next {
        let mut state = self.state();
        let idle_until = Instant::now() + idle;
        loop {
            let now = Instant::now();
            let until = match state.due_at {
                None if state.closed => return Next::Closed,
                None if now >= idle_until => return Next::Idle,
                None => idle_until,
                Some(due_at) => {
                    let is_full = state.jobs.len() >= GROUP_MAX_COUNT;
                    if is_full || state.closed || now >= due_at {
                        return Next::Group(state.take_group());
                    }
                    due_at
                }
            };
            let waited = self.0.wake.wait_timeout(state, until - now);
            state = waited.unwrap_or_else(PoisonError::into_inner).0;
        }
    }

    /// Records that the group which was taken last is committed, or has failed.
    pub(super) fn group_committed(&self) {
        self.state().committing = None;
    }

    /// The age of the oldest job that isn't committed.
    pub(super) fn lag(&self) -> Duration {
        let state = self.state();
        let oldest = state.committing.or_else(|| state.jobs.front().map(|job| job.queued_at));
        oldest.map_or(Duration::ZERO, |at| at.elapsed())
    }

    /// Closes the queue: new tasks are refused, queued ones are still committed.
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
    fn take_group(&mut self) -> Vec<Job> {
        let count = self.jobs.len().min(GROUP_MAX_COUNT);
        let group: Vec<Job> = self.jobs.drain(..count).collect();
        self.committing = group.first().map(|job| job.queued_at);
        self.last_group = Some(Instant::now());
        self.due_at = self.jobs.iter().map(|job| job.due_at).min();
        group
    }
}

pub(super) fn closed(operation: &'static str) -> StoreError {
    StoreError::Unavailable { operation, reason: "the store is closed".to_owned() }
}

#[cfg(test)]
mod tests {
    use futures::FutureExt as _;
    use serde_json::{Value, json};

    use super::*;
    use crate::database::{Condition, Item, Key, Update};

    /// A value of so many bytes in all, in texts of an object.
    fn large(bytes: usize) -> Value {
        json!({"parts": vec!["x".repeat(bytes / 16); 16]})
    }

    fn put(bytes: usize) -> Write {
        let item = Item::new(Key::new("p", "put"), 1, &json!({})).unwrap();
        Write::Put(item.with_bytes(vec![0; bytes]), Condition::Always)
    }

    fn update(bytes: usize) -> Write {
        let update = Update { set: vec![("field", large(bytes))], ..Update::default() };
        Write::Update(Key::new("p", "update"), update, Condition::Always)
    }

    #[tokio::test]
    async fn write_that_finds_the_queue_full_waits_for_a_commit() {
        for write in [put, update] {
            let queue = Queue::new();
            let push = |write| queue.push(Task::Writes(vec![write]), Urgency::Soon);
            for _ in 0..4 {
                push(write(QUEUE_MAX_BYTES / 5)).now_or_never().unwrap().unwrap();
            }
            let mut waiting = Box::pin(push(write(QUEUE_MAX_BYTES / 4)));
            assert!((&mut waiting).now_or_never().is_none(), "{:?}", write(16));
            // Nor does a small one overtake it.
            let mut small = Box::pin(push(write(16)));
            assert!((&mut small).now_or_never().is_none());
            let Next::Group(jobs) = queue.next(Duration::ZERO) else { panic!("no group") };
            assert!((&mut waiting).now_or_never().is_none(), "the group isn't committed yet");
            drop(jobs);
            waiting.await.unwrap();
            small.await.unwrap();
        }
    }

    #[test]
    fn write_after_a_pause_is_committed_at_once() {
        let now = Instant::now();
        let long_ago = now.checked_sub(BATCH_WINDOW * 3).unwrap();
        let due_in = |urgency: Urgency, last| urgency.due_at(now, last) - now;
        assert_eq!(due_in(Urgency::Soon, None), Duration::ZERO);
        assert_eq!(due_in(Urgency::Soon, Some(long_ago)), Duration::ZERO);
        assert_eq!(due_in(Urgency::Soon, Some(now)), BATCH_WINDOW);
        assert_eq!(due_in(Urgency::Now, Some(now)), Duration::ZERO);
        assert_eq!(due_in(Urgency::Deferred, Some(long_ago)), DEFERRED_WINDOW);
    }

    #[tokio::test]
    async fn write_larger_than_the_queue_has_it_alone() {
        let queue = Queue::new();
        let push = |bytes| queue.push(Task::Writes(vec![update(bytes)]), Urgency::Now);
        push(2 * QUEUE_MAX_BYTES).now_or_never().unwrap().unwrap();
        let mut next = Box::pin(push(16));
        assert!((&mut next).now_or_never().is_none());
        queue.close();
        assert!(matches!(next.await, Err(StoreError::Unavailable { .. })));
    }
}
