//! Has a run carried out: asks one candidate after the other until one begins to answer, and follows it to
//! the end.
//!
//! A failure before the first piece of the answer has cost the client nothing: the same candidate is asked
//! again where that may help, then the next one. After it there is no other way than to tell, unless the request
//! lets another model [`resume`](crate::resume) the answer.

mod attempts;
mod telling;

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use futures::{StreamExt as _, future::OptionFuture};
use hearth_domain::{Generation, ModelId, OnDisconnect, RunId, Task};
use hearth_providers::{Call, Defaults, EventStream, Provider};
use hearth_wire::{ApiError, ErrorCode, RunEvent, RunEventBody};
use tokio::sync::{Notify, mpsc};

use crate::{
    Caller, Gateway,
    cache::Capture,
    circuit_breaker::Permit,
    driving::catch_panic,
    load,
    record::{Recording, behind::RECORD},
    resolve::{Candidate, may_fall_back},
    resume::Said,
    tariff::Tariff,
};

/// How long a stopped run may take to say so.
const CANCEL: Duration = Duration::from_secs(10);
/// With more runs than this to be recorded, answers wait for their records.
pub(crate) const BACKLOG: usize = 10_000;

/// Carries out one run.
pub(crate) struct Driver {
    gateway: Gateway,
    caller: Caller,
    id: RunId,
    generation: Arc<Generation>,
    client: mpsc::UnboundedSender<RunEvent>,
    recording: Arc<Recording>,
    /// Keeps its answer, if that is to be kept.
    capture: Option<Capture>,
    /// Told when somebody cancels the run by its id.
    stop: Arc<Notify>,
    seq: u64,
    /// What the client was given, if another model may go on with it.
    said: Option<Said>,
    /// What whoever is asked takes.
    tariff: Tariff,
    /// Whether the client was told that a provider has no credit left.
    told_spent: bool,
}

/// What became of one attempt.
enum Outcome {
    /// The run has ended, and its client was told so: well, by a cancellation, or with `failure`.
    Ended { failure: Option<ApiError> },
    /// It failed, and the client was given nothing of an answer.
    Failed(ApiError),
    /// It failed, and another model may go on with what the client was given.
    BrokenOff(ApiError),
}

impl Driver {
    pub(crate) fn new(
        gateway: &Gateway,
        caller: &Caller,
        id: RunId,
        generation: Generation,
        client: mpsc::UnboundedSender<RunEvent>,
        recording: Recording,
        capture: Option<Capture>,
    ) -> Self {
        let stop = gateway.0.running.enter(id);
        let (gateway, caller, said) = (gateway.clone(), caller.clone(), Said::of(&generation));
        let (recording, tariff) = (Arc::new(recording), Tariff::default());
        Self {
            gateway,
            caller,
            id,
            generation: Arc::new(generation),
            client,
            recording,
            capture,
            stop,
            seq: 0,
            said,
            tariff,
            told_spent: false,
        }
    }

    /// Carries it out. Where the process is frozen after an answer, this waits until it is recorded.
    pub(crate) async fn run(mut self, candidates: Vec<Candidate>) {
        let began = Instant::now();
        let recording = Arc::clone(&self.recording);
        let outcome = tokio::select! {
            outcome = catch_panic(self.attempts(candidates)) => outcome,
            never = recording.begin_late() => never,
        };
        if let Err(error) = outcome {
            self.emit(RunEventBody::Error { error });
        }
        metrics::histogram!("hearth_run_seconds").record(began.elapsed());
        self.gateway.0.running.leave(self.id);
        let recorded = recording.end();
        let kept = self.capture.and_then(Capture::end);
        let behind = &self.gateway.0.behind;
        behind.told(self.id);
        // The client's stream ends when `self.client` is dropped.
        if self.gateway.outlives_answers() && behind.len() <= BACKLOG {
            return;
        }
        let recorded = async { tokio::join!(OptionFuture::from(recorded), OptionFuture::from(kept)) };
        if tokio::time::timeout(RECORD, recorded).await.is_err() {
            tracing::error!(run = %self.id, "the run's record is late; its stream ends without waiting for it");
        }
    }

    /// Asks a candidate once.
    async fn attempt(&mut self, candidate: &Candidate, permit: Option<&mut Permit>) -> Outcome {
        let Candidate { provider, model, selected, defaults, .. } = candidate;
        self.tariff = Tariff::of(candidate);
        self.emit(RunEventBody::Selected(selected.clone()));
        if let Some(spent) = &candidate.spent {
            self.tell_credits(&**spent, true);
        }
        let mut load = self.gateway.0.load.enter(&selected.provider, model.as_str());
        let provider = self.gateway.keeping(&self.caller, &self.generation, provider);
        let outcome = match self.begin(&*provider, model.clone(), defaults).await {
            Ok(events) => {
                self.tell_credits(&*provider, false);
                self.follow(&*provider, events, &mut load, permit).await
            }
            Err(outcome) => outcome,
        };
        if matches!(&outcome, Outcome::Failed(error) if error.code == ErrorCode::QuotaExceeded) {
            self.tell_credits(&*provider, true);
        }
        outcome
    }

    /// Tells what is left of the provider's credit. That one has none left isn't told over by another's.
    fn tell_credits(&mut self, provider: &dyn Provider, spent: bool) {
        if let Some(credits) = provider.credits().filter(|_| !self.told_spent) {
            self.told_spent = spent;
            self.emit(RunEventBody::Credits { provider: provider.name().to_owned(), credits });
        }
    }

    /// Calls the provider.
    async fn begin(
        &mut self,
        provider: &dyn Provider,
        model: ModelId,
        defaults: &Defaults,
    ) -> Result<EventStream, Outcome> {
        let mut generation = Arc::clone(&self.generation);
        if *defaults != Defaults::default()
            && let Task::Text(task) = &mut Arc::make_mut(&mut generation).task
        {
            defaults.complete(task);
        }
        let call = Call { run: self.id, model, generation };
        let stopped = tokio::select! {
            stream = provider.generate(call) => return stream.map_err(Outcome::Failed),
            () = self.client_leaves() => "the client went away",
            () = self.stop.notified() => "somebody cancelled it",
        };
        tracing::info!(run = %self.id, stopped, "the run is stopped before it has begun");
        self.cancel(provider).await;
        self.emit(RunEventBody::Cancelled);
        Err(Outcome::Ended { failure: None })
    }

    async fn follow(
        &mut self,
        provider: &dyn Provider,
        mut events: EventStream,
        load: &mut load::Call,
        mut permit: Option<&mut Permit>,
    ) -> Outcome {
        let (mut deadline, mut answered) = (None, false);
        loop {
            let next = tokio::select! {
                next = events.next() => next,
                () = self.client_leaves(), if deadline.is_none() => {
                    tracing::info!(run = %self.id, "the client went away; the run is stopped");
                    self.cancel(provider).await;
                    deadline = Some(tokio::time::Instant::now() + CANCEL);
                    continue;
                }
                () = self.stop.notified(), if deadline.is_none() => {
                    self.cancel(provider).await;
                    deadline = Some(tokio::time::Instant::now() + CANCEL);
                    continue;
                }
                () = sleep_until(deadline) => Some(RunEventBody::Cancelled),
            };
            let event = next.unwrap_or_else(|| RunEventBody::Error {
                error: ApiError::new(ErrorCode::ProviderError, "the provider's stream broke off"),
            });
            match event {
                RunEventBody::Error { error } if !answered && deadline.is_none() => {
                    return Outcome::Failed(error);
                }
                RunEventBody::Error { error } if self.may_resume(&error) && deadline.is_none() => {
                    return Outcome::BrokenOff(error);
                }
                event => {
                    if let Some(permit) = &mut permit
                        && (is_answer(&event) || matches!(event, RunEventBody::Done { .. }))
                    {
                        permit.note_answer();
                    }
                    if is_answer(&event) {
                        answered = true;
                        load.answered();
                        if let Some(said) = &mut self.said {
                            said.note(&event);
                        }
                    }
                    let terminal = event.is_terminal();
                    // What goes wrong with a run that is being stopped says nothing.
                    let failure = match &event {
                        RunEventBody::Error { error } if deadline.is_none() => Some(error.clone()),
                        _ => None,
                    };
                    self.emit(event);
                    if terminal {
                        return Outcome::Ended { failure };
                    }
                }
            }
        }
    }

    /// Whether another model may go on with what the client was given.
    fn may_resume(&self, error: &ApiError) -> bool {
        may_fall_back(error.code) && self.said.as_ref().is_some_and(Said::can_go_on)
    }

    /// Waits for the client to go away, if that ends the run; else for ever.
    async fn client_leaves(&self) {
        match self.generation.on_disconnect {
            OnDisconnect::Cancel => self.client.closed().await,
            OnDisconnect::Continue => std::future::pending().await,
        }
    }

    async fn cancel(&self, provider: &dyn Provider) {
        if let Err(error) = provider.cancel(self.id).await {
            tracing::warn!(run = %self.id, %error, "the run can't be stopped; its provider will notice by itself");
        }
    }
}

/// Whether a client has been given something of the answer.
fn is_answer(event: &RunEventBody) -> bool {
    matches!(
        event,
        RunEventBody::Delta { .. }
            | RunEventBody::Refusal { .. }
            | RunEventBody::Reasoning { .. }
            | RunEventBody::ToolCall { .. }
            | RunEventBody::ChoiceDone { .. }
            | RunEventBody::Embedding { .. }
            | RunEventBody::Artifact { .. }
            | RunEventBody::Usage { .. }
            | RunEventBody::Cost { .. }
    )
}

async fn sleep_until(deadline: Option<tokio::time::Instant>) {
    match deadline {
        Some(deadline) => tokio::time::sleep_until(deadline).await,
        None => std::future::pending().await,
    }
}
