//! Runs that have ended, written down many at a time.
//!
//! A short run is one item and its events another. Written alone they cost more than the rest of the
//! gateway's work for the run; in one transaction with those of others they cost a fraction.

use std::time::Duration;

use hearth_domain::Run;
use hearth_store::Store;
use hearth_wire::RunEvent;
use tokio::sync::{mpsc, oneshot};

/// How long the first one waits for others.
const LINGER: Duration = Duration::from_millis(5);
/// The most that are written at once. Each is two items, and a transaction has 100 at most.
const MOST: usize = 50;

/// The writer, which works while there is a handle to it.
#[derive(Debug, Clone)]
pub(crate) struct Together(mpsc::UnboundedSender<Ended>);

/// A run that has ended.
#[derive(Debug)]
struct Ended {
    run: Run,
    events: Vec<RunEvent>,
    written: oneshot::Sender<bool>,
}

impl Together {
    /// Starts the writer.
    pub(crate) fn start(store: Store) -> Self {
        let (handle, inbox) = mpsc::unbounded_channel();
        tokio::spawn(write(store, inbox));
        Self(handle)
    }

    /// Writes a run that has ended, with all its events; whether it is written. It was never stored before.
    pub(super) async fn write(&self, run: Run, events: Vec<RunEvent>) -> bool {
        let (written, told) = oneshot::channel();
        let _ = self.0.send(Ended { run, events, written });
        told.await.unwrap_or(false)
    }
}

async fn write(store: Store, mut inbox: mpsc::UnboundedReceiver<Ended>) {
    let mut batch = Vec::with_capacity(MOST);
    while inbox.recv_many(&mut batch, MOST).await > 0 {
        if batch.len() < MOST {
            tokio::time::sleep(LINGER).await;
            while batch.len() < MOST
                && let Ok(next) = inbox.try_recv()
            {
                batch.push(next);
            }
        }
        let runs: Vec<_> = batch.iter().map(|ended| (&ended.run, &*ended.events)).collect();
        let written = store.runs().put_ended(&runs).await;
        if let Err(error) = &written {
            tracing::warn!(runs = batch.len(), %error, "the ends of runs wait to be recorded");
        }
        for ended in batch.drain(..) {
            let _ = ended.written.send(written.is_ok());
        }
    }
}
