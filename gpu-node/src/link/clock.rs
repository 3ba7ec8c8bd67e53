//! The gateway's clock, computed from the `date` header of its answers.

use std::{
    sync::atomic::{AtomicI64, Ordering},
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use reqwest::header::{DATE, HeaderMap};

/// A difference up to this is ignored: the header has whole seconds, and an answer takes time.
const IGNORED_SKEW_SECONDS: i64 = 3;

/// The gateway's clock.
#[derive(Debug, Default)]
pub(super) struct GatewayClock {
    /// Seconds by which it is ahead of this machine's clock.
    ahead_seconds: AtomicI64,
}

impl GatewayClock {
    /// The time by the gateway's clock.
    pub(super) fn now(&self) -> SystemTime {
        let ahead = self.ahead_seconds.load(Ordering::Relaxed);
        let seconds = Duration::from_secs(ahead.unsigned_abs());
        if ahead >= 0 { SystemTime::now() + seconds } else { SystemTime::now() - seconds }
    }

    /// Reads the time of an answer.
    pub(super) fn read(&self, headers: &HeaderMap) {
        let date = headers.get(DATE).and_then(|date| date.to_str().ok());
        let Some(date) = date.and_then(|date| httpdate::parse_http_date(date).ok()) else { return };
        let ahead = seconds(date) - seconds(SystemTime::now());
        let ahead = if ahead.abs() <= IGNORED_SKEW_SECONDS { 0 } else { ahead };
        let before = self.ahead_seconds.swap(ahead, Ordering::Relaxed);
        if (ahead - before).abs() > IGNORED_SKEW_SECONDS {
            tracing::warn!(
                ahead,
                "this machine's clock differs from the gateway's, which is used for signatures"
            );
        }
    }

    /// Returns whether `time`, by which a request was signed just now, is wrong by the present knowledge.
    pub(super) fn is_wrong(&self, time: SystemTime) -> bool {
        (seconds(self.now()) - seconds(time)).abs() > IGNORED_SKEW_SECONDS
    }
}

fn seconds(time: SystemTime) -> i64 {
    let seconds = time.duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
    i64::try_from(seconds).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answer_at(time: SystemTime) -> HeaderMap {
        let date = httpdate::fmt_http_date(time);
        HeaderMap::from_iter([(DATE, date.parse().unwrap())])
    }

    #[test]
    fn clock_follows_the_gateway_and_small_differences_are_ignored() {
        let (clock, minutes) = (GatewayClock::default(), Duration::from_secs(300));
        let signed = clock.now();
        clock.read(&answer_at(SystemTime::now() - Duration::from_secs(2)));
        assert!(!clock.is_wrong(signed));
        for now in [SystemTime::now() + minutes, SystemTime::now() - minutes, SystemTime::now()] {
            let signed = clock.now();
            clock.read(&answer_at(now));
            assert!(clock.is_wrong(signed));
            let difference = seconds(clock.now()) - seconds(now);
            assert!(difference.abs() <= 2, "{difference} s");
        }
        let signed = clock.now();
        clock.read(&HeaderMap::new());
        assert!(!clock.is_wrong(signed));
    }
}
