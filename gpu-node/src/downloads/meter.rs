//! The count of a download's bytes.

use std::{
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use hearth_domain::Timestamp;

/// The bytes of a download so far, for those who follow it.
#[derive(Debug, Default)]
pub struct Meter {
    done: AtomicU64,
    /// The reason why the download is tried again, until it continues.
    retry_reason: Mutex<Option<String>>,
}

impl Meter {
    /// Bytes so far.
    #[must_use]
    pub fn done(&self) -> u64 {
        self.done.load(Ordering::Relaxed)
    }

    /// The reason why the download is tried again, if it is.
    #[must_use]
    pub fn retry_reason(&self) -> Option<String> {
        self.retry_reason.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Stores the reason of a further attempt, with its number, that of all attempts, and its time.
    pub(super) fn set_retry(&self, cause: &str, (attempt, attempts): (u32, u32), delay: Duration) {
        let at = Timestamp::now().plus(delay).to_string();
        let time = at.get(11..19).unwrap_or(&at);
        self.set_retry_reason(Some(format!("attempt {attempt} of {attempts} at {time} UTC: {cause}")));
    }

    /// Stores that the download goes on.
    pub(super) fn clear_retry(&self) {
        self.set_retry_reason(None);
    }

    fn set_retry_reason(&self, reason: Option<String>) {
        *self.retry_reason.lock().unwrap_or_else(PoisonError::into_inner) = reason;
    }

    pub(super) fn set(&self, bytes: u64) {
        self.done.store(bytes, Ordering::Relaxed);
    }

    pub(super) fn add(&self, bytes: u64) {
        self.done.fetch_add(bytes, Ordering::Relaxed);
    }
}
