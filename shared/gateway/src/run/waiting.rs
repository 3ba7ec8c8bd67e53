//! Limits of the runs that wait for a node: each looks for one every second, for up to a day.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use hearth_domain::UserId;
use hearth_wire::{ApiError, ErrorCode};

/// Limit of the runs of one user that wait in this process.
const WAITING_OF_USER_MAX_COUNT: usize = 32;
/// Limit of all runs that wait in this process.
const WAITING_MAX_COUNT: usize = 1_000;

/// The runs of this process that wait for a node.
#[derive(Debug, Default)]
pub(super) struct WaitingRuns {
    by_user: Mutex<HashMap<UserId, usize>>,
}

/// A run that waits. When this is dropped, another one may.
#[derive(Debug)]
pub(super) struct WaitingRun {
    runs: Arc<WaitingRuns>,
    user: UserId,
}

impl WaitingRuns {
    /// Adds a run of the user.
    ///
    /// # Errors
    /// `queue_full` if as many wait as may: of the user, or in all.
    pub(super) fn enter(self: &Arc<Self>, user: UserId) -> Result<WaitingRun, ApiError> {
        let mut by_user = self.by_user();
        if by_user.values().sum::<usize>() >= WAITING_MAX_COUNT {
            return Err(full("the gateway", WAITING_MAX_COUNT));
        }
        let of_user = by_user.entry(user).or_default();
        if *of_user >= WAITING_OF_USER_MAX_COUNT {
            return Err(full("one user", WAITING_OF_USER_MAX_COUNT));
        }
        *of_user += 1;
        Ok(WaitingRun { runs: Arc::clone(self), user })
    }

    fn by_user(&self) -> MutexGuard<'_, HashMap<UserId, usize>> {
        self.by_user.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for WaitingRun {
    fn drop(&mut self) {
        let mut by_user = self.runs.by_user();
        if let Some(of_user) = by_user.get_mut(&self.user) {
            *of_user -= 1;
            if *of_user == 0 {
                by_user.remove(&self.user);
            }
        }
    }
}

fn full(whose: &str, limit: usize) -> ApiError {
    let message = format!(
        "{limit} runs of {whose} wait for a node, and no more may; try again when one has ended, or leave out `prefer`"
    );
    ApiError::new(ErrorCode::QueueFull, message).with("waiting_max_count", limit)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn run_beyond_its_users_limit_is_refused_until_another_ends() {
        let (runs, user) = (Arc::new(WaitingRuns::default()), UserId::new());
        let mut waiting: Vec<_> = (0..WAITING_OF_USER_MAX_COUNT).map(|_| runs.enter(user).unwrap()).collect();
        let error = runs.enter(user).unwrap_err();
        assert_eq!(
            (error.code, error.details["waiting_max_count"].as_u64()),
            (ErrorCode::QueueFull, Some(32))
        );
        // Another user isn't concerned.
        drop(runs.enter(UserId::new()).unwrap());
        waiting.pop();
        waiting.push(runs.enter(user).unwrap());
        waiting.clear();
        assert!(runs.by_user().is_empty());
    }

    #[test]
    fn run_beyond_the_limit_of_all_is_refused() {
        let runs = Arc::new(WaitingRuns::default());
        let waiting: Vec<_> = (0..WAITING_MAX_COUNT).map(|_| runs.enter(UserId::new()).unwrap()).collect();
        let error = runs.enter(UserId::new()).unwrap_err();
        assert!(error.message.contains("1000 runs of the gateway"), "{error:?}");
        drop(waiting);
        assert!(runs.enter(UserId::new()).is_ok());
    }
}
