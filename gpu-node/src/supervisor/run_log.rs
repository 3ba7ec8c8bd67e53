//! A run's events on the node: kept for a while, so that a cut stream resumes where it broke.

mod kept;

use std::{
    collections::VecDeque,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use futures::Stream;
use hearth_domain::{Modality, RunId};
use hearth_wire::{RunEvent, RunEventBody};
use tokio::sync::{Notify, watch};

use kept::Kept;
pub use kept::LoggedEvent;

/// How much a log of text keeps; older events go first.
const MAX_BYTES: usize = 4 << 20;
/// How much one of vectors keeps: they come faster than they can be read.
const MAX_VECTOR_BYTES: usize = 128 << 20;
/// What a log takes besides its events.
const LOG_BYTES: usize = 1024;

/// The events of one run.
#[derive(Debug)]
pub struct RunLog {
    run: RunId,
    events: Mutex<Events>,
    /// The seq of the newest event.
    newest: watch::Sender<u64>,
    /// Told when the last reader goes.
    abandoned: Arc<Notify>,
}

#[derive(Debug)]
struct Events {
    kept: Kept,
    ended: bool,
}

/// Events before this place are gone.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the events after {after} are no longer kept")]
pub struct Expired {
    /// Where the reader wanted to begin.
    pub after: u64,
}

impl RunLog {
    /// An empty log, for a run that makes things of this modality.
    #[must_use]
    pub fn new(run: RunId, modality: Modality) -> Arc<Self> {
        let max_bytes = if modality == Modality::Embedding { MAX_VECTOR_BYTES } else { MAX_BYTES };
        let (newest, _) = watch::channel(0);
        let events = Mutex::new(Events { kept: Kept::new(max_bytes), ended: false });
        Arc::new(Self { run, events, newest, abandoned: Arc::new(Notify::new()) })
    }

    /// Whose log it is.
    #[must_use]
    pub fn run(&self) -> RunId {
        self.run
    }

    /// Appends an event; after a terminal one, nothing.
    pub fn push(&self, body: RunEventBody) {
        let mut events = self.lock();
        if events.ended {
            return;
        }
        let seq = *self.newest.borrow() + 1;
        events.ended = body.is_terminal();
        events.kept.push(&RunEvent { seq, body });
        if events.ended {
            events.kept.close();
        }
        drop(events);
        self.newest.send_replace(seq);
    }

    /// Whether the run has ended.
    #[must_use]
    pub fn has_ended(&self) -> bool {
        self.lock().ended
    }

    /// What it takes in memory, in bytes.
    #[must_use]
    pub fn bytes(&self) -> usize {
        LOG_BYTES + self.lock().kept.bytes()
    }

    /// How many read it now.
    #[must_use]
    pub fn readers(&self) -> usize {
        self.newest.receiver_count()
    }

    /// Told each time that the last reader has gone before the run's end.
    #[must_use]
    pub fn abandoned(&self) -> Arc<Notify> {
        Arc::clone(&self.abandoned)
    }

    /// The events after seq `after`, as they come, to the terminal one.
    ///
    /// # Errors
    /// If some of them are no longer kept.
    pub fn read(self: &Arc<Self>, after: u64) -> Result<impl Stream<Item = LoggedEvent> + use<>, Expired> {
        self.after(after)?;
        let reader = Reader { log: Arc::clone(self), newest: Some(self.newest.subscribe()), seen: after };
        Ok(futures::stream::unfold((reader, VecDeque::new()), |(mut reader, mut batch)| async move {
            let event = match batch.pop_front() {
                Some(event) => event,
                None => {
                    batch = reader.next_batch().await;
                    batch.pop_front()?
                }
            };
            reader.seen = event.seq;
            Some((event, (reader, batch)))
        }))
    }

    /// The next events after `seq`, and whether the run has ended.
    fn after(&self, seq: u64) -> Result<(VecDeque<LoggedEvent>, bool), Expired> {
        let events = self.lock();
        if seq + 1 < events.kept.oldest() {
            return Err(Expired { after: seq });
        }
        Ok((events.kept.after(seq), events.ended))
    }

    fn lock(&self) -> MutexGuard<'_, Events> {
        self.events.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

struct Reader {
    log: Arc<RunLog>,
    newest: Option<watch::Receiver<u64>>,
    seen: u64,
}

impl Reader {
    /// What came since; empty when the run has ended and all was read, or when the reader was so
    /// slow that events are gone.
    async fn next_batch(&mut self) -> VecDeque<LoggedEvent> {
        loop {
            match self.log.after(self.seen) {
                Ok((batch, false)) if batch.is_empty() => {}
                Ok((batch, _)) => return batch,
                Err(_) => return VecDeque::new(),
            }
            let seen = self.seen;
            let Some(newest) = &mut self.newest else { return VecDeque::new() };
            if newest.wait_for(|seq| *seq > seen).await.is_err() {
                return VecDeque::new();
            }
        }
    }
}

impl Drop for Reader {
    fn drop(&mut self) {
        self.newest = None;
        if self.log.readers() == 0 && !self.log.has_ended() {
            self.log.abandoned.notify_one();
        }
    }
}

#[cfg(test)]
mod tests {
    use futures::StreamExt as _;
    use hearth_domain::FinishReason;

    use super::*;

    fn delta(text: &str) -> RunEventBody {
        RunEventBody::text(text)
    }

    #[tokio::test]
    async fn a_reader_resumes_where_it_left_and_ends_with_the_run() {
        let log = RunLog::new(RunId::new(), Modality::Text);
        log.push(delta("a"));
        log.push(delta("b"));
        let mut first = Box::pin(log.read(0).unwrap());
        assert_eq!(first.next().await.unwrap().seq, 1);
        drop(first);
        log.push(RunEventBody::Done { finish_reason: FinishReason::Stop });
        log.push(delta("too late"));
        let rest: Vec<u64> = log.read(1).unwrap().map(|event| event.seq).collect().await;
        assert_eq!(rest, [2, 3]);
    }

    #[tokio::test]
    async fn the_log_is_bounded_and_says_what_is_gone() {
        let log = RunLog::new(RunId::new(), Modality::Text);
        for _ in 0..6 {
            log.push(delta(&"x".repeat(1 << 20)));
        }
        assert_eq!(log.read(0).err(), Some(Expired { after: 0 }));
        assert!(log.read(5).is_ok());
    }

    #[tokio::test]
    async fn the_last_reader_to_go_is_noticed() {
        let log = RunLog::new(RunId::new(), Modality::Text);
        let abandoned = log.abandoned();
        let (one, two) = (log.read(0).unwrap(), log.read(0).unwrap());
        drop(one);
        assert_eq!(log.readers(), 1);
        drop(two);
        abandoned.notified().await;
    }
}
