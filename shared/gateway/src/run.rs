//! Carrying a run out.
//!
//! The [`drive`](crate::drive)r has the run carried out, and sends each event to the record and to the client, through a
//! channel of limited length: a client that reads slowly slows the run. A client that goes away is noticed at once,
//! whether the run then stops or goes on.

use std::{
    collections::{HashMap, VecDeque},
    sync::{
        Arc, Mutex, MutexGuard, OnceLock, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use hearth_domain::{Generation, ModelId, OnDisconnect, Run, RunId, RunState, Timestamp, Usage};
use hearth_wire::{ApiError, ErrorCode, RunEvent, RunEventBody, event::Selected};
use tokio::sync::{Notify, mpsc};

use crate::{
    Caller, Gateway,
    cache::{CacheOutcome, Capture},
    drive::Driver,
    driver_task::DriverTask,
    error,
    record::{self, RecordTimes, Recording},
};

/// How many events may wait for the client to read them.
const CLIENT_BUFFER_EVENTS: usize = 256;

/// A run's events, as they come. Dropping it is the client's going away.
#[derive(Debug)]
pub struct RunStream {
    /// The run's id.
    pub id: RunId,
    /// What the cache had for it, if it was asked.
    pub cache: Option<CacheOutcome>,
    /// Read already, to learn how the run begins.
    pub(crate) first: VecDeque<RunEvent>,
    pub(crate) rest: mpsc::Receiver<RunEvent>,
    pub(crate) driver: DriverTask,
    pub(crate) end: EndGuard,
}

/// Sees to it that a run's events end with a terminal one. A driver that dies closes its channel without one, and a
/// client must not take that for the end of a good answer.
#[derive(Debug, Default)]
pub(crate) struct EndGuard {
    seq: u64,
    ended: bool,
    /// Why the events end before the run, if that is known.
    broken_off: Arc<OnceLock<ApiError>>,
}

/// Where a run's driver sends its client's events.
#[derive(Debug)]
pub(crate) struct EventSender {
    pub(crate) events: mpsc::Sender<RunEvent>,
    /// Why the events end before the run, if they do.
    pub(crate) broken_off: Arc<OnceLock<ApiError>>,
}

/// A channel for a client's events, and what sees to their end.
pub(crate) fn channel() -> (EventSender, mpsc::Receiver<RunEvent>, EndGuard) {
    let end = EndGuard::default();
    let (client, rest) = end.sender();
    (client, rest, end)
}

impl EndGuard {
    /// Another channel to the same client.
    pub(crate) fn sender(&self) -> (EventSender, mpsc::Receiver<RunEvent>) {
        let (events, rest) = mpsc::channel(CLIENT_BUFFER_EVENTS);
        (EventSender { events, broken_off: Arc::clone(&self.broken_off) }, rest)
    }

    /// The event, if there is one; in place of a missing terminal event an error, once.
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

/// The error of a run whose driver died.
pub(crate) fn driver_died() -> ApiError {
    let message =
        "the gateway failed in the middle of the run; send the request again, and report this if it stays";
    ApiError::new(ErrorCode::Internal, message)
}

impl RunStream {
    /// The events of its beginning: who serves it, and that it waits or has a slot.
    pub fn begun(&self) -> impl Iterator<Item = &RunEvent> {
        self.first.iter()
    }

    /// Its place in the queue, from 1, if it began by waiting there.
    #[must_use]
    pub fn queue_position(&self) -> Option<u32> {
        self.first.iter().find_map(|event| match event.body {
            RunEventBody::Queued { position } => Some(position),
            _ => None,
        })
    }

    /// Where it stands: it waits, has a slot, or has ended, since its answer was kept.
    #[must_use]
    pub fn state(&self) -> RunState {
        let started = |event: &RunEvent| matches!(event.body, RunEventBody::Started { .. });
        match self.first.back() {
            Some(last) if last.body.is_terminal() => RunState::Completed,
            _ if self.first.iter().any(started) => RunState::Running,
            _ => RunState::Queued,
        }
    }

    /// The next event; `None` after the terminal one, when the run is recorded.
    pub async fn next(&mut self) -> Option<RunEvent> {
        // The driver sends the next events while these are being written to the client.
        self.driver.detach();
        let event = match self.first.pop_front() {
            Some(event) => Some(event),
            None => self.rest.recv().await,
        };
        self.end.pass(event)
    }

    /// Every event, to the end.
    pub async fn collect(self) -> Vec<RunEvent> {
        self.collect_observed(|_| ()).await
    }

    /// Every event, to the end. `observe` is given each when it comes.
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
async fn next(events: &mut mpsc::Receiver<RunEvent>, driver: &mut DriverTask) -> Option<RunEvent> {
    tokio::select! {
        biased;
        event = events.recv() => event,
        never = driver.work() => never,
    }
}

impl Gateway {
    /// Whether a run can go on after its answer: not where the process is frozen then, as on Lambda.
    #[must_use]
    pub fn outlives_answers(&self) -> bool {
        self.0.options.long_lived
    }

    /// Waits until the records of all runs that have ended are stored; returns false if the time was too short.
    pub async fn settle(&self, timeout: Duration) -> bool {
        let settled = self.0.pending.settle(timeout).await;
        self.store().flush().await;
        settled
    }

    /// Takes no more runs, lets those that are carried out go on for `grace` at most, and then ends them. Their records
    /// keep what was answered so far.
    pub async fn stop_runs(&self, grace: Duration) {
        self.0.running.stop_all(grace).await;
    }

    /// Whether an answer that ends now waits for its record: the records are behind by more than the limit.
    pub(crate) fn records_are_late(&self) -> bool {
        self.0.pending.is_late(self.0.writer.lag())
    }

    /// Begins to record a run. `is_whole`: its client gets the whole answer at once.
    pub(crate) fn record(&self, run: Run, is_whole: bool) -> Recording {
        let times = if self.outlives_answers() { RecordTimes::OWN_STORE } else { RecordTimes::PAID_STORE };
        record::start(self.0.writer.clone(), &self.0.pending, run, times, is_whole)
    }

    /// Begins a run that a model serves; `capture` listens to it.
    pub(crate) async fn begin(
        &self,
        caller: &Caller,
        id: RunId,
        generation: Generation,
        capture: Option<Capture>,
    ) -> Result<RunStream, ApiError> {
        let candidates = self.resolve(caller, &generation).await?;
        let run = new_run(caller, id, &candidates.first().ok_or_else(nobody)?.selected);
        if self.0.running.is_stopping() {
            return Err(is_stopping());
        }
        let (client, mut events, end) = channel();
        let goes_on = generation.on_disconnect == OnDisconnect::Continue;
        let is_whole = generation.whole && !goes_on;
        let recording = self.record(run, is_whole);
        if goes_on {
            // The client may go away, and look for the run later: it must be there, whatever happens.
            recording.begin().await.map_err(error::store)?;
        }
        let driver = Driver::new(self, caller, id, generation, client, recording, capture);
        let mut driver = DriverTask::new(driver.run(candidates));
        let mut first = VecDeque::new();
        loop {
            let event = next(&mut events, &mut driver).await.ok_or_else(driver_died)?;
            if let RunEventBody::Error { error } = event.body {
                // To the end of the recording: on Lambda nothing goes on after the answer.
                while next(&mut events, &mut driver).await.is_some() {}
                return Err(error);
            }
            let begun = !matches!(event.body, RunEventBody::Selected(_) | RunEventBody::Credits { .. });
            first.push_back(event);
            if begun {
                break;
            }
        }
        // A streamed answer's head has the run's id: it can be looked for from then on. The wait has a limit: a store that
        // is down costs the record, and not the answer.
        if !is_whole {
            tokio::select! {
                () = self.0.pending.wait_begun(id) => {}
                never = driver.work() => never,
            }
        }
        Ok(RunStream { id, cache: None, first, rest: events, driver, end })
    }
}

/// The runs that are carried out here.
#[derive(Debug, Default)]
pub(crate) struct Running {
    runs: Mutex<HashMap<RunId, Arc<Notify>>>,
    /// Notified when the last one ends.
    idle: Notify,
    is_stopping: AtomicBool,
}

impl Running {
    /// Notes a run; returns what is notified when the run is to stop.
    pub(crate) fn enter(&self, id: RunId) -> Arc<Notify> {
        Arc::clone(self.runs().entry(id).or_default())
    }

    /// Forgets a run.
    pub(crate) fn leave(&self, id: RunId) {
        let mut runs = self.runs();
        runs.remove(&id);
        if runs.is_empty() {
            self.idle.notify_waiters();
        }
    }

    /// Whether the process takes no more runs.
    pub(crate) fn is_stopping(&self) -> bool {
        self.is_stopping.load(Ordering::Acquire)
    }

    /// Takes no more runs, waits for those that there are, and stops those that are left after `grace`; returns when all
    /// have ended, or after `grace` again.
    async fn stop_all(&self, grace: Duration) {
        self.is_stopping.store(true, Ordering::Release);
        if !self.wait_until_idle(grace).await {
            let left = self.runs().values().map(|run| run.notify_one()).count();
            tracing::info!(runs = left, "runs are stopped");
            self.wait_until_idle(grace).await;
        }
    }

    async fn wait_until_idle(&self, timeout: Duration) -> bool {
        let idle = async {
            loop {
                let idle = self.idle.notified();
                if self.runs().is_empty() {
                    return;
                }
                idle.await;
            }
        };
        tokio::time::timeout(timeout, idle).await.is_ok()
    }

    /// Has a run stop; whether it is carried out here.
    pub(crate) fn stop(&self, id: RunId) -> bool {
        let runs = self.runs();
        let run = runs.get(&id);
        run.inspect(|run| run.notify_one()).is_some()
    }

    fn runs(&self) -> MutexGuard<'_, HashMap<RunId, Arc<Notify>>> {
        self.runs.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A run that `selected` is to serve.
pub(crate) fn new_run(caller: &Caller, id: RunId, selected: &Selected) -> Run {
    Run {
        id,
        owner: caller.user,
        state: RunState::Queued,
        model: ModelId::new(&*selected.model),
        provider: selected.provider.clone(),
        node: selected.node,
        modality: selected.modality,
        reason: selected.reason.clone(),
        fallback_reason: selected.fallback_reason.clone(),
        queue_position: None,
        usage: Usage::default(),
        cost: None,
        finish_reason: None,
        failure: None,
        text: String::new(),
        tool_calls: Vec::new(),
        artifacts: Vec::new(),
        created_at: Timestamp::now(),
        finished_at: None,
    }
}

fn is_stopping() -> ApiError {
    ApiError::new(
        ErrorCode::Overloaded,
        "the gateway is being stopped, and takes no more requests; try again",
    )
}

/// No resolution is empty.
fn nobody() -> ApiError {
    ApiError::new(ErrorCode::NoModelAvailable, "nobody can serve the request")
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A run whose driver gives these events and then works on as `driver` does.
    fn run(bodies: &[RunEventBody], driver: impl Future<Output = ()> + Send + 'static) -> RunStream {
        let (client, rest, end) = channel();
        for (seq, body) in (1..).zip(bodies.iter().cloned()) {
            client.events.try_send(RunEvent { seq, body }).unwrap();
        }
        let driver = DriverTask::new(async move {
            driver.await;
            drop(client);
        });
        RunStream { id: RunId::new(), cache: None, first: VecDeque::new(), rest, driver, end }
    }

    fn is_failure(event: &RunEvent, seq: u64) -> bool {
        let failed =
            matches!(&event.body, RunEventBody::Error { error } if error.code == ErrorCode::Internal);
        failed && event.seq == seq
    }

    async fn die() {
        tokio::task::yield_now().await;
        panic!("the driver dies");
    }

    #[tokio::test]
    async fn a_driver_that_dies_ends_the_stream_with_an_error() {
        let mut stream = run(&[RunEventBody::text("Once")], die());
        assert_eq!(stream.next().await.unwrap().body, RunEventBody::text("Once"));
        let last = stream.next().await.unwrap();
        assert!(is_failure(&last, 2), "{last:?}");
        assert_eq!(stream.next().await, None);
    }

    #[tokio::test]
    async fn a_driver_that_dies_ends_a_whole_answer_with_an_error() {
        let events = run(&[RunEventBody::text("Once")], die()).collect().await;
        assert!(events.len() == 2 && is_failure(&events[1], 2), "{events:?}");
    }

    #[tokio::test]
    async fn a_run_that_has_ended_is_given_no_other_end() {
        let events = run(&[RunEventBody::text("Once"), RunEventBody::Cancelled], async {}).collect().await;
        assert_eq!(events.last().map(|event| &event.body), Some(&RunEventBody::Cancelled));
        assert_eq!(events.len(), 2);
    }
}
