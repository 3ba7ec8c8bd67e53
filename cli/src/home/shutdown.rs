//! Shutdown on Ctrl-C and SIGTERM.

use std::time::Duration;

use anyhow::{Context as _, Result};
use tokio::{
    signal::unix::{SignalKind, signal},
    sync::watch,
};

/// Time for an orderly shutdown after the first signal.
const SHUTDOWN_GRACE: Duration = Duration::from_secs(15);

/// Signals that the process was asked to shut down.
#[derive(Debug, Clone)]
pub(crate) struct Interrupted(watch::Receiver<bool>);

impl Interrupted {
    /// Waits until the process is asked to shut down.
    pub(crate) async fn wait(&self) {
        let _ = self.0.clone().wait_for(|requested| *requested).await;
    }

    /// Returns whether the process was asked to shut down.
    pub(crate) fn is_requested(&self) -> bool {
        *self.0.borrow()
    }
}

/// Handles Ctrl-C and SIGTERM. A second signal, or the end of [`SHUTDOWN_GRACE`], ends the process at once.
pub(crate) fn listen() -> Result<Interrupted> {
    let mut int = signal(SignalKind::interrupt()).context("Ctrl-C can't be listened for")?;
    let mut term = signal(SignalKind::terminate()).context("SIGTERM can't be listened for")?;
    let (request, requested) = watch::channel(false);
    tokio::spawn(async move {
        tokio::select! { _ = int.recv() => {}, _ = term.recv() => {} }
        request.send_replace(true);
        tokio::select! {
            _ = int.recv() => {}
            _ = term.recv() => {}
            () = tokio::time::sleep(SHUTDOWN_GRACE) => {}
        }
        hearth_telemetry::logs::flush();
        std::process::exit(130);
    });
    Ok(Interrupted(requested))
}
