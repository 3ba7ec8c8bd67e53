//! Reads what the gateway works on, such as a batch, until it has ended.

use std::time::Duration;

use super::{
    error::{GatewayError, Interrupted},
    terminal,
};

/// Failures in a row after which a command gives up. The gateway may be restarting.
const FAILURES_MAX_COUNT: u32 = 30;

/// Reads a value at an interval until it has ended.
///
/// # Errors
/// An error of the gateway that another try doesn't change, or no answer to many tries.
pub(crate) async fn until_ended<T>(
    first: T,
    interval: Duration,
    mut has_ended: impl FnMut(&T) -> bool,
    read: impl AsyncFn() -> anyhow::Result<T>,
) -> anyhow::Result<T> {
    let (mut polls, mut failures, mut current) = (tokio::time::interval(interval), 0, first);
    while !has_ended(&current) {
        polls.tick().await;
        match read().await {
            Ok(next) => (current, failures) = (next, 0),
            Err(error) if is_final(&error) || failures >= FAILURES_MAX_COUNT => return Err(error),
            Err(_) => {
                if failures == 0 {
                    terminal::note("the gateway doesn't answer; waiting for it");
                }
                failures += 1;
            }
        }
    }
    Ok(current)
}

/// True for an error of the gateway that another try doesn't change.
fn is_final(error: &anyhow::Error) -> bool {
    error.downcast_ref::<GatewayError>().is_some_and(|error| !error.body.retryable)
}

/// Prints that something goes on at the gateway, if the command has ended before it. `subject`: "the batch".
pub(crate) fn note_unfinished(error: &anyhow::Error, subject: &str, watch: &str, cancel: &str) {
    if error.is::<Interrupted>() {
        terminal::note(&format!("{subject} goes on: `{watch}` watches it again, and `{cancel}` ends it"));
    } else if !is_final(error) {
        terminal::note(&format!(
            "{subject} goes on when the gateway runs again: `{watch}` watches it then, and `{cancel}` ends it"
        ));
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU32, Ordering};

    use hearth_wire::{ApiError, ErrorCode};

    use super::*;

    async fn follow(answers: impl Fn(u32) -> anyhow::Result<u32>) -> (anyhow::Result<u32>, u32) {
        let reads = AtomicU32::new(0);
        let read = async || answers(reads.fetch_add(1, Ordering::Relaxed));
        let end = until_ended(0, Duration::from_secs(1), |number| *number >= 3, read).await;
        (end, reads.load(Ordering::Relaxed))
    }

    fn refusal(code: ErrorCode) -> anyhow::Error {
        GatewayError::new(ApiError::new(code, "no").envelope("req_1").error).into()
    }

    #[tokio::test(start_paused = true)]
    async fn failures_in_a_row_are_bounded() {
        let (end, reads) = follow(|_| anyhow::bail!("connection refused")).await;
        assert!(end.is_err());
        assert_eq!(reads, FAILURES_MAX_COUNT + 1);
    }

    #[tokio::test(start_paused = true)]
    async fn gateway_that_comes_back_is_read_again() {
        let (end, _) = follow(|read| match read % 5 {
            0 => Ok(read / 5),
            1 => Err(refusal(ErrorCode::Overloaded)),
            _ => anyhow::bail!("connection refused"),
        })
        .await;
        assert_eq!(end.unwrap(), 3);
    }

    #[tokio::test(start_paused = true)]
    async fn refusal_ends_at_once() {
        let (end, reads) = follow(|_| Err(refusal(ErrorCode::NotFound))).await;
        assert_eq!((end.is_err(), reads), (true, 1));
    }
}
