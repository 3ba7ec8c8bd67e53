//! Runs that prefer their caller's nodes: they wait for a node until a deadline, and then ask the cheapest provider.
//!
//! ```text
//! a node may serve it ──▶ asked; what it has not begun at the deadline is withdrawn from it
//! none does now ──▶ `waiting`, and looked for again; its caller and the routing are read again meanwhile
//! deadline, or no node can ever serve it ──▶ providers, the cheapest first; no node is asked after that
//! ```

use std::{borrow::Cow, sync::Arc, time::Duration};

use hearth_domain::{Generation, HomeWait, ModelId, Selection, Timestamp, WaitReason};
use hearth_providers::config::LOCAL;
use hearth_wire::{ApiError, ErrorCode, RunEventBody};
use tokio::time::{Instant, timeout_at};

use super::{
    Runs,
    driver::{Driver, Remaining},
    renewal::Renewal,
    resume::PartialAnswer,
};
use crate::{
    access::Caller,
    configuration::RoutingSnapshot,
    routing::{Candidate, HomeCandidates, NodeModels, may_fall_back},
    settings::AUTO,
};

/// Interval between two looks for a node, each of which reads the caller's nodes.
const LOOK_INTERVAL: Duration = Duration::from_secs(1);
/// The same after a node has refused the run, since each look asks it again.
const BUSY_LOOK_INTERVAL: Duration = Duration::from_secs(3);
/// Interval between two attempts at waking nodes for one run.
const WAKE_INTERVAL: Duration = Duration::from_secs(60);
/// Time in which a node that was asked just before the deadline may begin.
const BEGIN_GRACE: Duration = Duration::from_secs(1);
/// Time that is left to a provider where the process of the run has a time limit, unless half of the time is shorter.
const PROVIDER_TIME_MIN: Duration = Duration::from_secs(120);

/// The candidates of a run.
pub(super) enum RunPlan {
    /// These, in turn.
    Ask(Vec<Candidate>),
    /// A node, if one may serve it in time.
    Home(HomePlan),
}

impl RunPlan {
    /// All candidates, as they are known at the run's beginning.
    pub(super) fn candidates(&self) -> Cow<'_, [Candidate]> {
        match self {
            Self::Ask(candidates) => Cow::Borrowed(candidates),
            Self::Home(plan) => Cow::Owned(plan.candidates()),
        }
    }

    /// The selection at the run's beginning; none if there is no candidate.
    pub(super) fn selection(&self, generation: &Generation) -> Option<Selection> {
        match self {
            Self::Ask(candidates) => candidates.first().map(|first| first.selected.clone()),
            Self::Home(plan) => Some(plan.selection(generation)),
        }
    }
}

impl Runs {
    /// The candidates for a request. Sets the end of its wait, if it prefers its caller's nodes.
    ///
    /// # Errors
    /// As [`Router::resolve`](crate::routing::Router::resolve).
    pub(super) async fn plan(
        &self,
        routing: &Arc<RoutingSnapshot>,
        caller: &Caller,
        generation: &mut Generation,
    ) -> Result<RunPlan, ApiError> {
        let router = &self.0.router;
        let Some(wait) = generation.route.home else {
            return router.resolve(routing, caller, generation).await.map(RunPlan::Ask);
        };
        let usual = Duration::from_secs(routing.selection.home_wait_seconds);
        let until = end_of_wait(wait, generation.deadline, usual);
        generation.route.home = Some(HomeWait { until: Some(until) });
        let nodes = router.resolve_at_nodes(routing, caller, generation, &NodeModels::default()).await;
        let providers = router.resolve_at_providers(routing, caller, generation).await;
        match (nodes, providers) {
            // The error of a request without the preference names what is missing.
            (HomeCandidates::None(_), Err(_)) => {
                router.resolve(routing, caller, generation).await.map(RunPlan::Ask)
            }
            (nodes, providers) => Ok(RunPlan::Home(HomePlan { until, nodes, providers })),
        }
    }
}

/// A run that prefers its caller's nodes.
pub(super) struct HomePlan {
    /// The end of the wait.
    pub(super) until: Timestamp,
    /// The nodes' candidates at its beginning.
    pub(super) nodes: HomeCandidates,
    /// The providers' candidates at its beginning, or the reason why there is none.
    pub(super) providers: Result<Vec<Candidate>, ApiError>,
}

/// The end of the search for a node.
enum Search {
    /// The run has ended.
    Ended,
    /// No node serves it: the error names the reason.
    Over(ApiError),
}

/// The outcome of asking nodes.
enum NodeOutcome {
    /// The run has ended.
    Ended,
    /// Some may take the run later.
    Later(WaitReason),
    /// None will: all have failed for good.
    Failed,
    /// No node is asked any more: the run was withdrawn at the deadline, or a part of its answer is out.
    Over(ApiError),
}

/// A look for a node.
struct Look {
    nodes: HomeCandidates,
    /// The caller and routing by which it was done, if they were read again.
    renewal: Option<Renewal>,
}

/// The end of the wait of a request that prefers its caller's nodes. `usual`: its time without a deadline of the request.
fn end_of_wait(wait: HomeWait, process_ends_at: Option<Timestamp>, usual: Duration) -> Timestamp {
    let now = Timestamp::now();
    let until = wait.until.unwrap_or_else(|| now.plus(usual));
    match process_ends_at.map(|end| now.until(end)) {
        Some(left) => until.min(now.plus(left.saturating_sub(PROVIDER_TIME_MIN.min(left / 2)))),
        None => until,
    }
}

impl HomePlan {
    fn candidates(&self) -> Vec<Candidate> {
        let nodes: &[Candidate] =
            if let HomeCandidates::Found(candidates) = &self.nodes { candidates } else { &[] };
        nodes.iter().chain(self.providers.iter().flatten()).cloned().collect()
    }

    /// The selection of a run that waits.
    fn selection(&self, generation: &Generation) -> Selection {
        let model = generation.model.clone().unwrap_or_else(|| ModelId::new(AUTO));
        Selection {
            model_name: model.to_string(),
            model,
            provider: LOCAL.to_owned(),
            node: None,
            payer: None,
            modality: generation.task.modality(),
            reason: format!("it waits for a node of its caller until {}", self.until),
            fallback_used: false,
            fallback_reason: None,
            resumed: false,
        }
    }
}

impl Driver {
    /// Waits for a node, and asks the providers after that.
    pub(super) async fn ask_home(&mut self, plan: HomePlan) -> Result<(), ApiError> {
        let waiting = plan.selection(&self.run.output.generation);
        let HomePlan { until, nodes, providers } = plan;
        let began_at = Instant::now();
        let deadline = began_at + Timestamp::now().until(until);
        let failure = match self.search_node(nodes, waiting, until, deadline).await? {
            Search::Ended => return Ok(()),
            Search::Over(failure) => failure,
        };
        let has_waited = began_at.elapsed() >= LOOK_INTERVAL;
        let providers = if has_waited { self.providers_now().await? } else { providers };
        let code = failure.code;
        let why = failure.message.clone();
        let in_place = |one: Candidate| {
            let reason = format!("{}; no node served it: {why}", one.selected.reason);
            one.with_reason(&reason).in_place_of(code)
        };
        match providers {
            Ok(providers) => {
                let candidates = providers.into_iter().map(in_place).collect();
                self.ask_candidates(Remaining::in_place_of_nodes(candidates, code)).await
            }
            Err(error) if code == ErrorCode::DeadlineExceeded => {
                let message = format!("{why}, and no provider may serve the request: {}", error.message);
                Err(ApiError { message, ..failure })
            }
            Err(_) => Err(failure),
        }
    }

    /// The providers' candidates as they are now: prices, providers and the caller's rights may have changed in the wait.
    async fn providers_now(&mut self) -> Result<Result<Vec<Candidate>, ApiError>, ApiError> {
        let renewal = self.read_again().await?;
        self.renew(renewal);
        let output = &self.run.output;
        let (routing, caller) = (&self.routing, &self.run.caller);
        Ok(output.context.router.resolve_at_providers(routing, caller, &output.generation).await)
    }

    /// Looks for a node that serves the run until the deadline.
    async fn search_node(
        &mut self,
        mut nodes: HomeCandidates,
        waiting: Selection,
        until: Timestamp,
        deadline: Instant,
    ) -> Result<Search, ApiError> {
        let (mut reported, mut wake_at) = (None, Instant::now());
        let (mut failed, mut last_failure, mut waiting_run) = (NodeModels::default(), None, None);
        loop {
            let (reason, interval) = match nodes {
                HomeCandidates::Found(candidates) => {
                    match self.ask_nodes(candidates, deadline, &mut failed, &mut last_failure).await? {
                        NodeOutcome::Ended => return Ok(Search::Ended),
                        NodeOutcome::Over(error) => return Ok(Search::Over(error)),
                        NodeOutcome::Later(WaitReason::Offline) => (WaitReason::Offline, LOOK_INTERVAL),
                        NodeOutcome::Later(WaitReason::Busy) => (WaitReason::Busy, BUSY_LOOK_INTERVAL),
                        // One that is absent or full may have the model too.
                        NodeOutcome::Failed => {
                            nodes = self.look(&self.run.caller, &self.routing, &failed).await;
                            continue;
                        }
                    }
                }
                HomeCandidates::Later(reason) => (reason, LOOK_INTERVAL),
                HomeCandidates::None(error) => return Ok(Search::Over(last_failure.unwrap_or(error))),
            };
            if Instant::now() >= deadline {
                return Ok(Search::Over(too_late(reason, until)));
            }
            if waiting_run.is_none() {
                let context = &self.run.output.context;
                waiting_run = Some(context.waiting.enter(self.run.caller.user)?);
            }
            if reported != Some(reason) {
                if reported.is_none() {
                    self.run.output.emit(RunEventBody::Selected(waiting.clone())).await;
                }
                self.run.output.emit(RunEventBody::Waiting { reason, until }).await;
                reported = Some(reason);
            }
            if reason == WaitReason::Offline && wake_at <= Instant::now() {
                self.run.output.context.router.wake_nodes(&self.run.caller);
                wake_at = Instant::now() + WAKE_INTERVAL;
            }
            let look = tokio::select! {
                look = timeout_at(deadline, self.look_after(interval, &failed)) => look,
                () = self.run.client_leaves() => return self.emit_stop().await.map(|()| Search::Ended),
                () = self.run.output.stop.received() => return self.emit_stop().await.map(|()| Search::Ended),
            };
            let Ok(look) = look else { return Ok(Search::Over(too_late(reason, until))) };
            let Look { nodes: candidates, renewal } = look?;
            if let Some(renewal) = renewal {
                self.renew(renewal);
            }
            nodes = candidates;
        }
    }

    /// Looks for a node after `interval`.
    ///
    /// # Errors
    /// `unauthorized` or `forbidden` if the caller may not generate any longer.
    async fn look_after(&self, interval: Duration, failed: &NodeModels) -> Result<Look, ApiError> {
        tokio::time::sleep(interval).await;
        let renewal = self.read_again_if_due().await?;
        let (caller, routing) = match &renewal {
            Some(renewal) => (&renewal.caller, &renewal.routing),
            None => (&self.run.caller, &self.routing),
        };
        Ok(Look { nodes: self.look(caller, routing, failed).await, renewal })
    }

    async fn look(
        &self,
        caller: &Caller,
        routing: &Arc<RoutingSnapshot>,
        failed: &NodeModels,
    ) -> HomeCandidates {
        let output = &self.run.output;
        output.context.router.resolve_at_nodes(routing, caller, &output.generation, failed).await
    }

    /// Asks nodes in turn. Adds those that have failed for good to `failed`, and the error of the last one.
    async fn ask_nodes(
        &mut self,
        candidates: Vec<Candidate>,
        deadline: Instant,
        failed: &mut NodeModels,
        last_failure: &mut Option<ApiError>,
    ) -> Result<NodeOutcome, ApiError> {
        let (mut last_code, mut later) = (None, None);
        for mut candidate in candidates {
            if let Some(code) = last_code {
                candidate = candidate.in_place_of(code);
            }
            let withdraw_at = deadline.max(Instant::now() + BEGIN_GRACE);
            self.run.withdraw_at = Some(withdraw_at);
            let result = self.ask(&candidate, None, false).await;
            self.run.withdraw_at = None;
            let Err(error) = result else { return Ok(NodeOutcome::Ended) };
            if !may_fall_back(error.code) {
                return Err(error);
            }
            // A node may send any code: its word doesn't end the wait.
            let is_withdrawn = error.code == ErrorCode::DeadlineExceeded && withdraw_at <= Instant::now();
            if is_withdrawn || self.has_begun() {
                return Ok(NodeOutcome::Over(error));
            }
            last_code = Some(error.code);
            match error.code {
                ErrorCode::NodeOffline => {
                    later.get_or_insert(WaitReason::Offline);
                }
                code if is_refusal(code) => later = Some(WaitReason::Busy),
                _ => {
                    failed.add(&candidate);
                    *last_failure = Some(error);
                }
            }
        }
        Ok(later.map_or(NodeOutcome::Failed, NodeOutcome::Later))
    }

    /// True if the client has a part of the answer.
    fn has_begun(&self) -> bool {
        self.run.output.partial.as_ref().is_some_and(PartialAnswer::has_begun)
    }
}

/// True if a node that refused a run may take it later.
fn is_refusal(code: ErrorCode) -> bool {
    matches!(
        code,
        ErrorCode::NodeOffline | ErrorCode::NodeLost | ErrorCode::QueueFull | ErrorCode::Overloaded
    )
}

/// The error of a run that no node has begun in time.
fn too_late(reason: WaitReason, until: Timestamp) -> ApiError {
    let why = match reason {
        WaitReason::Offline => "no node with the model answered",
        WaitReason::Busy => "the nodes with the model took no further runs",
    };
    ApiError::new(ErrorCode::DeadlineExceeded, format!("{why} until {until}"))
        .with("reason", reason.as_str())
        .with("until", until.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn wait_ends_at_the_deadline_and_leaves_time_for_a_provider() {
        let (now, seconds) = (Timestamp::now(), Duration::from_secs);
        let wait = |after: Option<u64>| HomeWait { until: after.map(|after| now.plus(seconds(after))) };
        let end = |after, process: Option<u64>| {
            let until = end_of_wait(wait(after), process.map(|left| now.plus(seconds(left))), seconds(600));
            // Without the milliseconds that the test takes.
            (now.until(until).as_secs_f64()).round()
        };
        for (after, process, expected) in [
            (None, None, 600.0),
            (Some(5), None, 5.0),
            (Some(86_400), None, 86_400.0),
            (Some(5), Some(900), 5.0),
            (Some(900), Some(900), 780.0),
            (None, Some(100), 50.0),
            (Some(60), Some(0), 0.0),
        ] {
            assert!((end(after, process) - expected).abs() < 1.5, "{after:?} {process:?}");
        }
    }

    #[test]
    fn absent_or_full_node_is_asked_again() {
        assert!([ErrorCode::NodeOffline, ErrorCode::QueueFull].into_iter().all(is_refusal));
        assert!(!is_refusal(ErrorCode::ModelLoadFailed));
        let error = too_late(WaitReason::Busy, Timestamp::from_unix(0));
        assert_eq!(error.code, ErrorCode::DeadlineExceeded);
        assert_eq!((error.details["reason"].as_str(), error.code.retryable()), (Some("busy"), true));
    }
}
