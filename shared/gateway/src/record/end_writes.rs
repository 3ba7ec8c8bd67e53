//! Drives the last writes of ended runs, those of all runs in one task.
//!
//! A run's last write is in the store's queue when its driver ends; only its completion is still to come. A task for each
//! write would wake a thread of the background runtime for each request, and once more for its completion. One task for
//! all is woken once for each group of writes that the store commits, and for a write that a response's head waits for.

use std::{
    fmt,
    panic::AssertUnwindSafe,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use futures::{FutureExt as _, StreamExt as _, future::BoxFuture, stream::FuturesUnordered};
use tokio::sync::Notify;

use crate::background;

/// Longest time until the task polls an added write, while it waits for others.
const ADD_INTERVAL: Duration = Duration::from_millis(5);

/// The last writes of ended runs. Clones share them.
#[derive(Clone, Default)]
pub(super) struct EndWrites(Arc<Shared>);

#[derive(Default)]
struct Shared {
    state: Mutex<State>,
    /// Wakes the task for a write that is awaited.
    awaited: Notify,
}

#[derive(Default)]
struct State {
    /// Writes that the task doesn't poll yet.
    added: Vec<BoxFuture<'static, ()>>,
    /// True while there is a task.
    has_task: bool,
}

impl EndWrites {
    /// Adds a write. The task drives it to its end, and polls it at once if it `is_awaited`.
    pub(super) fn add(&self, write: BoxFuture<'static, ()>, is_awaited: bool) {
        // A panic ends its own write and not those of other runs.
        let write = AssertUnwindSafe(write).catch_unwind().map(|ended| {
            if ended.is_err() {
                tracing::error!("the last write of a run has panicked");
            }
        });
        let mut state = self.state();
        state.added.push(write.boxed());
        if !std::mem::replace(&mut state.has_task, true) {
            background::spawn(drive(self.clone()));
        } else if is_awaited {
            self.0.awaited.notify_one();
        }
    }

    /// Moves the added writes into `writes`. Returns false if none are left: the task ends then.
    fn take_added(&self, writes: &mut FuturesUnordered<BoxFuture<'static, ()>>) -> bool {
        let mut state = self.state();
        writes.extend(state.added.drain(..));
        state.has_task = !writes.is_empty();
        state.has_task
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

async fn drive(end_writes: EndWrites) {
    let mut writes = FuturesUnordered::new();
    while end_writes.take_added(&mut writes) {
        // After the timeout the added writes are polled too.
        tokio::select! {
            _ = tokio::time::timeout(ADD_INTERVAL, writes.next()) => {}
            () = end_writes.0.awaited.notified() => {}
        }
        while let Some(Some(())) = writes.next().now_or_never() {}
    }
}

impl fmt::Debug for EndWrites {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("EndWrites")
    }
}

#[cfg(test)]
mod tests {
    use tokio::sync::oneshot;

    use super::*;

    #[tokio::test]
    async fn writes_that_are_added_while_others_wait_are_driven() {
        let end_writes = EndWrites::default();
        let (finish_first, first) = oneshot::channel::<()>();
        let (ended, has_ended) = oneshot::channel();
        end_writes.add(first.map(drop).boxed(), false);
        tokio::task::yield_now().await;
        end_writes.add(async move { ended.send(()).unwrap() }.boxed(), false);
        has_ended.await.unwrap();
        finish_first.send(()).unwrap();
        // A task ends with its last write, and a new write begins another one.
        let (ended, has_ended) = oneshot::channel();
        end_writes.add(async move { ended.send(()).unwrap() }.boxed(), false);
        has_ended.await.unwrap();
    }

    #[tokio::test(start_paused = true)]
    async fn write_that_is_awaited_is_polled_at_once() {
        let end_writes = EndWrites::default();
        let (_finish_first, first) = oneshot::channel::<()>();
        end_writes.add(first.map(drop).boxed(), false);
        tokio::task::yield_now().await;
        let before = tokio::time::Instant::now();
        let (ended, has_ended) = oneshot::channel();
        end_writes.add(async move { ended.send(()).unwrap() }.boxed(), true);
        has_ended.await.unwrap();
        assert_eq!(before.elapsed(), Duration::ZERO);
    }
}
