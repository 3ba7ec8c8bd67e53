//! Exponential backoff with jitter.

use std::time::Duration;

/// Delays before repetitions: each is between a half and the whole of a time that doubles.
#[derive(Debug)]
pub(super) struct Backoff {
    min: Duration,
    max: Duration,
    next: Duration,
}

impl Backoff {
    pub(super) fn new(min: Duration, max: Duration) -> Self {
        Self { min, max, next: min }
    }

    /// The next delay.
    pub(super) fn delay(&mut self) -> Duration {
        let whole = self.next.min(self.max);
        self.next = whole * 2;
        // Nodes whose gateway was away don't come back at the same moment.
        whole.mul_f64(rand::random_range(0.5..=1.0))
    }

    /// Waits for the next delay.
    pub(super) async fn wait(&mut self) {
        tokio::time::sleep(self.delay()).await;
    }

    /// Begins with the shortest delay again, after a success.
    pub(super) fn reset(&mut self) {
        self.next = self.min;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn delays_double_up_to_the_longest_and_begin_again_after_a_success() {
        let seconds = Duration::from_secs;
        let mut backoff = Backoff::new(seconds(1), seconds(60));
        for whole in [1, 2, 4, 8, 16, 32, 60, 60] {
            let delay = backoff.delay();
            assert!(delay >= seconds(whole) / 2 && delay <= seconds(whole), "{delay:?} of {whole} s");
        }
        backoff.reset();
        assert!(backoff.delay() <= seconds(1));
    }
}
