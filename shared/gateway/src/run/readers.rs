//! The readers of a run's events in this process: its own client, and followers.

use std::{sync::Arc, time::Duration};

use tokio::{sync::watch, time::Instant};

/// Counts the readers of one run.
#[derive(Debug)]
pub(crate) struct Readers(watch::Sender<State>);

#[derive(Debug, Clone, Copy)]
struct State {
    count: usize,
    /// Time since which there is no reader, if there is none.
    absent_since: Instant,
}

/// A reader. It counts until it is dropped.
#[derive(Debug)]
pub(crate) struct Reader(Arc<Readers>);

impl Default for Readers {
    fn default() -> Self {
        Self(watch::Sender::new(State { count: 0, absent_since: Instant::now() }))
    }
}

impl Readers {
    /// Adds a reader.
    pub(super) fn add(self: &Arc<Self>) -> Reader {
        self.0.send_modify(|state| state.count += 1);
        Reader(Arc::clone(self))
    }

    /// Waits until the run has had no reader for `grace` without a break.
    pub(super) async fn absent_for(&self, grace: Duration) {
        let mut states = self.0.subscribe();
        loop {
            let state = *states.borrow_and_update();
            let over = async {
                match state.count {
                    0 => tokio::time::sleep_until(state.absent_since + grace).await,
                    _ => std::future::pending().await,
                }
            };
            tokio::select! {
                () = over => return,
                // The sender lives as long as this.
                _ = states.changed() => {}
            }
        }
    }
}

impl Drop for Reader {
    fn drop(&mut self) {
        self.0.0.send_modify(|state| {
            state.count = state.count.saturating_sub(1);
            state.absent_since = Instant::now();
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn absence_is_counted_from_the_last_reader() {
        let (readers, start) = (Arc::new(Readers::default()), Instant::now());
        let (client, grace) = (readers.add(), Duration::from_secs(10));
        let waits = async {
            readers.absent_for(grace).await;
            start.elapsed()
        };
        let reads = async {
            tokio::time::sleep(Duration::from_secs(30)).await;
            drop(client);
            tokio::time::sleep(Duration::from_secs(9)).await;
            let follower = readers.add();
            tokio::time::sleep(Duration::from_secs(20)).await;
            drop(follower);
        };
        let (waited, ()) = tokio::join!(waits, reads);
        assert_eq!(waited.as_secs(), 30 + 9 + 20 + 10);
    }
}
