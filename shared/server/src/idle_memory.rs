//! Returns memory to the system when the process has had nothing to do for a while, and now and then under lasting load.
//!
//! The allocator returns freed memory while it is used: without this, a process that does nothing after a burst holds most of
//! the memory that the burst took, and so does one that goes on with a few requests.

use std::time::Duration;

use hearth_gateway::activity::Activity;
use tokio::{
    runtime::Handle,
    time::{Instant, sleep},
};

/// Time without activity before memory is released.
const IDLE_INTERVAL: Duration = Duration::from_secs(1);
/// Releases after the last activity. A thread's release may leave pages whose last objects another thread frees in its own, and
/// of threads that release at the same time one alone returns pages to the system.
const RELEASES_MAX_COUNT: usize = 2;
/// Time between two releases under load. Each costs the threads some milliseconds, to map again what they still need.
const BUSY_INTERVAL: Duration = Duration::from_secs(30);

/// Releases memory whenever the process becomes idle, and waits for activity then, without a timer; under load at intervals.
/// `serving`: the runtimes of the threads that serve connections, beside the current one.
pub(super) async fn release_unused(activity: &Activity, serving: Vec<Handle>) {
    release_by(activity, || release(&serving)).await;
}

/// Calls `release` a few times whenever there is no more activity, and at intervals while there is.
async fn release_by(activity: &Activity, mut release: impl FnMut()) {
    loop {
        activity.wait().await;
        let (mut idle_releases, mut released_at) = (0, Instant::now());
        while idle_releases < RELEASES_MAX_COUNT {
            sleep(IDLE_INTERVAL).await;
            match activity.take() {
                false => idle_releases += 1,
                true => {
                    idle_releases = 0;
                    if released_at.elapsed() < BUSY_INTERVAL {
                        continue;
                    }
                }
            }
            release();
            released_at = Instant::now();
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
    async fn memory_is_released_after_the_last_request_and_not_in_a_burst() {
        let (activity, releases) = (Activity::default(), Cell::new(0));
        let releasing = release_by(&activity, || releases.set(releases.get() + 1));
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
    async fn memory_is_released_at_intervals_under_lasting_load() {
        let (activity, releases) = (Activity::default(), Cell::new(0));
        let releasing = release_by(&activity, || releases.set(releases.get() + 1));
        let requests = async {
            // A health check each half of a second.
            let end = Instant::now() + BUSY_INTERVAL * 10;
            while Instant::now() < end {
                activity.note();
                sleep(IDLE_INTERVAL / 2).await;
            }
        };
        tokio::select! {
            () = releasing => {}
            () = requests => {}
        }
        assert!((8..=10).contains(&releases.get()), "{}", releases.get());
    }

    #[tokio::test(start_paused = true)]
    async fn idle_server_has_no_timer() {
        let activity = Activity::default();
        let releasing = release_by(&activity, || {});
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
