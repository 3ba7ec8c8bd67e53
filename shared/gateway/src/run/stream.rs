//! A run's events on their way to the client.

use std::{
    collections::VecDeque,
    sync::{Arc, OnceLock},
    time::Duration,
};

use hearth_domain::{AppliedDefinitions, RunId, RunState};
use hearth_wire::{ApiError, ErrorCode, RunEvent, RunEventBody};
use tokio::sync::mpsc::{self, error::TrySendError};

use super::{driver_task::DriverTask, errors::driver_died, readers::Reader};
use crate::{cache::CacheOutcome, limits::RateStatus};

/// Limit of the number of events that may wait for the client to read them.
const CLIENT_BUFFER_EVENTS: usize = 256;
/// Timeout of a client that reads no event of an answer that waits for it.
const CLIENT_STALL_TIMEOUT: Duration = Duration::from_secs(60);

/// A run's events, as they come. A client that goes away drops it.
#[derive(Debug)]
pub struct RunStream {
    /// The run's id.
    pub id: RunId,
    /// Outcome of the cache's lookup, if there was one.
    pub cache: Option<CacheOutcome>,
    /// The state of the caller's rate limits; none if no rate is limited.
    pub rate: Option<RateStatus>,
    /// The schema and the template of its request.
    pub definitions: Option<Box<AppliedDefinitions>>,
    /// The events of the run's beginning, which are read already.
    pub(crate) first: VecDeque<RunEvent>,
    pub(crate) rest: mpsc::Receiver<RunEvent>,
    pub(crate) driver: DriverTask,
    pub(crate) end: EndGuard,
    /// Counts the client as a reader of the run.
    pub(crate) reader: Option<Reader>,
}

/// Guarantees that a run's events end with a terminal one. A driver that panics closes its channel without one, and a
/// client must not take that for the end of a good answer.
#[derive(Debug, Default)]
pub(crate) struct EndGuard {
    seq: u64,
    ended: bool,
    /// The reason why the events end before the run, if it is known.
    broken_off: Arc<OnceLock<ApiError>>,
}

/// The driver's end of the channel to its client.
#[derive(Debug)]
pub(crate) struct EventSender {
    pub(crate) events: mpsc::Sender<RunEvent>,
    /// The reason why the events end before the run, if they do.
    pub(crate) broken_off: Arc<OnceLock<ApiError>>,
}

/// A channel for a client's events, and the guard of their end.
pub(crate) fn channel() -> (EventSender, mpsc::Receiver<RunEvent>, EndGuard) {
    let end = EndGuard::default();
    let (client, rest) = end.sender();
    (client, rest, end)
}

impl EventSender {
    /// Sends an event. A client that reads slowly slows the run.
    ///
    /// Returns false if the client read nothing for too long, or until `stopped` ended. It then gets an error after the events that
    /// it has not read yet.
    pub(super) async fn send(&self, event: RunEvent, stopped: impl Future<Output = ()>) -> bool {
        let event = match self.events.try_send(event) {
            Ok(()) | Err(TrySendError::Closed(_)) => return true,
            Err(TrySendError::Full(event)) => event,
        };
        tokio::select! {
            _ = self.events.send(event) => return true,
            () = tokio::time::sleep(CLIENT_STALL_TIMEOUT) => {}
            () = stopped => {}
        }
        let message = "the answer was read too slowly; GET /v1/requests/{id} has what was recorded of it";
        let _ = self.broken_off.set(ApiError::new(ErrorCode::Cancelled, message));
        false
    }
}

impl EndGuard {
    /// Another channel to the same client.
    pub(crate) fn sender(&self) -> (EventSender, mpsc::Receiver<RunEvent>) {
        let (events, rest) = mpsc::channel(CLIENT_BUFFER_EVENTS);
        (EventSender { events, broken_off: Arc::clone(&self.broken_off) }, rest)
    }

    /// Returns the event; in place of a missing terminal event an error, once.
    fn pass(&mut self, event: Option<RunEvent>) -> Option<RunEvent> {
        let event = match event {
            None if self.ended => return None,
            None => {
                let error = self.broken_off.get().cloned().unwrap_or_else(driver_died);
                RunEvent { seq: self.seq + 1, body: RunEventBody::Error { error } }
            }
            Some(event) => event,
        };
        self.seq = event.seq;
        self.ended |= event.body.is_terminal();
        Some(event)
    }
}

impl RunStream {
    /// The events of its beginning: the selected model, and a place in the queue or a slot.
    pub fn begun(&self) -> impl Iterator<Item = &RunEvent> {
        self.first.iter()
    }

    /// Its first place in the queue, from 1, if it waits there.
    #[must_use]
    pub fn queue_position(&self) -> Option<u32> {
        self.first.iter().find_map(|event| match event.body {
            RunEventBody::Queued { position } => Some(position),
            _ => None,
        })
    }

    /// Its state: it waits, has a slot, or has ended with a cached answer.
    #[must_use]
    pub fn state(&self) -> RunState {
        let started = |event: &RunEvent| matches!(event.body, RunEventBody::Started { .. });
        match self.first.back() {
            Some(last) if last.body.is_terminal() => RunState::Completed,
            _ if self.first.iter().any(started) => RunState::Running,
            _ => RunState::Queued,
        }
    }

    /// The next event; `None` after the terminal one, once the driver has ended. The last write of the run's record may
    /// still be in progress then.
    pub async fn next(&mut self) -> Option<RunEvent> {
        // The driver sends the next events while this one is written to the client.
        self.driver.detach();
        let event = match self.first.pop_front() {
            Some(event) => Some(event),
            None => self.rest.recv().await,
        };
        self.end.pass(event)
    }

    /// Every event, to the end.
    #[crate::boxed_future]
    pub async fn collect(self) -> Vec<RunEvent> {
        self.collect_observed(|_| ()).await
    }

    /// Every event, to the end. Calls `observe` with each when it comes.
    pub async fn collect_observed(mut self, mut observe: impl FnMut(&RunEvent)) -> Vec<RunEvent> {
        let mut events = Vec::new();
        loop {
            let event = match self.first.pop_front() {
                Some(event) => Some(event),
                None => next(&mut self.rest, &mut self.driver).await,
            };
            match self.end.pass(event) {
                Some(event) => {
                    observe(&event);
                    events.push(event);
                }
                None => return events,
            }
        }
    }
}

/// The next event; the driver is polled for it.
pub(super) async fn next(events: &mut mpsc::Receiver<RunEvent>, driver: &mut DriverTask) -> Option<RunEvent> {
    tokio::select! {
        biased;
        event = events.recv() => event,
        never = driver.work() => never,
    }
}

#[cfg(test)]
mod tests {
    use std::future::{pending, ready};

    use tokio::time::{Instant, sleep};

    use super::*;

    /// A run whose driver sends these events and then runs `driver`.
    fn run(bodies: &[RunEventBody], driver: impl Future<Output = ()> + Send + 'static) -> RunStream {
        let (client, rest, end) = channel();
        for (seq, body) in (1..).zip(bodies.iter().cloned()) {
            client.events.try_send(RunEvent { seq, body }).unwrap();
        }
        let driver = DriverTask::new(|| async move {
            driver.await;
            drop(client);
        });
        RunStream {
            id: RunId::new(),
            cache: None,
            rate: None,
            definitions: None,
            first: VecDeque::new(),
            rest,
            driver,
            end,
            reader: None,
        }
    }

    fn is_failure(event: &RunEvent, seq: u64) -> bool {
        let failed =
            matches!(&event.body, RunEventBody::Error { error } if error.code == ErrorCode::Internal);
        failed && event.seq == seq
    }

    async fn panics() {
        tokio::task::yield_now().await;
        panic!("the driver panics");
    }

    fn text(seq: u64) -> RunEvent {
        RunEvent { seq, body: RunEventBody::text("a") }
    }

    /// A channel whose client has as many events to read as it may, and the number of the next event.
    async fn full_channel() -> (EventSender, mpsc::Receiver<RunEvent>, EndGuard, u64) {
        let (client, rest, end) = channel();
        let count = CLIENT_BUFFER_EVENTS as u64;
        for seq in 1..=count {
            assert!(client.send(text(seq), ready(())).await, "{seq}");
        }
        (client, rest, end, count + 1)
    }

    #[tokio::test(start_paused = true)]
    async fn client_that_reads_nothing_for_a_minute_gets_an_error_after_what_it_has() {
        let begin = Instant::now();
        let (client, mut rest, mut end, next) = full_channel().await;
        let slowly = async {
            sleep(CLIENT_STALL_TIMEOUT - Duration::from_secs(1)).await;
            rest.recv().await
        };
        let (is_sent, first) = tokio::join!(client.send(text(next), pending()), slowly);
        assert!(is_sent && first == Some(text(1)), "{first:?}");
        let began = Instant::now();
        assert!(!client.send(text(next + 1), pending()).await);
        assert_eq!((began.elapsed(), begin.elapsed().as_secs()), (CLIENT_STALL_TIMEOUT, 59 + 60));
        drop(client);
        let mut read = Vec::new();
        while let Some(event) = end.pass(rest.recv().await) {
            read.push(event);
        }
        let last = read.pop().unwrap();
        assert!(read.iter().map(|event| event.seq).eq(2..=next), "{read:?}");
        let RunEventBody::Error { error } = &last.body else { panic!("{last:?}") };
        assert_eq!((last.seq, error.code), (next + 1, ErrorCode::Cancelled));
        assert!(error.message.contains("read too slowly"), "{error:?}");
    }

    #[tokio::test(start_paused = true)]
    async fn stopped_run_does_not_wait_for_a_client_that_reads_nothing() {
        let begin = Instant::now();
        let (client, _rest, _end, next) = full_channel().await;
        let stopped = sleep(Duration::from_secs(2));
        assert!(!client.send(text(next), stopped).await);
        assert_eq!(begin.elapsed(), Duration::from_secs(2));
    }

    #[tokio::test]
    async fn panic_of_the_driver_ends_the_stream_with_an_error() {
        let mut stream = run(&[RunEventBody::text("Once")], panics());
        assert_eq!(stream.next().await.unwrap().body, RunEventBody::text("Once"));
        let last = stream.next().await.unwrap();
        assert!(is_failure(&last, 2), "{last:?}");
        assert_eq!(stream.next().await, None);
    }

    #[tokio::test]
    async fn panic_of_the_driver_ends_a_whole_answer_with_an_error() {
        let events = run(&[RunEventBody::text("Once")], panics()).collect().await;
        assert!(events.len() == 2 && is_failure(&events[1], 2), "{events:?}");
    }

    #[tokio::test]
    async fn ended_run_gets_no_second_end() {
        let events = run(&[RunEventBody::text("Once"), RunEventBody::Cancelled], async {}).collect().await;
        assert_eq!(events.last().map(|event| &event.body), Some(&RunEventBody::Cancelled));
        assert_eq!(events.len(), 2);
    }
}
