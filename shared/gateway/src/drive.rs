//! The driver of a run: asks one candidate after the other until one begins to answer, and follows it to the end.
//!
//! A failure before the first piece of the answer has cost the client nothing: the same candidate is asked
//! again where that may help, then the next one. After it there is no other way than to tell, unless the request
//! lets another model [`resume`](crate::resume) the answer.

mod attempts;
mod emit;
mod limits;

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use futures::StreamExt as _;
use hearth_domain::{Generation, ModelId, OnDisconnect, RunId, Task};
use hearth_providers::{Call, Defaults, EventStream, Provider};
use hearth_wire::{ApiError, ErrorCode, RunEventBody};
use tokio::sync::Notify;

use crate::{
    Caller, Gateway,
    cache::Capture,
    circuit_breaker::Permit,
    driver_task::catch_panic,
    load,
    record::{Recording, pending::RECORD_WAIT_TIMEOUT},
    resolve::{Candidate, may_fall_back},
    resume::PartialAnswer,
    run::EventSender,
    tariff::Tariff,
};
use limits::AnswerLimits;

pub(crate) use limits::ANSWER_MAX_BYTES;

/// How long a stopped run may take to end.
const CANCEL_TIMEOUT: Duration = Duration::from_secs(10);

/// Carries out one run.
pub(crate) struct Driver {
    gateway: Gateway,
    caller: Caller,
    id: RunId,
    generation: Arc<Generation>,
    /// None for a client that reads no more.
    client: Option<EventSender>,
    recording: Recording,
    /// Keeps its answer, if that is to be kept.
    capture: Option<Capture>,
    /// Notified when the run is cancelled by its id, or the process stops.
    stop: Arc<Notify>,
    seq: u64,
    /// The answer so far, if another model may resume it.
    partial: Option<PartialAnswer>,
    /// What the whole answer may still have.
    limits: AnswerLimits,
    /// Prices of the provider that serves the run now.
    tariff: Tariff,
    /// Whether the client was told that a provider has no credit left.
    reported_exhausted: bool,
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
        client: EventSender,
        recording: Recording,
        capture: Option<Capture>,
    ) -> Self {
        let stop = gateway.0.running.enter(id);
        let (gateway, caller, partial) = (gateway.clone(), caller.clone(), PartialAnswer::of(&generation));
        let limits = AnswerLimits::new(gateway.0.options.answer_max_bytes);
        Self {
            gateway,
            caller,
            id,
            generation: Arc::new(generation),
            client: Some(client),
            recording,
            capture,
            stop,
            seq: 0,
            partial,
            limits,
            tariff: Tariff::default(),
            reported_exhausted: false,
        }
    }

    /// Carries it out. The client's events end when this does.
    pub(crate) async fn run(mut self, candidates: Vec<Candidate>) {
        let began = Instant::now();
        let recording = self.recording.clone();
        let outcome = tokio::select! {
            outcome = catch_panic(self.attempts(candidates)) => outcome,
            never = recording.work() => never,
        };
        if let Err(error) = outcome {
            tokio::select! {
                () = self.emit(RunEventBody::Error { error }) => {}
                never = recording.work() => never,
            }
        }
        metrics::histogram!("hearth_run_seconds").record(began.elapsed());
        self.gateway.0.running.leave(self.id);
        // A process that is frozen after an answer stores the answer for the cache before.
        let stored = self.capture.and_then(Capture::end).filter(|_| !self.gateway.outlives_answers());
        if let Some(stored) = stored
            && tokio::time::timeout(RECORD_WAIT_TIMEOUT, stored).await.is_err()
        {
            tracing::error!(run = %self.id, "the cache's copy of the answer is late; the answer ends without waiting for it");
        }
    }

    /// Asks a candidate once.
    async fn attempt(&mut self, candidate: &Candidate, permit: Option<&mut Permit>) -> Outcome {
        let Candidate { provider, model, selected, defaults, .. } = candidate;
        self.tariff = Tariff::of(candidate);
        self.emit(RunEventBody::Selected(selected.clone())).await;
        if let Some(spent) = &candidate.spent {
            self.send_credits(&**spent, true).await;
        }
        let mut load = self.gateway.0.load.enter(&selected.provider, model.as_str());
        let provider = self.gateway.keeping(&self.caller, &self.generation, provider);
        let outcome = match self.begin(&*provider, model.clone(), defaults).await {
            Ok(events) => {
                self.send_credits(&*provider, false).await;
                self.follow(&*provider, events, &mut load, permit).await
            }
            Err(outcome) => outcome,
        };
        if matches!(&outcome, Outcome::Failed(error) if error.code == ErrorCode::QuotaExceeded) {
            self.send_credits(&*provider, true).await;
        }
        outcome
    }

    /// Reports what is left of the provider's credit. A report of exhausted credit is not replaced by a later provider's.
    async fn send_credits(&mut self, provider: &dyn Provider, spent: bool) {
        if let Some(credits) = provider.credits().filter(|_| !self.reported_exhausted) {
            self.reported_exhausted = spent;
            self.emit(RunEventBody::Credits { provider: provider.name().to_owned(), credits }).await;
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
        self.emit(self.stopped()).await;
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
                    deadline = Some(tokio::time::Instant::now() + CANCEL_TIMEOUT);
                    continue;
                }
                () = self.stop.notified(), if deadline.is_none() => {
                    self.cancel(provider).await;
                    if self.gateway.0.running.is_stopping() {
                        self.emit(self.stopped()).await;
                        return Outcome::Ended { failure: None };
                    }
                    deadline = Some(tokio::time::Instant::now() + CANCEL_TIMEOUT);
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
                        if let Some(partial) = &mut self.partial {
                            partial.note(&event);
                        }
                    }
                    let terminal = event.is_terminal();
                    // What goes wrong with a run that is being stopped says nothing.
                    let failure = match &event {
                        RunEventBody::Error { error } if deadline.is_none() => Some(error.clone()),
                        _ => None,
                    };
                    let is_over = if terminal { None } else { self.limits.take(&event) };
                    if let Some(error) = is_over {
                        self.cancel(provider).await;
                        self.emit(RunEventBody::Error { error }).await;
                        return Outcome::Ended { failure: None };
                    }
                    self.emit(event).await;
                    if terminal {
                        return Outcome::Ended { failure };
                    }
                }
            }
        }
    }

    /// Whether another model may resume the answer.
    fn may_resume(&self, error: &ApiError) -> bool {
        may_fall_back(error.code) && self.partial.as_ref().is_some_and(PartialAnswer::can_go_on)
    }

    /// Waits for the client to go away, if that ends the run; else for ever.
    async fn client_leaves(&self) {
        match (self.generation.on_disconnect, &self.client) {
            (OnDisconnect::Cancel, Some(client)) => client.events.closed().await,
            (OnDisconnect::Cancel, None) => {}
            (OnDisconnect::Continue, _) => std::future::pending().await,
        }
    }

    /// The last event of a run that is stopped: by somebody who cancels it, or since the process ends.
    fn stopped(&self) -> RunEventBody {
        match self.gateway.0.running.is_stopping() {
            true => RunEventBody::Error { error: gateway_stopped() },
            false => RunEventBody::Cancelled,
        }
    }

    async fn cancel(&self, provider: &dyn Provider) {
        if let Err(error) = provider.cancel(self.id).await {
            tracing::warn!(run = %self.id, %error, "the run can't be stopped; its provider will notice by itself");
        }
    }
}

/// The error of a run that is cut short since the gateway is being stopped.
pub(crate) fn gateway_stopped() -> ApiError {
    let message = "the gateway was stopped in the middle of the run; its record has the answer up to there. Send the request again";
    ApiError::new(ErrorCode::NodeLost, message)
}

/// Whether an event gives the client a piece of the answer.
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
