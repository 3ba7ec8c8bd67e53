//! The order in which candidates are asked, and how often each.

use std::{collections::VecDeque, sync::Arc, time::Instant};

use hearth_wire::{ApiError, ErrorCode};
use serde_json::{Value, json};

use super::{Driver, Outcome};
use crate::{
    circuit_breaker::Permit,
    resolve::{Candidate, may_fall_back},
    retry,
};

/// The value of the label `code` of `hearth_fallbacks_total` for a candidate whose circuit is open.
const CIRCUIT_OPEN: &str = "circuit_open";

/// The candidates that may still be asked.
#[derive(Default)]
struct Remaining {
    /// The next ones, in order.
    next: VecDeque<Candidate>,
    /// Those whose circuits are open: they are asked if all others have failed.
    suspended: VecDeque<Candidate>,
    /// What the next one is asked in place of: a failure, or an open circuit.
    in_place_of: Option<ErrorCode>,
    /// Whether free models stand in for a provider without credit already.
    has_free: bool,
}

/// The circuit breaker's answer to a request to a candidate.
enum Admission {
    /// The request may be sent; a node has no circuit.
    Permitted(Option<Permit>),
    /// Other candidates come first.
    Suspended,
    /// The client went away, or somebody cancelled the run.
    Stopped,
}

impl Driver {
    /// Asks the candidates in turn; the error of the last one, if none has answered.
    pub(super) async fn attempts(&mut self, candidates: Vec<Candidate>) -> Result<(), ApiError> {
        let (mut failures, mut last) = (Vec::new(), None);
        let mut remaining = Remaining { next: candidates.into(), ..Remaining::default() };
        while let Some((mut candidate, is_suspended)) =
            self.next_candidate(&mut remaining, last.as_ref()).await
        {
            let is_last = remaining.next.is_empty() && remaining.suspended.is_empty();
            let result = match self.admit(&candidate, is_suspended).await {
                Ok(Admission::Permitted(permit)) => {
                    if let Some(said) = self.partial.as_ref().filter(|said| said.has_begun()) {
                        candidate.selected.resumed = true;
                        self.generation = Arc::new(said.going_on(&self.generation));
                    }
                    self.ask(&candidate, permit, is_last).await
                }
                Ok(Admission::Suspended) => {
                    note_fallback(&candidate, CIRCUIT_OPEN);
                    remaining.in_place_of.get_or_insert(ErrorCode::ProviderError);
                    remaining.suspended.push_back(candidate);
                    continue;
                }
                Ok(Admission::Stopped) => return self.cancelled().await,
                Err(error) => Err(error),
            };
            let Err(error) = result else { return Ok(()) };
            let (selected, code) = (&candidate.selected, error.code.as_str());
            // Without the message: providers quote the request, and a log has no prompt.
            let status = error.details.get("provider_status").and_then(Value::as_u64);
            tracing::warn!(run = %self.id, provider = selected.provider, model = selected.model, code, status, "a candidate can't serve a run");
            failures.push(json!({"provider": selected.provider, "model": selected.model, "code": code}));
            if !may_fall_back(error.code) {
                return Err(error);
            }
            note_fallback(&candidate, code);
            remaining.in_place_of = Some(error.code);
            last = Some(error);
        }
        let error = last
            .unwrap_or_else(|| ApiError::new(ErrorCode::NoModelAvailable, "nobody can serve the request"));
        Err(if failures.len() > 1 { error.with("attempts", Value::from(failures)) } else { error })
    }

    /// The next candidate, and whether it was suspended before. `last`: the failure of the one before.
    async fn next_candidate(
        &self,
        remaining: &mut Remaining,
        last: Option<&ApiError>,
    ) -> Option<(Candidate, bool)> {
        let out_of_credit = last.is_some_and(|error| error.code == ErrorCode::QuotaExceeded);
        if remaining.next.is_empty() && out_of_credit && !std::mem::replace(&mut remaining.has_free, true) {
            remaining.next.extend(self.gateway.free_instead(&self.caller, &self.generation).await);
        }
        match (remaining.next.pop_front(), remaining.in_place_of) {
            (Some(candidate), None) => Some((candidate, false)),
            (Some(candidate), Some(code)) => Some((candidate.in_place_of(code), false)),
            (None, _) => remaining.suspended.pop_front().map(|candidate| (candidate, true)),
        }
    }

    /// Asks the candidate's circuit breaker; `is_suspended`: nobody else is left.
    async fn admit(&self, candidate: &Candidate, is_suspended: bool) -> Result<Admission, ApiError> {
        if candidate.node.is_some() {
            return Ok(Admission::Permitted(None));
        }
        let (provider, model) = (&candidate.selected.provider, candidate.model.as_str());
        let breakers = &self.gateway.0.breakers;
        if !is_suspended {
            let permit = breakers.try_acquire(provider, model, Instant::now());
            return Ok(permit.map_or(Admission::Suspended, |permit| Admission::Permitted(Some(permit))));
        }
        tokio::select! {
            permit = breakers.acquire(provider, model) => Ok(Admission::Permitted(Some(permit?))),
            () = self.client_leaves() => Ok(Admission::Stopped),
            () = self.stop.notified() => Ok(Admission::Stopped),
        }
    }

    /// Asks one candidate, again where that may help. Its circuit counts all of that as one request.
    async fn ask(
        &mut self,
        candidate: &Candidate,
        mut permit: Option<Permit>,
        is_last: bool,
    ) -> Result<(), ApiError> {
        let mut retries = 0;
        loop {
            let error = match self.attempt(candidate, permit.as_mut()).await {
                Outcome::Ended { failure } => {
                    finish(permit, failure.as_ref());
                    return Ok(());
                }
                Outcome::BrokenOff(error) => {
                    self.count_taken();
                    finish(permit, Some(&error));
                    return Err(error);
                }
                Outcome::Failed(error) => error,
            };
            // A node's errors are about its queue, its models, or its being there: the same again soon.
            let wait = if candidate.node.is_none() { retry::wait(&error, retries, is_last) } else { None };
            let Some(wait) = wait else {
                finish(permit, Some(&error));
                return Err(error);
            };
            retries += 1;
            metrics::counter!("hearth_provider_retries_total", "provider" => candidate.selected.provider.clone())
                .increment(1);
            tokio::select! {
                () = tokio::time::sleep(wait) => {}
                () = self.client_leaves() => {
                    finish(permit, Some(&error));
                    return self.cancelled().await;
                }
                () = self.stop.notified() => {
                    finish(permit, Some(&error));
                    return self.cancelled().await;
                }
            }
        }
    }

    async fn cancelled(&mut self) -> Result<(), ApiError> {
        self.emit(self.stopped()).await;
        Ok(())
    }
}

fn finish(permit: Option<Permit>, error: Option<&ApiError>) {
    if let Some(permit) = permit {
        permit.finish(error);
    }
}

fn note_fallback(candidate: &Candidate, code: &'static str) {
    let provider = candidate.selected.provider.clone();
    metrics::counter!("hearth_fallbacks_total", "provider" => provider, "code" => code).increment(1);
}
