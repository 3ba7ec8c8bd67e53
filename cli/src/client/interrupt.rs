//! Ctrl-C: the run is cancelled, on the gateway too.

use super::{error::Interrupted, http::Gateway, stream::Events};

/// Does `work`, unless Ctrl-C comes first.
///
/// # Errors
/// `work`'s own, or [`Interrupted`].
pub(super) async fn or_interrupted<T>(work: impl Future<Output = anyhow::Result<T>>) -> anyhow::Result<T> {
    tokio::select! {
        biased;
        done = work => done,
        pressed = tokio::signal::ctrl_c() => {
            pressed?;
            Err(Interrupted.into())
        }
    }
}

/// Opens a stream and reads it; on Ctrl-C, and on whatever else stops the reading, the run is
/// cancelled. Before the stream is open there is no id to cancel by: closing the connection does it.
///
/// # Errors
/// Those of `open` and `read`, or [`Interrupted`].
pub(super) async fn cancellable<T>(
    gateway: &Gateway,
    open: impl Future<Output = anyhow::Result<Events>>,
    read: impl AsyncFnOnce(&mut Events) -> anyhow::Result<T>,
) -> anyhow::Result<T> {
    let mut events = or_interrupted(open).await?;
    let answer = or_interrupted(read(&mut events)).await;
    if answer.as_ref().is_err_and(stopped_here)
        && let Some(id) = events.request_id().map(str::to_owned)
    {
        drop(events);
        gateway.cancel(&id).await;
    }
    answer
}

/// Whether the run may still be going on: Ctrl-C, or nobody reads what is printed.
fn stopped_here(error: &anyhow::Error) -> bool {
    error.is::<Interrupted>() || error.is::<std::io::Error>()
}
