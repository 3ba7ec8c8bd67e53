//! Time between two attempts, and between two requests that a rate limit refuses: exponential, with jitter.

use std::time::Duration;

/// Time until the second attempt; it doubles with each further one.
const RETRY_INTERVAL: Duration = Duration::from_secs(2);
/// The longest time between two attempts.
const RETRY_MAX_INTERVAL: Duration = Duration::from_secs(600);

/// The time after the failed attempt `number`, from 1: between half and the whole of its step, so that jobs which failed
/// together don't come again together.
pub(super) fn after_attempt(number: u32) -> Duration {
    let step = step(number);
    step.mul_f64(rand::random_range(0.5..=1.0))
}

/// The time after the refusal `number` in a row, from 1, by a rate limit that ends after `limit`: up to a step more, so that jobs
/// above a rate come again spread, and the less often the more of them wait.
pub(super) fn after_refusal(limit: Duration, number: u32) -> Duration {
    limit.saturating_add(step(number).mul_f64(rand::random_range(0.0..=1.0)))
}

fn step(number: u32) -> Duration {
    let factor = 1_u32 << number.saturating_sub(1).min(16);
    RETRY_INTERVAL.saturating_mul(factor).min(RETRY_MAX_INTERVAL)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn steps_double_up_to_a_limit_and_jitter_stays_within_the_step() {
        assert_eq!([1, 2, 3].map(|number| step(number).as_secs()), [2, 4, 8]);
        assert_eq!(step(u32::MAX), RETRY_MAX_INTERVAL);
        for number in 1..20 {
            let wait = after_attempt(number);
            assert!(wait <= step(number) && wait >= step(number) / 2, "{number}: {wait:?}");
        }
    }

    #[test]
    fn refused_jobs_come_again_behind_the_limit_and_spread_over_a_growing_step() {
        let limit = Duration::from_secs(60);
        for number in 1..20 {
            let waits: Vec<Duration> = (0..100).map(|_| after_refusal(limit, number)).collect();
            let (first, last) = (waits.iter().min().unwrap(), waits.iter().max().unwrap());
            assert!(*first >= limit && *last <= limit + step(number), "{number}: {first:?} {last:?}");
            assert!(*last - *first > step(number) / 2, "{number}: {first:?} {last:?}");
        }
        assert!(after_refusal(limit, u32::MAX) <= limit + RETRY_MAX_INTERVAL);
    }
}
