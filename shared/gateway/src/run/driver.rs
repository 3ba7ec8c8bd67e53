//! The driver of a run: asks one candidate after the other until one answers.
//!
//! A failure before the first piece of the answer costs the client nothing: the same candidate is retried where that may
//! help, then the next one is asked. A later failure goes to the client, unless the request lets another model
//! [`resume`](super::resume) the answer.

use std::{collections::VecDeque, sync::Arc, time::Instant};

use hearth_domain::{Delivery, RunId};
use hearth_wire::{ApiError, ErrorCode, RunEventBody};
use serde_json::{Value, json};

use super::{
    attempt::{Outcome, RunInProgress},
    context::RunContext,
    driver_task::catch_panic,
    home::RunPlan,
    output::RunOutput,
    retry,
    stop_watch::StopWatch,
};
use crate::{
    access::Caller,
    configuration::RoutingSnapshot,
    in_place::pin_in_place,
    providers::breaker::Permit,
    routing::{Candidate, may_fall_back},
};

/// Value of the label `code` of `hearth_fallbacks_total` for a candidate whose circuit is open.
const CIRCUIT_OPEN: &str = "circuit_open";

/// Drives one run.
pub(super) struct Driver {
    pub(super) run: RunInProgress,
    /// The routing that the run follows.
    pub(super) routing: Arc<RoutingSnapshot>,
    /// When its caller and routing were read.
    pub(super) renewed_at: tokio::time::Instant,
}

/// Removes a run from the registry of those in progress.
struct ActiveGuard {
    context: Arc<RunContext>,
    id: RunId,
}

impl Drop for ActiveGuard {
    fn drop(&mut self) {
        self.context.active.leave(self.id);
    }
}

/// The candidates that weren't asked yet.
#[derive(Default)]
pub(super) struct Remaining {
    /// The next ones, in order.
    next: VecDeque<Candidate>,
    /// Candidates with open circuits: they are asked if all others have failed.
    pub(super) suspended: VecDeque<Candidate>,
    /// The failure, or the open circuit, that the next one is a fallback for.
    in_place_of: Option<ErrorCode>,
    /// Free alternatives for a provider without credit were added, or may not be.
    has_free_alternatives: bool,
}

impl Remaining {
    /// The candidates of a run that no node has served, for this reason. No free alternative is added: it may be a node.
    pub(super) fn in_place_of_nodes(candidates: Vec<Candidate>, code: ErrorCode) -> Self {
        Self {
            next: candidates.into(),
            in_place_of: Some(code),
            has_free_alternatives: true,
            ..Self::default()
        }
    }
}

/// The outcome of a request for a circuit breaker's permit.
enum PermitOutcome {
    /// The candidate may be called. Without a permit if it is a node's: nodes have no circuits.
    Granted(Option<Permit>),
    /// The circuit is open, and other candidates come first.
    Suspended,
    /// The client went away, or the run was cancelled.
    Stopped,
}

impl Driver {
    pub(super) fn new(
        output: RunOutput,
        caller: Caller,
        routing: Arc<RoutingSnapshot>,
        delivery: Delivery,
    ) -> Self {
        let run = RunInProgress::new(output, caller, delivery);
        Self { run, routing, renewed_at: tokio::time::Instant::now() }
    }

    /// Drives the run to its end, where the client's events end too.
    pub(super) async fn run(mut self, plan: RunPlan) {
        let recording = self.run.output.recording.clone();
        let stop_watch = StopWatch::new(&self.run.output, &self.run.caller);
        // A panic that isn't caught below leaves no run in the registry.
        let active = ActiveGuard { context: Arc::clone(&self.run.output.context), id: self.run.output.id };
        let carried_out = pin_in_place(|| self.carry_out(plan));
        let result = tokio::select! {
            result = catch_panic(carried_out) => result,
            // These work meanwhile, and never return: the one writes the record.
            never = recording.work() => never,
            never = stop_watch.watch() => never,
        };
        if let Err(error) = result {
            tokio::select! {
                () = self.run.output.emit(RunEventBody::Error { error }) => {}
                never = recording.work() => never,
            }
        }
        let RunOutput { capture, trace, client, account, .. } = self.run.output;
        // The request's last span but one ends before its client sees the end: a function is frozen after that.
        drop(trace);
        // Boxed: the future of a settlement is large, and most runs have no budget.
        pin_in_place(|| account.settle()).await;
        drop(active);
        if let Some(capture) = capture {
            capture.finish().await;
        }
        drop(client);
    }

    async fn carry_out(&mut self, plan: RunPlan) -> Result<(), ApiError> {
        match plan {
            RunPlan::Ask(candidates) => {
                let next = candidates.into();
                self.ask_candidates(Remaining { next, ..Remaining::default() }).await
            }
            // Boxed: few runs wait for a node.
            RunPlan::Home(plan) => Box::pin(self.ask_home(plan)).await,
        }
    }

    /// Asks the candidates in turn; returns the error of the last one that could serve the request, if none has answered.
    pub(super) async fn ask_candidates(&mut self, mut remaining: Remaining) -> Result<(), ApiError> {
        let (mut failures, mut last) = (Vec::new(), None);
        while let Some((mut candidate, was_suspended)) =
            self.next_candidate(&mut remaining, last.as_ref()).await
        {
            let is_last = remaining.next.is_empty() && remaining.suspended.is_empty();
            let result = match self.request_permit(&candidate, was_suspended).await {
                Ok(PermitOutcome::Granted(permit)) => {
                    let output = &mut self.run.output;
                    if let Some(partial) = output.partial.as_ref().filter(|partial| partial.has_begun()) {
                        candidate.selected.resumed = true;
                        output.generation = Arc::new(partial.continuation(&output.generation));
                    }
                    self.ask(&candidate, permit, is_last).await
                }
                Ok(PermitOutcome::Suspended) => {
                    count_fallback(candidate.provider_label(&self.routing), CIRCUIT_OPEN);
                    self.run.output.trace.fall_back(&candidate, CIRCUIT_OPEN);
                    remaining.in_place_of.get_or_insert(ErrorCode::ProviderError);
                    remaining.suspended.push_back(candidate);
                    continue;
                }
                Ok(PermitOutcome::Stopped) => return self.emit_stop().await,
                Err(error) => Err(error),
            };
            let Err(error) = result else { return Ok(()) };
            let (selected, code) = (&candidate.selected, error.code.as_str());
            // Without the message: providers quote the request, and a log contains no prompt.
            let status = error.details.get("provider_status").and_then(Value::as_u64);
            tracing::warn!(run = %self.run.output.id, trace_id = self.run.output.trace.id(), provider = selected.provider, model = selected.model.as_str(), code, status, "a candidate can't serve a run");
            failures.push(json!({"provider": selected.provider, "model": selected.model, "code": code}));
            // The request was valid for the first choice: that a fallback can't serve it says less than the first failure.
            if error.code == ErrorCode::InvalidRequest && last.is_some() {
                continue;
            }
            if !may_fall_back(error.code) {
                return Err(error);
            }
            count_fallback(candidate.provider_label(&self.routing), code);
            self.run.output.trace.fall_back(&candidate, code);
            remaining.in_place_of = Some(error.code);
            last = Some(error);
        }
        let error = last
            .unwrap_or_else(|| ApiError::new(ErrorCode::NoModelAvailable, "no model can serve the request"));
        Err(if failures.len() > 1 { error.with("attempts", Value::from(failures)) } else { error })
    }

    /// The next candidate; true if it was suspended: its circuit was open when its turn came, so it is asked after all
    /// others have failed. `last`: the failure of the candidate before.
    async fn next_candidate(
        &self,
        remaining: &mut Remaining,
        last: Option<&ApiError>,
    ) -> Option<(Candidate, bool)> {
        let out_of_credit = last.is_some_and(|error| error.code == ErrorCode::QuotaExceeded);
        if remaining.next.is_empty()
            && out_of_credit
            && !std::mem::replace(&mut remaining.has_free_alternatives, true)
        {
            let RunInProgress { output, caller, .. } = &self.run;
            let free =
                output.context.router.free_alternatives(&self.routing, caller, &output.generation).await;
            remaining.next.extend(free);
        }
        match (remaining.next.pop_front(), remaining.in_place_of) {
            (Some(candidate), None) => Some((candidate, false)),
            (Some(candidate), Some(code)) => Some((candidate.in_place_of(code), false)),
            (None, _) => remaining.suspended.pop_front().map(|candidate| (candidate, true)),
        }
    }

    /// Requests a permit of the candidate's circuit breaker. A candidate that `was_suspended` isn't suspended again: it
    /// waits until it may be a probe.
    async fn request_permit(
        &self,
        candidate: &Candidate,
        was_suspended: bool,
    ) -> Result<PermitOutcome, ApiError> {
        if candidate.node.is_some() {
            return Ok(PermitOutcome::Granted(None));
        }
        let (account, model) = (candidate.account.as_str(), candidate.model.as_str());
        let breakers = &self.run.output.context.providers.breakers;
        if !was_suspended {
            let permit = breakers.try_acquire(account, model, Instant::now());
            return Ok(permit.map_or(PermitOutcome::Suspended, |permit| PermitOutcome::Granted(Some(permit))));
        }
        tokio::select! {
            permit = breakers.acquire(account, model) => Ok(PermitOutcome::Granted(Some(permit?))),
            () = self.run.client_leaves() => Ok(PermitOutcome::Stopped),
            () = self.run.output.stop.received() => Ok(PermitOutcome::Stopped),
        }
    }

    /// Asks one candidate, with retries. Its circuit counts all attempts as one request.
    pub(super) async fn ask(
        &mut self,
        candidate: &Candidate,
        mut permit: Option<Permit>,
        is_last: bool,
    ) -> Result<(), ApiError> {
        let label = candidate.provider_label(&self.routing);
        let mut retries = 0;
        loop {
            let error = match self.run.attempt(candidate, &self.routing, permit.as_mut()).await {
                Outcome::Ended { provider_failure } => {
                    finish(permit, label, provider_failure.as_ref());
                    return Ok(());
                }
                Outcome::BrokenOff(error) => {
                    self.run.output.charge_partial();
                    finish(permit, label, Some(&error));
                    return Err(error);
                }
                Outcome::Unfit => {
                    metrics::counter!("hearth_schema_retries_total", "provider" => label.to_owned())
                        .increment(1);
                    continue;
                }
                Outcome::Failed(error) => error,
            };
            // A node isn't retried: its errors are of its queue, its models, or its connection, and don't pass soon.
            let wait = if candidate.node.is_none() { retry::backoff(&error, retries, is_last) } else { None };
            let Some(wait) = wait else {
                finish(permit, label, Some(&error));
                // An earlier answer that doesn't fit its schema is better than none.
                return if self.run.output.emit_best_unfit().await { Ok(()) } else { Err(error) };
            };
            retries += 1;
            metrics::counter!("hearth_provider_retries_total", "provider" => label.to_owned()).increment(1);
            tokio::select! {
                () = tokio::time::sleep(wait) => {}
                () = self.run.client_leaves() => {
                    finish(permit, label, Some(&error));
                    return self.emit_stop().await;
                }
                () = self.run.output.stop.received() => {
                    finish(permit, label, Some(&error));
                    return self.emit_stop().await;
                }
            }
        }
    }

    /// Ends a run that is stopped: emits its terminal event.
    pub(super) async fn emit_stop(&mut self) -> Result<(), ApiError> {
        self.run.output.emit(self.run.stop_event()).await;
        Ok(())
    }
}

fn finish(permit: Option<Permit>, label: &str, error: Option<&ApiError>) {
    if let Some(permit) = permit {
        permit.finish(label, error);
    }
}

fn count_fallback(provider: &str, code: &'static str) {
    metrics::counter!("hearth_fallbacks_total", "provider" => provider.to_owned(), "code" => code)
        .increment(1);
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Limit of a driver's future, which is allocated for each run.
    const FUTURE_MAX_BYTES: usize = 9 << 10;

    fn future_bytes<A, B, F: Future>(_driver: impl Fn(A, B) -> F) -> usize {
        size_of::<F>()
    }

    #[test]
    fn future_of_a_run_is_small() {
        let bytes = future_bytes(Driver::run);
        assert!(bytes <= FUTURE_MAX_BYTES, "{bytes} bytes");
    }
}
