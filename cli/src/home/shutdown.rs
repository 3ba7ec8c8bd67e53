//! Ctrl-C, and `kill`.

use std::time::Duration;

use anyhow::{Context as _, Result};
use tokio::{
    signal::unix::{SignalKind, signal},
    sync::watch,
};

/// How long an orderly end may take after the first signal.
const PATIENCE: Duration = Duration::from_secs(15);

/// Tells whether the process was asked to end.
#[derive(Debug, Clone)]
pub(crate) struct Interrupted(watch::Receiver<bool>);

impl Interrupted {
    /// Returns when the process is asked to end.
    pub(crate) async fn wait(&self) {
        let _ = self.0.clone().wait_for(|asked| *asked).await;
    }

    /// Whether it was asked already.
    pub(crate) fn already(&self) -> bool {
        *self.0.borrow()
    }
}

/// Takes over Ctrl-C and SIGTERM. A second one, or too much time, ends the process at once.
pub(crate) fn listen() -> Result<Interrupted> {
    let mut int = signal(SignalKind::interrupt()).context("Ctrl-C can't be listened for")?;
    let mut term = signal(SignalKind::terminate()).context("SIGTERM can't be listened for")?;
    let (ask, asked) = watch::channel(false);
    tokio::spawn(async move {
        tokio::select! { _ = int.recv() => {}, _ = term.recv() => {} }
        ask.send_replace(true);
        tokio::select! {
            _ = int.recv() => {}
            _ = term.recv() => {}
            () = tokio::time::sleep(PATIENCE) => {}
        }
        hearth_telemetry::logs::flush();
        std::process::exit(130);
    });
    Ok(Interrupted(asked))
}

/// Waits for Ctrl-C or SIGTERM.
pub(crate) async fn requested() {
    if let Ok(interrupted) = listen() {
        interrupted.wait().await;
    }
}
