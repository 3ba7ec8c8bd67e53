//! Runs that have ended, written down many at a time.
//!
//! A short run is one item and its events another. Written alone they cost more than the rest of the
//! gateway's work for the run; in one transaction with those of others they cost a fraction.

use std::time::Duration;

use hearth_store::Store;
use tokio::sync::mpsc::{self, error::SendError};

use super::Recorder;

/// How long the first one waits for others.
const LINGER: Duration = Duration::from_millis(5);
/// The most that are written at once. Each is two items, and a transaction has 100 at most.
const MOST: usize = 50;

/// The writer, which works while there is a handle to it.
#[derive(Debug, Clone)]
pub(crate) struct Together(mpsc::UnboundedSender<Box<Recorder>>);

impl Together {
    /// Starts the writer.
    pub(crate) fn start(store: Store) -> Self {
        let (handle, inbox) = mpsc::unbounded_channel();
        tokio::spawn(write(store, inbox));
        Self(handle)
    }

    /// Writes a run that has ended and was never stored, with all its events.
    pub(super) fn write(&self, ended: Box<Recorder>) {
        if let Err(SendError(ended)) = self.0.send(ended) {
            tokio::spawn(ended.finish());
        }
    }
}

async fn write(store: Store, mut inbox: mpsc::UnboundedReceiver<Box<Recorder>>) {
    let mut ended = Vec::with_capacity(MOST);
    while inbox.recv_many(&mut ended, MOST).await > 0 {
        if ended.len() < MOST {
            tokio::time::sleep(LINGER).await;
            while ended.len() < MOST
                && let Ok(next) = inbox.try_recv()
            {
                ended.push(next);
            }
        }
        let runs: Vec<_> = ended.iter_mut().map(|one| (&one.run, &*one.pending.make_contiguous())).collect();
        if let Err(error) = store.runs().put_ended(&runs).await {
            tracing::warn!(runs = runs.len(), %error, "the ends of runs wait to be recorded");
            for alone in ended.drain(..) {
                tokio::spawn(alone.finish());
            }
        }
        // Who waits for their records goes on.
        ended.clear();
    }
}
