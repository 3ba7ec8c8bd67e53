//! Returns memory to the system when no request has begun or ended for a while.
//!
//! The allocator returns freed memory while it is used: without this, a process that does nothing after a burst holds most of
//! the memory that the burst took.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering::Relaxed},
    },
    time::Duration,
};

use tokio::{runtime::Handle, sync::Notify, time::sleep};

/// Time without the beginning or end of a request before memory is released.
const IDLE_INTERVAL: Duration = Duration::from_secs(1);
/// Releases after the last request. A thread's release may leave pages whose last objects another thread frees in its own, and
/// of threads that release at the same time one alone returns pages to the system.
const RELEASES_MAX_COUNT: usize = 2;

/// Notes that requests begin and end.
#[derive(Debug)]
pub(super) struct Activity {
    /// A request has begun or ended since [`Activity::take`] was called last.
    is_recent: AtomicBool,
    noted: Notify,
}

impl Default for Activity {
    /// A new server is active: its start has taken memory, too.
    fn default() -> Self {
        Self { is_recent: AtomicBool::new(true), noted: Notify::new() }
    }
}

impl Activity {
    /// Notes the beginning or end of a request.
    pub(super) fn note(&self) {
        // Under load this only reads: the threads share the cache line.
        if !self.is_recent.load(Relaxed) && !self.is_recent.swap(true, Relaxed) {
            self.noted.notify_one();
        }
    }

    /// Returns whether a request has begun or ended since the last call.
    fn take(&self) -> bool {
        self.is_recent.swap(false, Relaxed)
    }
}

/// Releases memory whenever the server becomes idle. Waits for a request then, without a timer. `serving`: the runtimes of the
/// threads that serve connections, beside the current one.
pub(super) async fn release_when_idle(activity: Arc<Activity>, serving: Vec<Handle>) {
    when_idle(&activity, || release(&serving)).await;
}

/// Calls `release` a few times whenever there is no more activity.
async fn when_idle(activity: &Activity, mut release: impl FnMut()) {
    loop {
        while !activity.take() {
            activity.noted.notified().await;
        }
        let mut releases = 0;
        while releases < RELEASES_MAX_COUNT {
            sleep(IDLE_INTERVAL).await;
            if activity.take() {
                releases = 0;
            } else {
                release();
                releases += 1;
            }
        }
    }
}

/// Has the threads release the memory that they don't need. A thread does it before it waits for work, so each is woken.
fn release(serving: &[Handle]) {
    hearth_memory::request_release();
    for runtime in serving {
        drop(runtime.spawn(async {}));
    }
    // A worker that takes a task wakes the next one, as long as there are tasks.
    for _ in 0..Handle::current().metrics().num_workers() {
        drop(tokio::spawn(async { hearth_memory::release_if_requested() }));
    }
}

#[cfg(test)]
mod tests {
    use std::{cell::Cell, future::poll_fn};

    use tokio::time::timeout;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn memory_is_released_after_the_last_request_and_not_under_load() {
        let (activity, releases) = (Activity::default(), Cell::new(0));
        let releasing = when_idle(&activity, || releases.set(releases.get() + 1));
        let requests = async {
            for _ in 0..10 {
                sleep(IDLE_INTERVAL / 2).await;
                activity.note();
            }
            assert_eq!(releases.get(), 0);
            sleep(IDLE_INTERVAL * 10).await;
            assert_eq!(releases.get(), RELEASES_MAX_COUNT);
            // The end of a long request.
            activity.note();
            sleep(IDLE_INTERVAL * 10).await;
            assert_eq!(releases.get(), 2 * RELEASES_MAX_COUNT);
        };
        tokio::select! {
            () = releasing => {}
            () = requests => {}
        }
    }

    #[tokio::test(start_paused = true)]
    async fn idle_server_has_no_timer() {
        let activity = Activity::default();
        let releasing = when_idle(&activity, || {});
        tokio::pin!(releasing);
        let polls = Cell::new(0);
        let mut releasing = poll_fn(|context| {
            polls.set(polls.get() + 1);
            releasing.as_mut().poll(context)
        });
        assert!(timeout(IDLE_INTERVAL * 10, &mut releasing).await.is_err());
        let before = polls.get();
        assert!(timeout(IDLE_INTERVAL * 1000, &mut releasing).await.is_err());
        // At the beginning and the end of the timeout.
        assert!(polls.get() <= before + 2, "{} polls", polls.get() - before);
    }
}
