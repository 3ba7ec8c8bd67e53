//! The writer thread: it commits the queued writes together, in one transaction.

use std::{
    sync::{Mutex, PoisonError},
    thread::{self, JoinHandle},
    time::{Duration, Instant, SystemTime, UNIX_EPOCH},
};

use rusqlite::Connection;

use super::{
    apply::{self, Executor},
    failed,
    queue::{self, Job, Next, Queue, Task, Urgency},
    schema,
};
use crate::{
    StoreError,
    database::{Condition, Key, Write},
};

/// The time between two searches for expired items.
const SWEEP_INTERVAL: Duration = Duration::from_secs(60);
/// Maximum number of expired items that are deleted in one transaction, so that writes can be committed between two.
const SWEEP_MAX_COUNT: usize = 500;

/// The handle of the thread. Dropping it ends the thread.
#[derive(Debug)]
pub(super) struct Writer {
    queue: Queue,
    thread: Mutex<Option<JoinHandle<()>>>,
}

impl Writer {
    /// Starts the thread, which owns `connection`.
    pub(super) fn start(connection: Connection) -> Result<Self, StoreError> {
        let queue = Queue::new();
        let jobs = queue.clone();
        let thread = thread::Builder::new().name("hearth-store".to_owned());
        let thread = thread.spawn(move || run(connection, &jobs));
        let thread = thread.map_err(|error| StoreError::from_io("open", &error))?;
        Ok(Self { queue, thread: Mutex::new(Some(thread)) })
    }

    /// Queues a task. Returns when it is committed. It is committed even if the caller stops waiting.
    pub(super) async fn run(&self, task: Task, urgency: Urgency) -> Result<(), StoreError> {
        let result = self.queue.push(task, urgency).await?;
        result.await.unwrap_or_else(|_| Err(queue::closed("write")))
    }

    pub(super) fn lag(&self) -> Duration {
        self.queue.lag()
    }

    /// Commits the queued writes, moves the log into the database, and ends the thread.
    pub(super) async fn close(&self) {
        if let Some(thread) = self.end() {
            let _ = tokio::task::spawn_blocking(move || thread.join()).await;
        }
    }

    fn end(&self) -> Option<JoinHandle<()>> {
        self.queue.close();
        self.thread.lock().unwrap_or_else(PoisonError::into_inner).take()
    }
}

impl Drop for Writer {
    fn drop(&mut self) {
        if let Some(thread) = self.end() {
            // Waits for a commit and a checkpoint, so that the next process finds the file closed.
            let _ = thread.join();
        }
    }
}

fn run(mut connection: Connection, jobs: &Queue) {
    let mut next_sweep = Instant::now();
    loop {
        match jobs.next(next_sweep.saturating_duration_since(Instant::now())) {
            Next::Group(group) => commit_group(&mut connection, jobs, group),
            Next::Idle => {}
            Next::Closed => break,
        }
        if Instant::now() >= next_sweep {
            next_sweep = Instant::now() + sweep(&connection);
        }
    }
    if let Err(error) = schema::close(connection) {
        tracing::warn!(%error, "the database's log can't be moved into it; the next start does that");
    }
}

fn commit_group(connection: &mut Connection, jobs: &Queue, group: Vec<Job>) {
    let (tasks, replies): (Vec<_>, Vec<_>) = group.into_iter().map(Job::split).unzip();
    let results = commit(connection, &tasks);
    // Before the callers continue: the lag that they read must not count this group.
    jobs.group_committed();
    for (reply, result) in replies.into_iter().zip(results) {
        reply.send(result);
    }
}

/// Commits the tasks in one transaction, and returns the result of each. If that fails for another reason than the disk,
/// each task gets a transaction of its own, so that one bad write doesn't fail the others.
fn commit(connection: &mut Connection, tasks: &[Task]) -> Vec<Result<(), StoreError>> {
    match try_commit(connection, tasks) {
        Ok(results) => results,
        Err(error) if tasks.len() == 1 || error.disk_problem().is_some() => {
            tasks.iter().map(|_| Err(error.clone())).collect()
        }
        Err(_) => {
            let commit_alone =
                |task| try_commit(connection, std::slice::from_ref(task)).and_then(only_result);
            tasks.iter().map(commit_alone).collect()
        }
    }
}

fn only_result(mut results: Vec<Result<(), StoreError>>) -> Result<(), StoreError> {
    results.pop().unwrap_or(Ok(()))
}

fn try_commit(
    connection: &mut Connection,
    tasks: &[Task],
) -> Result<Vec<Result<(), StoreError>>, StoreError> {
    let failed = |error| failed("write", error);
    execute(connection, "BEGIN IMMEDIATE").map_err(failed)?;
    let mut results = Vec::with_capacity(tasks.len());
    let written = Executor::new(connection).and_then(|mut executor| {
        tasks.iter().try_for_each(|task| {
            let held = match task {
                Task::Writes(writes) => all_or_none(connection, &mut executor, writes)?,
                Task::Flush => true,
            };
            results.push(if held { Ok(()) } else { Err(StoreError::Conflict) });
            Ok(())
        })
    });
    match written.and_then(|()| execute(connection, "COMMIT")) {
        Ok(()) => Ok(results),
        Err(error) => {
            // After some errors SQLite has rolled back by itself.
            if !connection.is_autocommit() {
                let _ = execute(connection, "ROLLBACK");
            }
            Err(failed(error))
        }
    }
}

/// Executes the writes, or none of them if a condition doesn't hold. Returns whether all conditions held.
fn all_or_none(
    connection: &Connection,
    executor: &mut Executor<'_>,
    writes: &[Write],
) -> rusqlite::Result<bool> {
    if let Some(mut writes) = in_order_without_undo(writes) {
        return writes.try_fold(true, |held, write| Ok(held && executor.write(write)?));
    }
    execute(connection, "SAVEPOINT writes")?;
    for write in writes {
        if !executor.write(write)? {
            execute(connection, "ROLLBACK TO writes")?;
            execute(connection, "RELEASE writes")?;
            return Ok(false);
        }
    }
    execute(connection, "RELEASE writes")?;
    Ok(true)
}

/// The writes in an order in which none has to be undone: the only one with a condition is the first. None if there are several
/// conditions, or another write to the same item. A savepoint, which makes SQLite copy each page that changes, isn't needed then.
fn in_order_without_undo(writes: &[Write]) -> Option<impl Iterator<Item = &Write>> {
    let mut conditional = writes.iter().enumerate().filter(|(_, write)| has_condition(write));
    let first = conditional.next().map_or(0, |(place, _)| place);
    if conditional.next().is_some() {
        return None;
    }
    let (before, rest) = writes.split_at(first);
    let (first, after) = rest.split_first()?;
    let others = before.iter().chain(after);
    if others.clone().any(|other| key(other) == key(first)) {
        return None;
    }
    Some(std::iter::once(first).chain(others))
}

fn has_condition(write: &Write) -> bool {
    !matches!(write, Write::Put(_, Condition::Always) | Write::Delete(_, Condition::Always))
}

fn key(write: &Write) -> &Key {
    match write {
        Write::Put(item, _) => &item.key,
        Write::Update(key, ..) | Write::Delete(key, _) => key,
    }
}

fn execute(connection: &Connection, sql: &str) -> rusqlite::Result<()> {
    connection.prepare_cached(sql)?.execute([]).map(drop)
}

/// Deletes some of the expired items. Returns the time until the next sweep.
fn sweep(connection: &Connection) -> Duration {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs());
    match apply::delete_expired(connection, i64::try_from(now).unwrap_or(i64::MAX), SWEEP_MAX_COUNT) {
        Ok(SWEEP_MAX_COUNT) => Duration::ZERO,
        Ok(_) => SWEEP_INTERVAL,
        Err(error) => {
            tracing::warn!(%error, "expired items can't be deleted");
            SWEEP_INTERVAL
        }
    }
}
