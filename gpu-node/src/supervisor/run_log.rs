//! The event log of a run on the node, from which a gateway resumes a broken stream.

mod event_buffer;

use std::{
    collections::VecDeque,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use futures::Stream;
use hearth_domain::{Modality, RunId};
use hearth_wire::{RunEvent, RunEventBody};
use tokio::sync::{Notify, watch};

use event_buffer::EventBuffer;
pub use event_buffer::LoggedEvent;

/// Bytes of events in a log; the oldest are dropped.
const LOG_MAX_BYTES: usize = 4 << 20;
/// Bytes of events in the log of an embedding run, whose vectors are computed faster than they are read.
const EMBEDDING_LOG_MAX_BYTES: usize = 128 << 20;
/// Bytes of events in the log of a run that makes images: ten of them, in base64.
const IMAGE_LOG_MAX_BYTES: usize = 160 << 20;
/// Approximate bytes of a log without its events.
const LOG_OVERHEAD_BYTES: usize = 1024;

/// The events of one run.
#[derive(Debug)]
pub struct RunLog {
    run: RunId,
    events: Mutex<Events>,
    /// The seq of the newest event.
    newest: watch::Sender<u64>,
    /// Notified when the last reader is dropped.
    abandoned: Arc<Notify>,
}

#[derive(Debug)]
struct Events {
    buffer: EventBuffer,
    ended: bool,
    /// It has ended with an error.
    failed: bool,
}

/// The requested events were dropped from the log.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("events after {after} are no longer in the node's log")]
pub struct Expired {
    /// The seq behind which the reader wanted to begin.
    pub after: u64,
}

impl RunLog {
    /// Creates an empty log for a run of this modality.
    #[must_use]
    pub fn new(run: RunId, modality: Modality) -> Arc<Self> {
        let max_bytes = match modality {
            Modality::Embedding => EMBEDDING_LOG_MAX_BYTES,
            Modality::Image => IMAGE_LOG_MAX_BYTES,
            _ => LOG_MAX_BYTES,
        };
        let (newest, _) = watch::channel(0);
        let events = Mutex::new(Events { buffer: EventBuffer::new(max_bytes), ended: false, failed: false });
        Arc::new(Self { run, events, newest, abandoned: Arc::new(Notify::new()) })
    }

    /// The run's id.
    #[must_use]
    pub fn run(&self) -> RunId {
        self.run
    }

    /// Appends an event. Events after a terminal one are ignored.
    pub fn push(&self, body: RunEventBody) {
        let mut events = self.lock();
        if events.ended {
            return;
        }
        let seq = *self.newest.borrow() + 1;
        events.ended = body.is_terminal();
        events.failed = matches!(body, RunEventBody::Error { .. });
        events.buffer.push(&RunEvent { seq, body });
        if events.ended {
            events.buffer.shrink();
        }
        drop(events);
        self.newest.send_replace(seq);
    }

    /// Returns whether the run has ended.
    #[must_use]
    pub fn has_ended(&self) -> bool {
        self.lock().ended
    }

    /// Returns whether the run has ended with an error.
    #[must_use]
    pub fn has_failed(&self) -> bool {
        self.lock().failed
    }

    /// Bytes of memory that the log uses.
    #[must_use]
    pub fn bytes(&self) -> usize {
        LOG_OVERHEAD_BYTES + self.lock().buffer.bytes()
    }

    /// Number of current readers.
    #[must_use]
    pub fn readers(&self) -> usize {
        self.newest.receiver_count()
    }

    /// Notified each time that the last reader is dropped before the end of the run.
    #[must_use]
    pub fn abandoned(&self) -> Arc<Notify> {
        Arc::clone(&self.abandoned)
    }

    /// Streams the events after seq `after`, up to the terminal one.
    ///
    /// # Errors
    /// If some of them were dropped.
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

    /// Returns the next events after `seq`, and whether the run has ended.
    fn after(&self, seq: u64) -> Result<(VecDeque<LoggedEvent>, bool), Expired> {
        let events = self.lock();
        if seq + 1 < events.buffer.oldest() {
            return Err(Expired { after: seq });
        }
        Ok((events.buffer.after(seq), events.ended))
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
    /// Waits for further events. Returns none when all events of an ended run were read, or when events were dropped
    /// because the reader was too slow.
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
    async fn reader_resumes_behind_a_seq_and_ends_with_the_run() {
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
    async fn reading_dropped_events_is_an_error() {
        let log = RunLog::new(RunId::new(), Modality::Text);
        for _ in 0..6 {
            log.push(delta(&"x".repeat(1 << 20)));
        }
        assert_eq!(log.read(0).err(), Some(Expired { after: 0 }));
        assert!(log.read(5).is_ok());
    }

    #[tokio::test]
    async fn dropping_the_last_reader_is_notified() {
        let log = RunLog::new(RunId::new(), Modality::Text);
        let abandoned = log.abandoned();
        let (one, two) = (log.read(0).unwrap(), log.read(0).unwrap());
        drop(one);
        assert_eq!(log.readers(), 1);
        drop(two);
        abandoned.notified().await;
    }
}
