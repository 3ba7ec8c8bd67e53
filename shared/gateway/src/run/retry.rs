//! Retries at the same provider.

use std::time::Duration;

use hearth_wire::ApiError;

/// Limit of the retries at one candidate.
const RETRY_MAX_COUNT: u32 = 2;
/// The first wait before a retry; each further one is twice as long.
const RETRY_BACKOFF: Duration = Duration::from_millis(250);
/// Longest `retry-after` of a provider that a run waits for, where there is another candidate. After an error with a longer
/// one there is no retry.
const RETRY_AFTER_MAX: Duration = Duration::from_secs(2);
/// The same where there is no other candidate.
const LAST_RETRY_AFTER_MAX: Duration = Duration::from_secs(20);

/// The wait before the next retry after `error`: the provider's `retry-after`, and at least exponential backoff with
/// jitter. None if there is no retry. `retries`: the number of retries so far; `is_last`: there is no other candidate.
pub(super) fn backoff(error: &ApiError, retries: u32, is_last: bool) -> Option<Duration> {
    if !error.code.retry_same() || retries >= RETRY_MAX_COUNT {
        return None;
    }
    let wait = (RETRY_BACKOFF * 2_u32.pow(retries)).mul_f64(rand::random_range(0.5..1.5));
    let max_wait = if is_last { LAST_RETRY_AFTER_MAX } else { RETRY_AFTER_MAX };
    Some(error.retry_after.unwrap_or_default().max(wait)).filter(|wait| *wait <= max_wait)
}

#[cfg(test)]
mod tests {
    use hearth_wire::ErrorCode;

    use super::*;

    fn error(code: ErrorCode, retry_after: Option<u64>) -> ApiError {
        ApiError::new(code, "no").with_retry_after(retry_after.map(Duration::from_secs))
    }

    #[test]
    fn transient_error_is_retried_twice_after_the_providers_wait() {
        let failed = error(ErrorCode::ProviderError, None);
        for (retries, least, most) in [(0, 125, 375), (1, 250, 750)] {
            let wait = backoff(&failed, retries, false).unwrap();
            assert!((least..=most).contains(&wait.as_millis()), "{wait:?}");
        }
        assert_eq!(backoff(&failed, 2, true), None);
        assert_eq!(backoff(&error(ErrorCode::ProviderAuth, None), 0, true), None);
        let limited = |seconds| error(ErrorCode::ProviderRateLimited, Some(seconds));
        assert_eq!(backoff(&limited(2), 0, false), Some(Duration::from_secs(2)));
        assert_eq!((backoff(&limited(3), 0, false), backoff(&limited(21), 0, true)), (None, None));
        assert_eq!(backoff(&limited(20), 1, true), Some(Duration::from_secs(20)));
    }
}
