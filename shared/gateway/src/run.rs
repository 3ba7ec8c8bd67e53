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

use futures::{
    FutureExt as _,
    future::{BoxFuture, Shared},
};
use hearth_domain::{Generation, Run, RunId, RunState, Timestamp, Usage};
use hearth_wire::{ApiError, ErrorCode, RunEvent, RunEventBody};
use tokio::sync::{Notify, mpsc, oneshot};

use crate::{Caller, Gateway, drive::Driver, record, resolve::Candidate};

/// How long whoever looks for a run, or where a process is frozen after an answer, the answer's
/// beginning, may wait for the run to be stored.
const CREATE: Duration = Duration::from_millis(250);

/// A run's events, as they come. Dropping it is the client's going away.
#[derive(Debug)]
pub struct RunStream {
    /// The run's id.
    pub id: RunId,
    /// Read already, to learn how the run begins.
    pub(crate) first: VecDeque<RunEvent>,
    pub(crate) rest: mpsc::UnboundedReceiver<RunEvent>,
}

impl RunStream {
    /// Its place in the queue, from 1, if it began by waiting there.
    #[must_use]
    pub fn queue_position(&self) -> Option<u32> {
        first_position(&self.first)
    }

    /// Where it stands: it waits, or has a slot.
    #[must_use]
    pub fn state(&self) -> RunState {
        let started = |event: &RunEvent| matches!(event.body, RunEventBody::Started { .. });
        if self.first.iter().any(started) { RunState::Running } else { RunState::Queued }
    }

    /// The next event; `None` after the terminal one, when the run is recorded.
    pub async fn next(&mut self) -> Option<RunEvent> {
        match self.first.pop_front() {
            Some(event) => Some(event),
            None => self.rest.recv().await,
        }
    }

    /// Every event, to the end.
    pub async fn collect(mut self) -> Vec<RunEvent> {
        let mut events = Vec::new();
        while let Some(event) = self.next().await {
            events.push(event);
        }
        events
    }
}

/// The first place in a queue that a run's events tell of.
pub fn first_position<'a>(events: impl IntoIterator<Item = &'a RunEvent>) -> Option<u32> {
    events.into_iter().find_map(|event| match event.body {
        RunEventBody::Queued { position } => Some(position),
        _ => None,
    })
}

impl Gateway {
    /// Whether a run can go on after its answer: not where the process is frozen then, as on Lambda.
    #[must_use]
    pub fn outlives_answers(&self) -> bool {
        self.0.options.long_lived
    }

    /// Begins a run under the id `id`. When this returns, the run waits in a queue, loads its model,
    /// or has a slot: what fails before that is an error here, and not an event.
    ///
    /// # Errors
    /// `model_not_found`, `no_model_available`, `queue_full`, `context_length_exceeded`, and what else
    /// keeps a run from beginning.
    pub async fn generate(
        &self,
        caller: &Caller,
        id: RunId,
        generation: Generation,
    ) -> Result<RunStream, ApiError> {
        let candidates = self.resolve(caller, &generation).await?;
        let candidates = self.keeping(caller, &generation, candidates);
        let run = new_run(caller, id, candidates.first().ok_or_else(nobody)?);
        let (client, mut events) = mpsc::unbounded_channel();
        let recording = record::start(self.store().clone(), run);
        let driver = Driver::new(self, id, generation, client, recording.events);
        tokio::spawn(driver.run(candidates, recording.ended));
        let mut first = VecDeque::new();
        while let Some(event) = events.recv().await {
            if let RunEventBody::Error { error } = event.body {
                // To the end of the recording: on Lambda nothing goes on after the answer.
                while events.recv().await.is_some() {}
                return Err(error);
            }
            let begun = !matches!(event.body, RunEventBody::Selected(_));
            first.push_back(event);
            if begun {
                break;
            }
        }
        // Whoever learns the id can use it: elsewhere once the run is stored, and here before.
        let created = self.0.beginning.note(id, recording.created);
        if !self.outlives_answers() {
            let _ = tokio::time::timeout(CREATE, created).await;
        }
        Ok(RunStream { id, first, rest: events })
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

/// Runs that have begun here, and aren't stored yet.
#[derive(Debug, Clone, Default)]
pub(crate) struct Beginning(Arc<Mutex<HashMap<RunId, Stored>>>);

/// Resolves when a run is stored, or can't be.
type Stored = Shared<BoxFuture<'static, ()>>;

impl Beginning {
    /// Notes a run that is about to be stored.
    fn note(&self, id: RunId, created: oneshot::Receiver<()>) -> Stored {
        let this = self.clone();
        let stored = async move {
            let _ = created.await;
            this.runs().remove(&id);
        };
        let stored = stored.boxed().shared();
        self.runs().insert(id, stored.clone());
        tokio::spawn(stored.clone());
        stored
    }

    /// Waits a little for a run that is about to be stored.
    pub(crate) async fn wait(&self, id: RunId) {
        let stored = self.runs().get(&id).cloned();
        if let Some(stored) = stored {
            let _ = tokio::time::timeout(CREATE, stored).await;
        }
    }

    fn runs(&self) -> MutexGuard<'_, HashMap<RunId, Stored>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn new_run(caller: &Caller, id: RunId, candidate: &Candidate) -> Run {
    Run {
        id,
        owner: caller.user,
        state: RunState::Queued,
        model: candidate.model.clone(),
        provider: candidate.selected.provider.clone(),
        node: candidate.node,
        modality: candidate.selected.modality,
        reason: candidate.selected.reason.clone(),
        fallback_reason: candidate.selected.fallback_reason.clone(),
        queue_position: None,
        usage: Usage::default(),
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
