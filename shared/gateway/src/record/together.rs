//! Runs that have ended, written down many at a time.
//!
//! A short run is an item, and its events may be another. Written alone they cost more than the rest of the
//! gateway's work for the run; in one transaction with those of others they cost a fraction.

use std::time::Duration;

use hearth_store::{Store, runs::Ended};
use tokio::sync::mpsc::{self, error::SendError};

use super::{Recorder, behind::Behind};

/// How long the first one waits for others, unless somebody waits for it.
const LINGER: Duration = Duration::from_millis(5);
/// The most that are written at once: a transaction has 100 items at most.
const MOST: usize = 100;

/// The writer, which works while there is a handle to it.
#[derive(Debug, Clone)]
pub(crate) struct Together(mpsc::UnboundedSender<Box<Recorder>>);

impl Together {
    /// Starts the writer.
    pub(crate) fn start(store: Store, behind: Behind) -> Self {
        let (handle, inbox) = mpsc::unbounded_channel();
        tokio::spawn(write(store, behind, inbox));
        Self(handle)
    }

    /// Writes a run that has ended and was never stored, with all its events.
    pub(super) fn write(&self, ended: Box<Recorder>) {
        if let Err(SendError(ended)) = self.0.send(ended) {
            tokio::spawn(ended.finish());
        }
    }
}

async fn write(store: Store, behind: Behind, mut inbox: mpsc::UnboundedReceiver<Box<Recorder>>) {
    let mut ended = Vec::with_capacity(MOST);
    while inbox.recv_many(&mut ended, MOST).await > 0 {
        let full = async {
            while let left @ 1.. = MOST - ended.len()
                && inbox.recv_many(&mut ended, left).await > 0
            {}
        };
        tokio::select! {
            () = full => {}
            () = tokio::time::sleep(LINGER) => {}
            () = behind.is_waited_for() => {}
        }
        let runs: Vec<_> = ended
            .iter_mut()
            .map(|one| Ended { run: &one.run, events: one.pending.make_contiguous() })
            .collect();
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
