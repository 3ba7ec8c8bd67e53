//! Has a run carried out: asks one candidate after the other until one begins to answer, and follows it to
//! the end.
//!
//! A failure before the first piece of the answer has cost the client nothing: the same candidate is asked
//! again where that may help, then the next one. After it there is no other way than to tell.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use futures::StreamExt as _;
use hearth_domain::{Generation, ModelId, OnDisconnect, RunId};
use hearth_providers::{Call, EventStream, Provider};
use hearth_wire::{ApiError, ErrorCode, RunEvent, RunEventBody};
use serde_json::{Value, json};
use tokio::{
    sync::{Notify, mpsc},
    task::JoinHandle,
};

use crate::{
    Gateway,
    health::OPEN,
    resolve::{Candidate, may_fall_back},
};

/// How long a stopped run may take to say so.
const CANCEL: Duration = Duration::from_secs(10);
/// How long a stream's end may wait for the run to be recorded.
const RECORD: Duration = Duration::from_secs(5);
/// How often the same candidate is asked again.
const RETRIES: u32 = 2;
/// The first wait before that; each further one is twice as long.
const BACKOFF: Duration = Duration::from_millis(250);
/// The longest wait that a provider may ask for, where somebody else can be asked instead.
const PATIENCE: Duration = Duration::from_secs(2);
/// And where nobody can.
const LAST_PATIENCE: Duration = Duration::from_secs(20);

/// Carries out one run.
pub(crate) struct Driver {
    gateway: Gateway,
    id: RunId,
    generation: Generation,
    client: mpsc::UnboundedSender<RunEvent>,
    recorder: mpsc::UnboundedSender<RunEvent>,
    /// Told when somebody cancels the run by its id.
    stop: Arc<Notify>,
    seq: u64,
}

/// What became of one attempt.
enum Outcome {
    /// The run has ended, and was told so.
    Ended,
    /// It failed, and the client was given nothing of an answer.
    Failed(ApiError),
}

impl Driver {
    pub(crate) fn new(
        gateway: &Gateway,
        id: RunId,
        generation: Generation,
        client: mpsc::UnboundedSender<RunEvent>,
        recorder: mpsc::UnboundedSender<RunEvent>,
    ) -> Self {
        let stop = gateway.0.running.enter(id);
        Self { gateway: gateway.clone(), id, generation, client, recorder, stop, seq: 0 }
    }

    /// Carries it out, and waits until it is recorded.
    pub(crate) async fn run(mut self, candidates: Vec<Candidate>, recorded: JoinHandle<()>) {
        let began = Instant::now();
        if let Err(error) = self.attempts(candidates).await {
            self.emit(RunEventBody::Error { error });
        }
        metrics::histogram!("hearth_run_seconds").record(began.elapsed());
        self.gateway.0.running.leave(self.id);
        // The client's stream ends when `self.client` is dropped, after the run is recorded.
        drop(self.recorder);
        if tokio::time::timeout(RECORD, recorded).await.is_err() {
            tracing::error!(run = %self.id, "the run's record is late; its stream ends without waiting for it");
        }
    }

    /// Asks the candidates in turn; why none has answered, if none has.
    async fn attempts(&mut self, candidates: Vec<Candidate>) -> Result<(), ApiError> {
        let (mut failures, mut last) = (Vec::new(), None);
        let count = candidates.len();
        for (index, mut candidate) in candidates.into_iter().enumerate() {
            let is_last = index + 1 == count;
            if let Some(ApiError { code, .. }) = &last {
                candidate.selected.fallback_used = true;
                candidate.selected.fallback_reason = Some(ErrorCode::as_str(*code).to_owned());
            }
            let error = match self.candidate(&candidate, is_last).await {
                Ok(()) => return Ok(()),
                Err(error) => error,
            };
            let selected = &candidate.selected;
            tracing::warn!(run = %self.id, provider = selected.provider, model = selected.model, %error, "a candidate can't serve a run");
            failures.push(json!({
                "provider": selected.provider, "model": selected.model, "code": error.code.as_str(),
            }));
            if !may_fall_back(error.code) {
                return Err(error);
            }
            last = Some(error);
        }
        let error = last
            .unwrap_or_else(|| ApiError::new(ErrorCode::NoModelAvailable, "nobody can serve the request"));
        Err(if failures.len() > 1 { error.with("attempts", Value::from(failures)) } else { error })
    }

    /// Asks one candidate, again where that may help.
    async fn candidate(&mut self, candidate: &Candidate, is_last: bool) -> Result<(), ApiError> {
        let mut retries = 0;
        loop {
            let error = match self.attempt(candidate).await {
                Outcome::Ended => return Ok(()),
                Outcome::Failed(error) => error,
            };
            // A node's errors are about its queue, its models, or its being there: the same again soon.
            let again = candidate.node.is_none()
                && retries < RETRIES
                && matches!(error.code, ErrorCode::ProviderError | ErrorCode::ProviderRateLimited);
            let wait = wait(&error, retries);
            if !again || wait > if is_last { LAST_PATIENCE } else { PATIENCE } {
                return Err(error);
            }
            retries += 1;
            metrics::counter!("hearth_provider_retries_total", "provider" => candidate.selected.provider.clone())
                .increment(1);
            tokio::select! {
                () = tokio::time::sleep(wait) => {}
                () = self.client_leaves() => return self.cancelled(),
                () = self.stop.notified() => return self.cancelled(),
            }
        }
    }

    fn cancelled(&mut self) -> Result<(), ApiError> {
        self.emit(RunEventBody::Cancelled);
        Ok(())
    }

    async fn attempt(&mut self, candidate: &Candidate) -> Outcome {
        let Candidate { provider, model, selected, node } = candidate;
        let health = &self.gateway.0.health;
        if node.is_none() && !health.admits(&selected.provider, model.as_str(), Instant::now()) {
            let message = format!(
                "{} has failed lately with {model}, and is left alone for a while",
                selected.provider
            );
            let error = ApiError::new(ErrorCode::ProviderError, message);
            return Outcome::Failed(error.with("retry_after_seconds", OPEN.as_secs()));
        }
        self.emit(RunEventBody::Selected(selected.clone()));
        let outcome = match self.begin(&**provider, model.clone()).await {
            Ok(events) => self.follow(&**provider, events).await,
            Err(outcome) => outcome,
        };
        if node.is_none() {
            let failed = matches!(&outcome, Outcome::Failed(error) if is_providers_fault(error.code));
            self.gateway.0.health.note(&selected.provider, model.as_str(), failed, Instant::now());
        }
        outcome
    }

    /// Calls the provider.
    async fn begin(&mut self, provider: &dyn Provider, model: ModelId) -> Result<EventStream, Outcome> {
        let call = Call { run: self.id, model, generation: self.generation.clone() };
        let stopped = tokio::select! {
            stream = provider.generate(call) => return stream.map_err(Outcome::Failed),
            () = self.client_leaves() => "the client went away",
            () = self.stop.notified() => "somebody cancelled it",
        };
        tracing::info!(run = %self.id, stopped, "the run is stopped before it has begun");
        self.cancel(provider).await;
        self.emit(RunEventBody::Cancelled);
        Err(Outcome::Ended)
    }

    async fn follow(&mut self, provider: &dyn Provider, mut events: EventStream) -> Outcome {
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
                event => {
                    answered |= is_answer(&event);
                    let terminal = event.is_terminal();
                    self.emit(event);
                    if terminal {
                        return Outcome::Ended;
                    }
                }
            }
        }
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

/// Whether a client has been given something of the answer.
fn is_answer(event: &RunEventBody) -> bool {
    matches!(
        event,
        RunEventBody::Delta { .. }
            | RunEventBody::Reasoning { .. }
            | RunEventBody::ToolCall { .. }
            | RunEventBody::ChoiceDone { .. }
            | RunEventBody::Embedding { .. }
            | RunEventBody::Artifact { .. }
            | RunEventBody::Usage { .. }
    )
}

/// Whether a failure says something about the provider, and not about the request.
fn is_providers_fault(code: ErrorCode) -> bool {
    matches!(
        code,
        ErrorCode::ProviderError
            | ErrorCode::ProviderTimeout
            | ErrorCode::ProviderRateLimited
            | ErrorCode::ProviderAuth
            | ErrorCode::QuotaExceeded
    )
}

/// How long to wait before the same is asked again: as the provider says, else twice as long each time, a
/// half more or less, so that those who wait don't come back together.
fn wait(error: &ApiError, retries: u32) -> Duration {
    let asked = error.details.get("retry_after_seconds").and_then(Value::as_u64).map(Duration::from_secs);
    asked.unwrap_or_else(|| (BACKOFF * 2_u32.pow(retries)).mul_f64(rand::random_range(0.5..1.5)))
}

async fn sleep_until(deadline: Option<tokio::time::Instant>) {
    match deadline {
        Some(deadline) => tokio::time::sleep_until(deadline).await,
        None => std::future::pending().await,
    }
}
