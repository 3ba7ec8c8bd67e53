//! Activity of this process. While there is none, the process returns the memory that it doesn't need.
//!
//! Requests, runs and jobs note that they begin and end. Runs that no open request waits for count too: those of a batch, of a
//! session, and those that a socket follows. Heartbeats of sockets don't: a process with a thousand idle nodes would never be idle.

use std::sync::atomic::{AtomicBool, Ordering::Relaxed};

use tokio::sync::Notify;

static OF_PROCESS: Activity = Activity::new();

/// Notes that work begins and ends.
#[derive(Debug)]
pub struct Activity {
    /// Work has begun or ended since [`Activity::take`] was called last.
    is_recent: AtomicBool,
    noted: Notify,
}

/// The activity of this process.
#[must_use]
pub fn of_process() -> &'static Activity {
    &OF_PROCESS
}

impl Default for Activity {
    fn default() -> Self {
        Self::new()
    }
}

impl Activity {
    /// A process that is active: its start has taken memory, too.
    #[must_use]
    pub const fn new() -> Self {
        Self { is_recent: AtomicBool::new(true), noted: Notify::const_new() }
    }

    /// Notes that work begins or ends.
    pub fn note(&self) {
        // Under load this only reads: the threads share the cache line.
        if !self.is_recent.load(Relaxed) && !self.is_recent.swap(true, Relaxed) {
            self.noted.notify_one();
        }
    }

    /// Returns true if work has begun or ended since the last call.
    pub fn take(&self) -> bool {
        self.is_recent.swap(false, Relaxed)
    }

    /// Waits for work, and takes the note of it. It is for one task.
    #[crate::boxed_future]
    pub async fn wait(&self) {
        while !self.take() {
            self.noted.notified().await;
        }
    }
}
