//! The queue of one process: jobs by the time at which they may start, then in the order of `ready`.

use std::{
    collections::{BTreeMap, HashMap, HashSet},
    sync::{Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use async_trait::async_trait;
use hearth_domain::{JobId, JobKind, OrganisationId, Timestamp};
use tokio::sync::Notify;

use super::{
    pauses::PausedKinds,
    queue::{JobMessage, JobQueue, JobQueueError},
    ready::ReadyQueue,
};

/// The queue of one process. A job is in it once.
#[derive(Debug, Default)]
pub(super) struct LocalQueue {
    state: Mutex<State>,
    /// Wakes the dispatcher.
    changed: Notify,
    /// Wakes those who wait for the end of the jobs in progress.
    finished: Notify,
}

#[derive(Debug, Default)]
struct State {
    ready: ReadyQueue,
    /// Jobs that start later.
    timers: BTreeMap<(Timestamp, JobId), JobMessage>,
    /// The jobs in `ready` or `timers`, with the start of their latest message: an earlier one is skipped.
    waiting: HashMap<JobId, Timestamp>,
    in_progress: HashSet<JobId>,
    /// Messages for jobs in progress, which come when these end.
    again: HashMap<JobId, JobMessage>,
    by_organisation: HashMap<OrganisationId, usize>,
}

impl LocalQueue {
    pub(super) fn new() -> Self {
        Self::default()
    }

    /// Takes the next job of any kind. `limit`: the number of jobs of a kind in progress.
    pub(super) fn take(&self, limit: impl Fn(JobKind) -> usize, paused: &PausedKinds) -> Option<JobMessage> {
        let mut state = self.lock();
        state.start_due();
        for kind in JobKind::CARRIED_OUT {
            while let Some(message) = state.ready.take(kind, limit(kind), |owner| paused.is_held(owner, kind))
            {
                if state.waiting.get(&message.job) != Some(&message.start_at) {
                    state.ready.finish(&message);
                    continue;
                }
                state.leave(&message);
                state.in_progress.insert(message.job);
                return Some(message);
            }
        }
        None
    }

    /// Ends the progress of a job that was taken. It comes again at `again`, or by a message that came meanwhile.
    pub(super) fn finish(&self, message: &JobMessage, again: Option<Timestamp>) {
        let mut state = self.lock();
        state.ready.finish(message);
        state.in_progress.remove(&message.job);
        let again = again.map(|start_at| JobMessage { start_at, ..*message });
        if let Some(message) = state.again.remove(&message.job).or(again) {
            state.add(message);
        }
        drop(state);
        self.changed.notify_one();
        self.finished.notify_waiters();
    }

    /// Waits until no job is in progress.
    pub(super) async fn idle(&self) {
        loop {
            let finished = self.finished.notified();
            if self.in_progress() == 0 {
                return;
            }
            finished.await;
        }
    }

    /// True if a job waits or is in progress.
    pub(super) fn has(&self, id: JobId) -> bool {
        let state = self.lock();
        state.waiting.contains_key(&id) || state.in_progress.contains(&id)
    }

    /// The number of an organisation's jobs that wait.
    pub(super) fn waiting(&self, organisation: OrganisationId) -> usize {
        self.lock().by_organisation.get(&organisation).copied().unwrap_or(0)
    }

    /// The number of jobs in progress.
    pub(super) fn in_progress(&self) -> usize {
        self.lock().ready.in_progress()
    }

    /// The number of jobs of a kind that may start and wait, and the age of the oldest one.
    pub(super) fn depth(&self, kind: JobKind) -> (usize, Duration) {
        self.lock().ready.depth(kind, Instant::now())
    }

    /// Waits until something has changed, or a job starts.
    pub(super) async fn changed(&self) {
        let next = self.lock().timers.first_key_value().map(|((at, _), _)| *at);
        let next = async {
            match next {
                Some(at) => tokio::time::sleep(Timestamp::now().until(at)).await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            () = self.changed.notified() => {}
            () = next => {}
        }
    }

    /// Wakes the dispatcher, after a change of the paused kinds.
    pub(super) fn wake(&self) {
        self.changed.notify_one();
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn add(&mut self, message: JobMessage) {
        if self.in_progress.contains(&message.job) {
            self.again.insert(message.job, message);
            return;
        }
        match self.waiting.insert(message.job, message.start_at) {
            Some(start_at) if start_at == message.start_at => return,
            Some(start_at) => drop(self.timers.remove(&(start_at, message.job))),
            None => *self.by_organisation.entry(message.owner.organisation).or_default() += 1,
        }
        if message.start_at <= Timestamp::now() {
            self.ready.push(message, Instant::now());
        } else {
            self.timers.insert((message.start_at, message.job), message);
        }
    }

    /// Moves the jobs whose time has come.
    fn start_due(&mut self) {
        let now = Timestamp::now();
        while let Some(entry) = self.timers.first_entry().filter(|entry| entry.key().0 <= now) {
            let message = entry.remove();
            self.ready.push(message, Instant::now());
        }
    }

    fn leave(&mut self, message: &JobMessage) {
        self.waiting.remove(&message.job);
        let organisation = message.owner.organisation;
        if let Some(count) = self.by_organisation.get_mut(&organisation) {
            *count = count.saturating_sub(1);
            if *count == 0 {
                self.by_organisation.remove(&organisation);
            }
        }
    }
}

#[async_trait]
impl JobQueue for LocalQueue {
    async fn send(&self, message: JobMessage) -> Result<(), JobQueueError> {
        self.lock().add(message);
        self.changed.notify_one();
        Ok(())
    }

    fn delay_max(&self) -> Duration {
        Duration::MAX
    }
}
