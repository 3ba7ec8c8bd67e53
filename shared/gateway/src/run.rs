//! Carrying a run out.
//!
//! A task of its own, the [`drive`](crate::drive)r, has the run carried out, and gives each event to the
//! recorder and to the client. So a client that goes away is noticed at once, whether the run then
//! stops or goes on; and what the client reads never waits for the store.

use std::{
    collections::{HashMap, VecDeque},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use hearth_domain::{Generation, ModelId, Run, RunId, RunState, Timestamp, Usage};
use hearth_wire::{ApiError, ErrorCode, RunEvent, RunEventBody, event::Selected};
use tokio::sync::{Notify, mpsc};

use crate::{
    Caller, Gateway,
    cache::{CacheOutcome, Capture},
    drive::Driver,
    driving::Driving,
    record,
    record::together::Together,
};

/// A run's events, as they come. Dropping it is the client's going away.
#[derive(Debug)]
pub struct RunStream {
    /// The run's id.
    pub id: RunId,
    /// What the cache had for it, if it was asked.
    pub cache: Option<CacheOutcome>,
    /// Read already, to learn how the run begins.
    pub(crate) first: VecDeque<RunEvent>,
    pub(crate) rest: mpsc::UnboundedReceiver<RunEvent>,
    pub(crate) driving: Driving,
    pub(crate) end: EndGuard,
}

/// Sees to it that a run's events end with a terminal one. A driver that dies closes its channel without one, and a
/// client must not take that for the end of a good answer.
#[derive(Debug, Default)]
pub(crate) struct EndGuard {
    seq: u64,
    ended: bool,
}

impl EndGuard {
    /// The event, if there is one; in place of a missing terminal event an error, once.
    fn pass(&mut self, event: Option<RunEvent>) -> Option<RunEvent> {
        let event = match event {
            None if self.ended => return None,
            None => RunEvent { seq: self.seq + 1, body: RunEventBody::Error { error: driver_died() } },
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
        // Whoever reads piece by piece may be slow, and the run doesn't wait for that.
        self.driving.alone();
        let event = match self.first.pop_front() {
            Some(event) => Some(event),
            None => self.rest.recv().await,
        };
        self.end.pass(event)
    }

    /// Every event, to the end.
    pub async fn collect(mut self) -> Vec<RunEvent> {
        let mut events = Vec::new();
        loop {
            let event = match self.first.pop_front() {
                Some(event) => Some(event),
                None => next(&mut self.rest, &mut self.driving).await,
            };
            match self.end.pass(event) {
                Some(event) => events.push(event),
                None => return events,
            }
        }
    }
}

/// The next event, which the driver is worked for.
async fn next(events: &mut mpsc::UnboundedReceiver<RunEvent>, driving: &mut Driving) -> Option<RunEvent> {
    tokio::select! {
        biased;
        event = events.recv() => event,
        never = driving.work() => never,
    }
}

impl Gateway {
    /// Whether a run can go on after its answer: not where the process is frozen then, as on Lambda.
    #[must_use]
    pub fn outlives_answers(&self) -> bool {
        self.0.options.long_lived
    }

    /// Waits until what has been answered is recorded too, at most so long; whether it is.
    pub async fn settle(&self, patience: Duration) -> bool {
        self.0.behind.settle(patience).await
    }

    /// Who writes runs down together, where the process goes on after an answer.
    pub(crate) fn together(&self) -> Option<Together> {
        let start = || Together::start(self.store().clone(), self.0.behind.clone());
        self.outlives_answers().then(|| self.0.together.get_or_init(start).clone())
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
        let (client, mut events) = mpsc::unbounded_channel();
        // A node's run is stored at its beginning: the node may carry it on when this process is gone.
        let together = if run.node.is_none() { self.together() } else { None };
        let recording = record::start(self.store().clone(), run, &self.0.behind, together, generation.whole);
        let driver = Driver::new(self, caller, id, generation, client, recording, capture);
        let mut driving = Driving::new(driver.run(candidates));
        let mut first = VecDeque::new();
        loop {
            let event = next(&mut events, &mut driving).await.ok_or_else(driver_died)?;
            if let RunEventBody::Error { error } = event.body {
                // To the end of the recording: on Lambda nothing goes on after the answer.
                while next(&mut events, &mut driving).await.is_some() {}
                return Err(error);
            }
            let begun = !matches!(event.body, RunEventBody::Selected(_) | RunEventBody::Credits { .. });
            first.push_back(event);
            if begun {
                break;
            }
        }
        // Whoever learns the id can use it: elsewhere once the run is stored, and here before.
        if !self.outlives_answers() {
            self.0.behind.created(id).await;
        }
        Ok(RunStream { id, cache: None, first, rest: events, driving, end: EndGuard::default() })
    }
}

/// The runs that are carried out here.
#[derive(Debug, Default)]
pub(crate) struct Running(Mutex<HashMap<RunId, Arc<Notify>>>);

impl Running {
    /// Notes a run; what it gives is told when the run is to stop.
    pub(crate) fn enter(&self, id: RunId) -> Arc<Notify> {
        Arc::clone(self.runs().entry(id).or_default())
    }

    /// Forgets a run.
    pub(crate) fn leave(&self, id: RunId) {
        self.runs().remove(&id);
    }

    /// Has a run stop; whether it is carried out here.
    pub(crate) fn stop(&self, id: RunId) -> bool {
        let runs = self.runs();
        let run = runs.get(&id);
        run.inspect(|run| run.notify_one()).is_some()
    }

    fn runs(&self) -> MutexGuard<'_, HashMap<RunId, Arc<Notify>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
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

/// No resolution is empty.
fn nobody() -> ApiError {
    ApiError::new(ErrorCode::NoModelAvailable, "nobody can serve the request")
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A run whose driver gives these events and then works on as `driver` does.
    fn run(bodies: &[RunEventBody], driver: impl Future<Output = ()> + Send + 'static) -> RunStream {
        let (client, rest) = mpsc::unbounded_channel();
        for (seq, body) in (1..).zip(bodies.iter().cloned()) {
            client.send(RunEvent { seq, body }).unwrap();
        }
        let driving = Driving::new(async move {
            driver.await;
            drop(client);
        });
        RunStream {
            id: RunId::new(),
            cache: None,
            first: VecDeque::new(),
            rest,
            driving,
            end: EndGuard::default(),
        }
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
