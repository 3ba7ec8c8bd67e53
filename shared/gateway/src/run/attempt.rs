//! One attempt of a run at one candidate: its beginning and its outcome. `follow` has the events in between.

mod follow;

use std::{sync::Arc, time::Duration};

use hearth_domain::{Delivery, ModelId, OnDisconnect, Task, Timestamp};
use hearth_providers::{Call, Defaults, EventStream, Provider};
use hearth_wire::{ApiError, ErrorCode, RunEventBody};

use super::{
    active::StopReason,
    attempt_times::AttemptTimes,
    errors::{gateway_stopped, not_begun_in_time, time_limit_reached},
    limits::AnswerLimits,
    output::RunOutput,
    pricing::CostMeter,
    schema_retry::SchemaRetry,
};
use crate::{
    access::Caller,
    nodes::EnergyUse,
    providers::{breaker::Permit, model_metrics::ModelMetrics},
    routing::Candidate,
    settings::Routing,
};

/// Timeout of the call that stops a run at its provider: shorter than the time that is left at a time limit.
const CANCEL_CALL_TIMEOUT: Duration = Duration::from_secs(4);
/// Time for which a stopped run may go on, unless its process has less.
const CANCEL_TIMEOUT: Duration = Duration::from_secs(10);

/// One run, owned by its driver: its output, and the limits of its answer. Each call of [`RunInProgress::attempt`] asks one
/// candidate once. The registry of all runs in progress is [`ActiveRuns`](super::active::ActiveRuns).
pub(super) struct RunInProgress {
    pub(super) output: RunOutput,
    pub(super) caller: Caller,
    delivery: Delivery,
    limits: AnswerLimits,
    /// The run goes on at its node when this process stops, and the next process follows it.
    goes_on_at_node: bool,
    /// The client has a report of exhausted credit.
    has_reported_exhausted: bool,
    /// Time at which the run is withdrawn from a node that hasn't begun it; none for a run that doesn't go elsewhere then.
    pub(super) withdraw_at: Option<tokio::time::Instant>,
}

/// The outcome of one attempt.
pub(super) enum Outcome {
    /// The run has ended, and its client has the terminal event. `provider_failure`: the error that counts as a failure
    /// of the provider; none after success or a cancellation, or if the gateway stopped the answer.
    Ended { provider_failure: Option<ApiError> },
    /// The attempt failed, and the client has no part of an answer.
    Failed(ApiError),
    /// The answer broke off, and another model may resume it.
    BrokenOff(ApiError),
    /// The answer doesn't fit its schema, and the next one is to be requested.
    Unfit,
}

impl Outcome {
    /// The error of the provider, if it has failed.
    fn error(&self) -> Option<&ApiError> {
        match self {
            Self::Ended { provider_failure } => provider_failure.as_ref(),
            Self::Failed(error) | Self::BrokenOff(error) => Some(error),
            Self::Unfit => None,
        }
    }
}

impl RunInProgress {
    pub(super) fn new(mut output: RunOutput, caller: Caller, delivery: Delivery) -> Self {
        output.summary.set_delivery(delivery);
        output.schema_retry = SchemaRetry::new(&output.generation, delivery);
        let limits = AnswerLimits::new(output.context.answer_max_bytes);
        Self {
            output,
            caller,
            delivery,
            limits,
            goes_on_at_node: false,
            has_reported_exhausted: false,
            withdraw_at: None,
        }
    }

    /// Asks a candidate, which the run has by `routing`, once.
    pub(super) async fn attempt(
        &mut self,
        candidate: &Candidate,
        routing: &Routing,
        permit: Option<&mut Permit>,
    ) -> Outcome {
        let Candidate { provider, model, selected, defaults, .. } = candidate;
        self.output.account.ask(candidate, &self.output.generation);
        self.output.emit(RunEventBody::Selected(selected.clone())).await;
        if let Some(exhausted) = &candidate.exhausted {
            self.send_credits(&**exhausted, true).await;
        }
        let context = Arc::clone(&self.output.context);
        let label = candidate.provider_label(routing);
        let make_metrics = || match candidate.is_named_in(routing) {
            true => ModelMetrics::new(label, model.as_str()),
            false => ModelMetrics::of_unknown_model(label),
        };
        let load = context.providers.load.begin(&candidate.account, model.as_str(), make_metrics);
        let metrics = load.metrics();
        let operation = metrics.operation(&self.output.generation.task);
        let mut times = AttemptTimes::begin(&load, operation, candidate.node.is_some(), self.delivery);
        let price = candidate.info.as_ref().and_then(|info| info.price.clone());
        let energy = candidate.energy.as_ref().map(EnergyUse::meter);
        self.output.cost_meter = CostMeter::new(price, energy, load.metrics());
        self.goes_on_at_node = provider.outlives_gateway()
            && self.output.generation.on_disconnect.outlives_client()
            // Of a file, this process alone has the first pieces.
            && !matches!(self.output.generation.task, Task::Image(_) | Task::Mesh(_))
            && !context.records.are_shared();
        let provider = context.artifacts.storing(&self.caller, &self.output.generation, provider);
        self.output.trace.begin_attempt(candidate, &self.output.generation, self.output.id);
        let outcome = match self.begin(&*provider, model.clone(), defaults).await {
            Ok(events) => {
                self.send_credits(&*provider, false).await;
                // A node generates an answer again itself.
                let holds = candidate.node.is_none() && self.output.schema_retry.is_some();
                self.follow(&*provider, events, &mut times, permit, holds).await
            }
            Err(outcome) => outcome,
        };
        if matches!(&outcome, Outcome::Failed(error) if error.code == ErrorCode::QuotaExceeded) {
            self.send_credits(&*provider, true).await;
        }
        times.end(outcome.error().map(|error| error.code));
        if let Outcome::Failed(error) | Outcome::BrokenOff(error) = &outcome {
            self.output.trace.fail_attempt(error);
        }
        outcome
    }

    /// Waits for the client to go away, if that ends the run; else for ever.
    pub(super) async fn client_leaves(&self) {
        match (self.output.generation.on_disconnect, &self.output.client) {
            (OnDisconnect::Cancel, Some(client)) => client.events.closed().await,
            (OnDisconnect::Cancel, None) => {}
            // The stop watch ends a run that nobody reads for too long.
            (OnDisconnect::Continue | OnDisconnect::ContinueFor(_), _) => std::future::pending().await,
        }
    }

    /// The terminal event of a run that is stopped: by a cancellation, or at the end of the process.
    pub(super) fn stop_event(&self) -> RunEventBody {
        match self.output.stop.reason() {
            Some(StopReason::Cancelled) => RunEventBody::Cancelled,
            Some(StopReason::TimeLimit) => RunEventBody::Error { error: time_limit_reached() },
            _ if self.output.context.active.is_stopping() => RunEventBody::Error { error: gateway_stopped() },
            _ => RunEventBody::Cancelled,
        }
    }

    /// True if the run is stopped for its process' sake, which leaves no time to wait for the provider's last events.
    fn must_end_now(&self) -> bool {
        self.output.stop.must_end_now() || self.output.context.active.is_stopping()
    }

    /// The time up to which a run that is being stopped may go on.
    fn cancel_deadline(&self) -> tokio::time::Instant {
        let left = self.output.generation.deadline.map(|deadline| Timestamp::now().until(deadline));
        tokio::time::Instant::now() + left.map_or(CANCEL_TIMEOUT, |left| left.min(CANCEL_TIMEOUT))
    }

    /// Reports the provider's credit. A report of exhausted credit is not replaced by a later provider's.
    async fn send_credits(&mut self, provider: &dyn Provider, is_exhausted: bool) {
        if let Some(credits) = provider.credits().filter(|_| !self.has_reported_exhausted) {
            self.has_reported_exhausted = is_exhausted;
            self.output.emit(RunEventBody::Credits { provider: provider.name().to_owned(), credits }).await;
        }
    }

    /// Sends the request to the provider.
    async fn begin(
        &mut self,
        provider: &dyn Provider,
        model: ModelId,
        defaults: &Defaults,
    ) -> Result<EventStream, Outcome> {
        let mut generation = Arc::clone(&self.output.generation);
        if *defaults != Defaults::default()
            && let Task::Text(task) = &mut Arc::make_mut(&mut generation).task
        {
            defaults.complete(task);
        }
        let trace = self.output.trace.context();
        let call = Call { run: self.output.id, model, generation, delivery: self.delivery, trace };
        let reason = tokio::select! {
            stream = provider.generate(call) => return stream.map_err(Outcome::Failed),
            () = sleep_until(self.withdraw_at), if self.withdraw_at.is_some() => {
                self.cancel(provider).await;
                return Err(Outcome::Failed(not_begun_in_time()));
            }
            () = self.client_leaves() => "the client went away",
            () = self.output.stop.received() => "it was cancelled",
        };
        if self.is_left_to_its_node() {
            return Err(self.leave_to_node().await);
        }
        tracing::info!(run = %self.output.id, trace_id = self.output.trace.id(), reason, "the run is stopped before it has begun");
        self.cancel(provider).await;
        self.output.emit(self.stop_event()).await;
        Err(Outcome::Ended { provider_failure: None })
    }

    /// True if this process stops, and the run's node goes on.
    fn is_left_to_its_node(&self) -> bool {
        self.goes_on_at_node && self.output.stop.reason() == Some(StopReason::ProcessStops)
    }

    /// Leaves the run open for the next process.
    async fn leave_to_node(&mut self) -> Outcome {
        tracing::info!(run = %self.output.id, trace_id = self.output.trace.id(), "the run goes on at its node while the gateway restarts");
        self.output.leave().await;
        Outcome::Ended { provider_failure: None }
    }

    async fn cancel(&self, provider: &dyn Provider) {
        let id = self.output.id;
        match tokio::time::timeout(CANCEL_CALL_TIMEOUT, provider.cancel(id)).await {
            Ok(Ok(_)) => {}
            Ok(Err(error)) => {
                tracing::warn!(run = %id, trace_id = self.output.trace.id(), %error, "the run can't be stopped; its provider will notice by itself");
            }
            Err(_) => {
                tracing::warn!(run = %id, trace_id = self.output.trace.id(), "the provider is slow to stop a run; it will notice by itself");
            }
        }
    }
}

async fn sleep_until(deadline: Option<tokio::time::Instant>) {
    match deadline {
        Some(deadline) => tokio::time::sleep_until(deadline).await,
        None => std::future::pending().await,
    }
}
