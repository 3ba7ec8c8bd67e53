//! Detects that the machine has slept: its connections are dead then, and its gateway waits for it.

use std::time::{Duration, Instant, SystemTime};

/// Time by which the wall clock is ahead after a sleep, at least. Less is a correction of the clock.
const SLEEP_MIN: Duration = Duration::from_secs(10);

/// Compares two clocks: the wall clock goes on while the machine sleeps, the steady clock doesn't.
#[derive(Debug)]
pub(super) struct SleepDetector {
    wall: SystemTime,
    steady: Instant,
}

impl SleepDetector {
    pub(super) fn new() -> Self {
        Self { wall: SystemTime::now(), steady: Instant::now() }
    }

    /// Returns whether the machine has slept since the last call.
    pub(super) fn has_slept(&mut self) -> bool {
        let now = Self::new();
        // A clock that was set back shows no sleep.
        let wall = now.wall.duration_since(self.wall).unwrap_or_default();
        let steady = now.steady.duration_since(self.steady);
        *self = now;
        wall > steady + SLEEP_MIN
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn wall_clock_that_has_gone_on_alone_is_a_sleep() {
        let mut detector = SleepDetector::new();
        assert!(!detector.has_slept());
        detector.wall -= Duration::from_secs(60);
        assert!(detector.has_slept());
        assert!(!detector.has_slept());
        detector.wall += Duration::from_secs(60);
        assert!(!detector.has_slept());
    }
}
