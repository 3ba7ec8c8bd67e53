//! Ctrl-C, which also cancels the run on the gateway.

use super::{error::Interrupted, gateway_client::GatewayClient, stream::Events};

/// Runs `work` until it ends, or until Ctrl-C.
///
/// # Errors
/// The error of `work`, or [`Interrupted`].
pub(crate) async fn or_interrupted<T>(work: impl Future<Output = anyhow::Result<T>>) -> anyhow::Result<T> {
    tokio::select! {
        biased;
        done = work => done,
        pressed = tokio::signal::ctrl_c() => {
            pressed?;
            Err(Interrupted.into())
        }
    }
}

/// Opens a stream and reads it, and cancels the run if the reading is stopped here, such as by Ctrl-C. Before the stream
/// is open the run has no id yet; the gateway cancels it when the connection closes.
///
/// # Errors
/// The error of `open` or `read`, or [`Interrupted`].
pub(crate) async fn cancellable<T>(
    gateway: &GatewayClient,
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

/// Returns whether the run may still be in progress: after Ctrl-C, or when the output can't be written.
fn stopped_here(error: &anyhow::Error) -> bool {
    error.is::<Interrupted>() || error.is::<std::io::Error>()
}
