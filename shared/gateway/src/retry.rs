//! When the same provider is asked again.

use std::time::Duration;

use hearth_wire::ApiError;

/// How often the same candidate is asked again.
const RETRY_MAX_COUNT: u32 = 2;
/// The first wait before that; each further one is twice as long.
const RETRY_BACKOFF: Duration = Duration::from_millis(250);
/// The longest wait that a provider may ask for, where somebody else can be asked instead.
const RETRY_WAIT_TIMEOUT: Duration = Duration::from_secs(2);
/// And where nobody can.
const LAST_RETRY_WAIT_TIMEOUT: Duration = Duration::from_secs(20);

/// How long to wait before a provider that failed with `error` is asked again: as long as it says, and at least
/// twice as long each time, a half more or less, so that clients don't come back together. None if it isn't to be
/// asked again. `retries`: how often it was; `is_last`: nobody else can be asked.
pub(crate) fn wait(error: &ApiError, retries: u32, is_last: bool) -> Option<Duration> {
    if !error.code.retry_same() || retries >= RETRY_MAX_COUNT {
        return None;
    }
    let backoff = (RETRY_BACKOFF * 2_u32.pow(retries)).mul_f64(rand::random_range(0.5..1.5));
    let patience = if is_last { LAST_RETRY_WAIT_TIMEOUT } else { RETRY_WAIT_TIMEOUT };
    Some(error.retry_after.unwrap_or_default().max(backoff)).filter(|wait| *wait <= patience)
}

#[cfg(test)]
mod tests {
    use hearth_wire::ErrorCode;

    use super::*;

    fn error(code: ErrorCode, retry_after: Option<u64>) -> ApiError {
        ApiError::new(code, "no").with_retry_after(retry_after.map(Duration::from_secs))
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
