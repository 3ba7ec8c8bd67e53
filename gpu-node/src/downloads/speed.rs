//! The speed of a download.

use std::time::{Duration, Instant};

/// Weight of the latest second in the average.
const LATEST_WEIGHT: f64 = 0.3;

/// A moving average of the speed, updated about once a second.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Speed {
    last: Option<(Instant, u64)>,
    average: Option<f64>,
}

impl Speed {
    /// Updates the average: there are `done` bytes at `now`.
    pub(super) fn update(&mut self, now: Instant, done: u64) {
        let Some((at, before)) = self.last.replace((now, done)) else { return };
        let elapsed = now.duration_since(at).max(Duration::from_millis(1)).as_secs_f64();
        #[expect(clippy::cast_precision_loss, reason = "a speed needs few digits")]
        let latest = done.saturating_sub(before) as f64 / elapsed;
        let average = self.average.map_or(latest, |average| average + LATEST_WEIGHT * (latest - average));
        self.average = Some(average);
    }

    /// The average, once there is one.
    pub(super) fn bytes_per_second(&self) -> Option<u64> {
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "it is positive")]
        self.average.map(|average| average.round() as u64)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn average_follows_the_latest_seconds() {
        let begin = Instant::now();
        let mut speed = Speed::default();
        speed.update(begin, 500);
        assert_eq!(speed.bytes_per_second(), None);
        speed.update(begin + Duration::from_secs(1), 1_500);
        assert_eq!(speed.bytes_per_second(), Some(1_000));
        for second in 2..30 {
            speed.update(begin + Duration::from_secs(second), 1_500);
        }
        assert_eq!(speed.bytes_per_second(), Some(0));
    }
}
