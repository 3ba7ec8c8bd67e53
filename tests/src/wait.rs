//! Waiting, never for longer than a deadline.

use std::time::Duration;

use tokio::time::{MissedTickBehavior, interval, timeout};

/// Limit for any wait. Far more than a busy machine needs, far less than a hang.
pub const DEADLINE: Duration = Duration::from_secs(60);
/// Interval of [`eventually`].
const POLL_INTERVAL: Duration = Duration::from_millis(50);

/// Waits for `what`.
///
/// # Panics
/// If it takes longer than [`DEADLINE`].
pub async fn within<T>(what: &str, future: impl Future<Output = T>) -> T {
    match timeout(DEADLINE, future).await {
        Ok(value) => value,
        Err(_) => panic!("{what}: nothing within {} s", DEADLINE.as_secs()),
    }
}

/// Asks until there is an answer. For a state that can only be polled; an event is better awaited.
///
/// # Panics
/// If there is none by [`DEADLINE`].
pub async fn eventually<T>(what: &str, mut ask: impl AsyncFnMut() -> Option<T>) -> T {
    let mut ticks = interval(POLL_INTERVAL);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let asking = async {
        loop {
            ticks.tick().await;
            if let Some(value) = ask().await {
                return value;
            }
        }
    };
    within(what, asking).await
}
