//! When the same provider is asked again.

use std::time::Duration;

use hearth_wire::{ApiError, ErrorCode};
use serde_json::Value;

/// How often the same candidate is asked again.
const RETRIES: u32 = 2;
/// The first wait before that; each further one is twice as long.
const BACKOFF: Duration = Duration::from_millis(250);
/// The longest wait that a provider may ask for, where somebody else can be asked instead.
const PATIENCE: Duration = Duration::from_secs(2);
/// And where nobody can.
const LAST_PATIENCE: Duration = Duration::from_secs(20);

/// How long to wait before a provider that failed with `error` is asked again: as it says itself, else twice as
/// long each time, a half more or less, so that those who wait don't come back together. None if it isn't to be
/// asked again. `retries`: how often it was; `is_last`: nobody else can be asked.
pub(crate) fn wait(error: &ApiError, retries: u32, is_last: bool) -> Option<Duration> {
    let may_pass = matches!(error.code, ErrorCode::ProviderError | ErrorCode::ProviderRateLimited);
    if !may_pass || retries >= RETRIES {
        return None;
    }
    let asked = error.details.get("retry_after_seconds").and_then(Value::as_u64).map(Duration::from_secs);
    let own = || (BACKOFF * 2_u32.pow(retries)).mul_f64(rand::random_range(0.5..1.5));
    let patience = if is_last { LAST_PATIENCE } else { PATIENCE };
    Some(asked.unwrap_or_else(own)).filter(|wait| *wait <= patience)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn error(code: ErrorCode, retry_after: Option<u64>) -> ApiError {
        let error = ApiError::new(code, "no");
        match retry_after {
            Some(seconds) => error.with("retry_after_seconds", seconds),
            None => error,
        }
    }

    #[test]
    fn what_may_pass_is_tried_twice_and_the_provider_says_when() {
        let failed = error(ErrorCode::ProviderError, None);
        for (retries, least, most) in [(0, 125, 375), (1, 250, 750)] {
            let wait = wait(&failed, retries, false).unwrap();
            assert!((least..=most).contains(&wait.as_millis()), "{wait:?}");
        }
        assert_eq!(wait(&failed, 2, true), None);
        assert_eq!(wait(&error(ErrorCode::ProviderAuth, None), 0, true), None);
        let limited = |seconds| error(ErrorCode::ProviderRateLimited, Some(seconds));
        assert_eq!(wait(&limited(2), 0, false), Some(Duration::from_secs(2)));
        assert_eq!((wait(&limited(3), 0, false), wait(&limited(21), 0, true)), (None, None));
        assert_eq!(wait(&limited(20), 1, true), Some(Duration::from_secs(20)));
    }
}
