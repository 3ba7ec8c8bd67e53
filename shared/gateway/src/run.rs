//! Carrying a run out.
//!
//! A task of its own, the driver, reads the provider's stream, numbers the events, gives each to the
//! recorder and to the client. So a client that goes away is noticed at once, whether the run then
//! stops or goes on; and what the client reads never waits for the store.

use std::{
    collections::{HashMap, VecDeque},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use futures::{
    FutureExt as _, StreamExt as _,
    future::{BoxFuture, Shared},
};
use hearth_domain::{Generation, OnDisconnect, Run, RunId, RunState, Timestamp, Usage};
use hearth_providers::{Call, EventStream, Provider};
use hearth_wire::{ApiError, ErrorCode, RunEvent, RunEventBody};
use tokio::{
    sync::{mpsc, oneshot},
    task::JoinHandle,
};

use crate::{Caller, Gateway, record, resolve::Candidate};

/// How long whoever looks for a run, or where a process is frozen after an answer, the answer's
/// beginning, may wait for the run to be stored.
const CREATE: Duration = Duration::from_millis(250);
/// How long a stopped run may take to say so.
const CANCEL: Duration = Duration::from_secs(10);
/// How long a stream's end may wait for the run to be recorded.
const RECORD: Duration = Duration::from_secs(5);

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
        let candidate = self.resolve(caller, &generation).await?;
        let run = new_run(caller, id, &candidate);
        let (client, mut events) = mpsc::unbounded_channel();
        let recording = record::start(self.store().clone(), run);
        let recorder = recording.events;
        let driver = Driver { id, provider: candidate.provider, client, recorder, seq: 0 };
        let call = Call { run: id, model: candidate.model, generation };
        let selected = RunEventBody::Selected(candidate.selected);
        tokio::spawn(driver.run(call, selected, recording.ended));
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
        created_at: Timestamp::now(),
        finished_at: None,
    }
}

struct Driver {
    id: RunId,
    provider: Arc<dyn Provider>,
    client: mpsc::UnboundedSender<RunEvent>,
    recorder: mpsc::UnboundedSender<RunEvent>,
    seq: u64,
}

impl Driver {
    async fn run(mut self, call: Call, selected: RunEventBody, recorded: JoinHandle<()>) {
        let began = std::time::Instant::now();
        let stop_with_client = call.generation.on_disconnect == OnDisconnect::Cancel;
        self.emit(selected);
        match self.begin(call, stop_with_client).await {
            Ok(events) => self.follow(events, stop_with_client).await,
            Err(last) => self.emit(last),
        }
        metrics::histogram!("hearth_run_seconds").record(began.elapsed());
        // The client's stream ends when `self.client` is dropped, after the run is recorded.
        drop(self.recorder);
        if tokio::time::timeout(RECORD, recorded).await.is_err() {
            tracing::error!(run = %self.id, "the run's record is late; its stream ends without waiting for it");
        }
    }

    /// Calls the provider; the terminal event if that comes to nothing.
    async fn begin(&self, call: Call, stop_with_client: bool) -> Result<EventStream, RunEventBody> {
        tokio::select! {
            stream = self.provider.generate(call) => stream.map_err(|error| RunEventBody::Error { error }),
            () = self.client.closed(), if stop_with_client => {
                self.cancel().await;
                Err(RunEventBody::Cancelled)
            }
        }
    }

    async fn follow(&mut self, mut events: EventStream, stop_with_client: bool) {
        let mut deadline = None;
        loop {
            let next = tokio::select! {
                next = events.next() => next,
                () = self.client.closed(), if stop_with_client && deadline.is_none() => {
                    tracing::info!(run = %self.id, "the client went away; the run is stopped");
                    self.cancel().await;
                    deadline = Some(tokio::time::Instant::now() + CANCEL);
                    continue;
                }
                () = sleep_until(deadline) => Some(RunEventBody::Cancelled),
            };
            let last = next.unwrap_or_else(|| RunEventBody::Error {
                error: ApiError::new(ErrorCode::ProviderError, "the provider's stream broke off"),
            });
            let terminal = last.is_terminal();
            self.emit(last);
            if terminal {
                return;
            }
        }
    }

    async fn cancel(&self) {
        if let Err(error) = self.provider.cancel(self.id).await {
            tracing::warn!(run = %self.id, %error, "the run can't be stopped; its provider will notice by itself");
        }
    }

    fn emit(&mut self, body: RunEventBody) {
        self.seq += 1;
        if let RunEventBody::Usage { usage } = &body {
            metrics::counter!("hearth_prompt_tokens_total").increment(u64::from(usage.prompt_tokens));
            metrics::counter!("hearth_completion_tokens_total").increment(u64::from(usage.completion_tokens));
        }
        let event = RunEvent { seq: self.seq, body };
        // Either may be gone: the client by its own will, the recorder after a terminal event.
        // Vectors aren't recorded: those of one request fill hundreds of items.
        if !matches!(event.body, RunEventBody::Embedding { .. }) {
            let _ = self.recorder.send(event.clone());
        }
        let _ = self.client.send(event);
    }
}

async fn sleep_until(deadline: Option<tokio::time::Instant>) {
    match deadline {
        Some(deadline) => tokio::time::sleep_until(deadline).await,
        None => std::future::pending().await,
    }
}
