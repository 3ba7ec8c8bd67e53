//! Drives the last writes of ended runs, those of all runs in one task.
//!
//! A run's last write is in the store's queue when its driver ends; only its completion is still to come. A task for each
//! write would wake a thread of the background runtime for each request, and once more for its completion. One task for
//! all is woken once for each group of writes that the store commits.

use std::{
    fmt,
    panic::AssertUnwindSafe,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use futures::{FutureExt as _, StreamExt as _, future::BoxFuture, stream::FuturesUnordered};

use crate::background;

/// Longest time until the task polls an added write, while it waits for others.
const ADD_INTERVAL: Duration = Duration::from_millis(5);

/// The last writes of ended runs. Clones share them.
#[derive(Clone, Default)]
pub(super) struct EndWrites(Arc<Mutex<State>>);

#[derive(Default)]
struct State {
    /// Writes that the task doesn't poll yet.
    added: Vec<BoxFuture<'static, ()>>,
    /// True while there is a task.
    has_task: bool,
}

impl EndWrites {
    /// Adds a write. The task drives it to its end.
    pub(super) fn add(&self, write: BoxFuture<'static, ()>) {
        // A panic ends its own write and not those of other runs.
        let write = AssertUnwindSafe(write).catch_unwind().map(|ended| {
            if ended.is_err() {
                tracing::error!("the last write of a run has panicked");
            }
        });
        let mut state = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        state.added.push(write.boxed());
        if !state.has_task {
            background::spawn(drive(self.clone()));
            state.has_task = true;
        }
    }

    /// Moves the added writes into `writes`. Returns false if none are left: the task ends then.
    fn take_added(&self, writes: &mut FuturesUnordered<BoxFuture<'static, ()>>) -> bool {
        let mut state = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        writes.extend(state.added.drain(..));
        state.has_task = !writes.is_empty();
        state.has_task
    }
}

async fn drive(end_writes: EndWrites) {
    let mut writes = FuturesUnordered::new();
    while end_writes.take_added(&mut writes) {
        // After the timeout the added writes are polled too.
        let _ = tokio::time::timeout(ADD_INTERVAL, writes.next()).await;
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
        end_writes.add(first.map(drop).boxed());
        tokio::task::yield_now().await;
        end_writes.add(async move { ended.send(()).unwrap() }.boxed());
        has_ended.await.unwrap();
        finish_first.send(()).unwrap();
        // A task ends with its last write, and a new write begins another one.
        let (ended, has_ended) = oneshot::channel();
        end_writes.add(async move { ended.send(()).unwrap() }.boxed());
        has_ended.await.unwrap();
    }
}
