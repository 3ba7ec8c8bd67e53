//! Moments whose age includes the time for which the process was frozen.

use std::time::{Duration, Instant, SystemTime};

/// A moment. Its age is the larger one of two clocks': the steady clock may stand still while Lambda freezes the process,
/// and the system's clock may be set back.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Moment {
    steady: Instant,
    system: SystemTime,
}

impl Moment {
    pub(crate) fn now() -> Self {
        Self { steady: Instant::now(), system: SystemTime::now() }
    }

    /// A moment of an hour ago.
    #[cfg(test)]
    pub(crate) fn hour_ago() -> Self {
        Self::ago(Duration::from_secs(3600))
    }

    /// A moment of some time ago.
    #[cfg(test)]
    pub(crate) fn ago(age: Duration) -> Self {
        let now = Self::now();
        Self { system: now.system - age, ..now }
    }

    /// The time since this moment.
    pub(crate) fn age(&self) -> Duration {
        self.age_at(Self::now())
    }

    /// The time from this moment until `now`.
    pub(crate) fn age_at(&self, now: Self) -> Duration {
        let steady = now.steady.saturating_duration_since(self.steady);
        steady.max(now.system.duration_since(self.system).unwrap_or_default())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const FROZEN_PERIOD: Duration = Duration::from_secs(3600);

    #[test]
    fn age_includes_the_time_of_either_clock() {
        let now = Moment::now();
        assert!(now.age() < FROZEN_PERIOD);
        let before_a_freeze = Moment { system: now.system - FROZEN_PERIOD, ..now };
        assert!(before_a_freeze.age() >= FROZEN_PERIOD);
        let set_back = Moment { system: now.system + FROZEN_PERIOD, ..now };
        assert!(set_back.age() < FROZEN_PERIOD);
    }
}
