//! A bound on the number of fetches from an issuer: anybody can send a token with an unknown key id, and each would fetch.

use std::time::Duration;

use crate::moment::Moment;

/// Fetches that may follow each other at once.
pub(super) const FETCH_BURST_COUNT: u32 = 5;
/// Time after which another fetch is allowed.
pub(super) const FETCH_INTERVAL: Duration = Duration::from_secs(60);

/// A bucket of fetches, which fills with time.
#[derive(Debug)]
pub(super) struct FetchBudget {
    left: u32,
    /// The time since which it fills.
    since: Moment,
}

impl FetchBudget {
    /// A full bucket.
    pub(super) fn new() -> Self {
        Self { left: FETCH_BURST_COUNT, since: Moment::now() }
    }

    /// Takes a fetch; false if there is none.
    pub(super) fn take(&mut self) -> bool {
        self.take_after(self.since.age())
    }

    /// Takes a fetch when the bucket has filled for `age`.
    fn take_after(&mut self, age: Duration) -> bool {
        let filled = u32::try_from(age.as_secs() / FETCH_INTERVAL.as_secs()).unwrap_or(FETCH_BURST_COUNT);
        if filled > 0 || self.left == FETCH_BURST_COUNT {
            self.left = self.left.saturating_add(filled).min(FETCH_BURST_COUNT);
            self.since = Moment::now();
        }
        let has_one = self.left > 0;
        self.left = self.left.saturating_sub(1);
        has_one
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bucket_allows_a_burst_and_then_one_fetch_an_interval() {
        let mut budget = FetchBudget::new();
        let at_once = (0..100).filter(|_| budget.take_after(Duration::ZERO)).count();
        assert_eq!(at_once, 5);
        assert!(!budget.take_after(FETCH_INTERVAL / 2));
        assert!(budget.take_after(FETCH_INTERVAL) && !budget.take_after(Duration::ZERO));
        let after_a_day =
            (0..100).filter(|at| budget.take_after(FETCH_INTERVAL * 1440 * u32::from(*at == 0)));
        assert_eq!(after_a_day.count(), 5);
    }
}
