//! The events of an attempt, from the provider to the output of the run.

use futures::StreamExt as _;
use hearth_providers::{EventStream, Provider};
use hearth_wire::{ApiError, ErrorCode, RunEventBody};
use tokio::time::Instant;

use super::{Outcome, RunInProgress, sleep_until};
use crate::{
    providers::breaker::Permit,
    routing::may_fall_back,
    run::{
        attempt_times::AttemptTimes, errors::not_begun_in_time, resume::PartialAnswer,
        schema_retry::HeldAnswer,
    },
};

/// An attempt whose events are followed.
struct Following<'f, 't> {
    provider: &'f dyn Provider,
    times: &'f mut AttemptTimes<'t>,
    permit: Option<&'f mut Permit>,
    /// The answer is held until it is checked.
    holds: bool,
    /// Time at which the run is withdrawn from a node; none once it has begun.
    withdraw_at: Option<Instant>,
    /// Time up to which a run that is being stopped may go on; none while it isn't being stopped.
    deadline: Option<Instant>,
    has_answered: bool,
}

impl Following<'_, '_> {
    fn is_stopping(&self) -> bool {
        self.deadline.is_some()
    }

    /// Notes the progress that an event shows.
    fn observe(&mut self, event: &RunEventBody) {
        let commits = event.commits_to_candidate();
        if matches!(event, RunEventBody::Started { .. }) || commits {
            self.withdraw_at = None;
        }
        self.times.observe(event);
        if let Some(permit) = &mut self.permit
            && (commits || matches!(event, RunEventBody::Done { .. }))
        {
            permit.record_answer();
        }
        self.has_answered |= commits;
    }
}

impl RunInProgress {
    /// Follows the provider's events to the end. `holds`: the answer is held until it is checked.
    pub(super) async fn follow(
        &mut self,
        provider: &dyn Provider,
        mut events: EventStream,
        times: &mut AttemptTimes<'_>,
        permit: Option<&mut Permit>,
        holds: bool,
    ) -> Outcome {
        let (withdraw_at, deadline) = (self.withdraw_at, None);
        let mut attempt =
            Following { provider, times, permit, holds, withdraw_at, deadline, has_answered: false };
        loop {
            let event = match self.next_event(&mut events, &mut attempt).await {
                Ok(event) => event,
                Err(outcome) => return outcome,
            };
            if let Some(outcome) = self.pass_on(event, &mut attempt).await {
                return outcome;
            }
        }
    }

    /// Waits for the provider's next event; the outcome, if the attempt ends before.
    async fn next_event(
        &mut self,
        events: &mut EventStream,
        attempt: &mut Following<'_, '_>,
    ) -> Result<RunEventBody, Outcome> {
        loop {
            let is_stopping = attempt.is_stopping();
            tokio::select! {
                next = events.next() => return Ok(next.unwrap_or_else(|| RunEventBody::Error {
                    error: ApiError::new(ErrorCode::ProviderError, "the provider's stream broke off"),
                })),
                () = sleep_until(attempt.withdraw_at), if attempt.withdraw_at.is_some() && !is_stopping => {
                    self.cancel(attempt.provider).await;
                    return Err(Outcome::Failed(not_begun_in_time()));
                }
                () = self.client_leaves(), if !is_stopping => {
                    tracing::info!(run = %self.output.id, trace_id = self.output.trace.id(), "the client went away; the run is stopped");
                    self.cancel(attempt.provider).await;
                    attempt.deadline = Some(self.cancel_deadline());
                }
                () = self.output.stop.received() => self.stop(attempt).await?,
                () = sleep_until(attempt.deadline) => return Ok(RunEventBody::Cancelled),
            }
        }
    }

    /// Stops the run, or leaves it to its node; the outcome, if the attempt ends by that.
    async fn stop(&mut self, attempt: &mut Following<'_, '_>) -> Result<(), Outcome> {
        if !attempt.is_stopping() && self.is_left_to_its_node() {
            return Err(self.leave_to_node().await);
        }
        // A run that is being stopped already ends as cancelled, whatever leaves it less time.
        let mut end = RunEventBody::Cancelled;
        if !attempt.is_stopping() {
            self.cancel(attempt.provider).await;
            end = self.stop_event();
        }
        if self.must_end_now() {
            self.output.emit(end).await;
            return Err(Outcome::Ended { provider_failure: None });
        }
        attempt.deadline = attempt.deadline.or_else(|| Some(self.cancel_deadline()));
        Ok(())
    }

    /// Passes an event on to the output; returns the outcome, if the attempt ends with it.
    async fn pass_on(&mut self, event: RunEventBody, attempt: &mut Following<'_, '_>) -> Option<Outcome> {
        let (is_stopping, holds) = (attempt.is_stopping(), attempt.holds);
        match event {
            RunEventBody::Error { error } if (!attempt.has_answered || holds) && !is_stopping => {
                if holds {
                    self.output.charge_held();
                }
                return Some(Outcome::Failed(error));
            }
            RunEventBody::Error { error } if self.may_resume(&error) && !is_stopping => {
                return Some(Outcome::BrokenOff(error));
            }
            _ => {}
        }
        attempt.observe(&event);
        if event.commits_to_candidate()
            && let Some(partial) = &mut self.output.partial
        {
            partial.apply(&event);
        }
        let is_terminal = event.is_terminal();
        // An error of a run that is being stopped isn't the provider's failure.
        let provider_failure = match &event {
            RunEventBody::Error { error } if !is_stopping => Some(error.clone()),
            _ => None,
        };
        let exceeded = if is_terminal { None } else { self.limits.count(&event) };
        if let Some(error) = exceeded {
            self.cancel(attempt.provider).await;
            self.output.emit(RunEventBody::Error { error }).await;
            return Some(Outcome::Ended { provider_failure: None });
        }
        if holds {
            return match self.output.hold(event).await {
                HeldAnswer::Open => None,
                HeldAnswer::Sent => Some(Outcome::Ended { provider_failure }),
                HeldAnswer::Unfit => Some(Outcome::Unfit),
            };
        }
        self.output.emit(event).await;
        is_terminal.then_some(Outcome::Ended { provider_failure })
    }

    fn may_resume(&self, error: &ApiError) -> bool {
        may_fall_back(error.code) && self.output.partial.as_ref().is_some_and(PartialAnswer::is_resumable)
    }
}
