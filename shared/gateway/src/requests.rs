//! Recorded runs: read, followed, cancelled.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use futures::Stream;
use hearth_domain::{
    Artifact, Cost, FinishReason, NodeId, Run, RunId, RunState, Timestamp, Usage, run::Failure,
};
use hearth_providers::Provider as _;
use hearth_store::{Store, StoreError};
use hearth_wire::{
    ApiError, ErrorCode, RunEvent, RunEventBody,
    answer::{Answer, Answers},
};

use crate::{
    access::Caller,
    artifacts::Artifacts,
    error,
    nodes::Nodes,
    record::{
        Records,
        replay::{Seen, replay_from_record},
    },
    run::Runs,
};

/// Interval of a follower's polls while there are events, and the longest one while there are none.
const POLL_INTERVAL: (Duration, Duration) = (Duration::from_millis(100), Duration::from_millis(250));
/// Number of polls without an event after which a follower reads the run's record again: its end may have been recorded
/// without one.
const SILENT_POLL_MAX_COUNT: u32 = 4;
/// Time without an event after which a follower takes the run for lost.
const FOLLOW_IDLE_TIMEOUT: Duration = Duration::from_secs(600);
/// Time for which the response to a cancel waits for the run to end: longer than another process takes to read its mark.
const CANCEL_WAIT_TIMEOUT: Duration = Duration::from_secs(5);
/// Longest time that a process with a time limit carries out a run: Lambda's limit.
const RUN_DURATION_MAX: Duration = Duration::from_secs(15 * 60);
/// Time after a run's deadline from which on its process is taken for dead.
const DEADLINE_GRACE: Duration = Duration::from_secs(60);

/// The recorded runs.
#[derive(Debug)]
pub(crate) struct Requests {
    store: Store,
    nodes: Arc<Nodes>,
    artifacts: Arc<Artifacts>,
    records: Arc<Records>,
    runs: Arc<Runs>,
}

impl Requests {
    pub(crate) fn new(
        store: Store,
        nodes: Arc<Nodes>,
        artifacts: Arc<Artifacts>,
        records: Arc<Records>,
        runs: Arc<Runs>,
    ) -> Self {
        Self { store, nodes, artifacts, records, runs }
    }

    /// The caller's run.
    ///
    /// # Errors
    /// `not_found` if there is none with this id, or it is another user's.
    pub(crate) async fn get(&self, caller: &Caller, id: RunId) -> Result<Run, ApiError> {
        self.records.wait_current(id).await;
        let run = self.store.runs().get(id).await.map_err(error::store)?;
        let mut run = run.filter(|run| run.owner == caller.user).ok_or_else(error::no_such_request)?;
        self.artifacts.sign_links(&mut run.artifacts).await?;
        Ok(run)
    }

    /// The run's events from the first, as they are recorded, to the terminal one; at `until` they end without one, since the
    /// caller's own process does.
    ///
    /// # Errors
    /// `not_found` as for [`Requests::get`].
    pub(crate) async fn follow(
        self: &Arc<Self>,
        caller: &Caller,
        id: RunId,
        until: Option<Timestamp>,
    ) -> Result<impl Stream<Item = RunEvent> + Send + use<>, ApiError> {
        let mut run = self.get(caller, id).await?;
        let (requests, caller) = (Arc::clone(self), caller.clone());
        Ok(async_stream::stream! {
            let (mut seen, mut wait, mut heard) = (Seen::default(), POLL_INTERVAL.0, Instant::now());
            let mut silent_polls = 0;
            loop {
                // The record is read before the events: if it has ended, no event is missing.
                if silent_polls == SILENT_POLL_MAX_COUNT {
                    silent_polls = 0;
                    if let Ok(now) = requests.get(&caller, id).await {
                        run = now;
                    }
                }
                let has_ended = run.state.is_terminal();
                let page = requests.store.runs().events_page(id, seen.seq).await;
                let page = page.unwrap_or_else(|error| {
                    tracing::warn!(run = %id, %error, "a run's events can't be read");
                    Vec::new()
                });
                // After the first events a gap is a run's vectors, which aren't recorded.
                let is_next = page.first().is_some_and(|event| seen.seq > 0 || event.seq == 1);
                if has_ended && !is_next {
                    // Its events, or the first of them, are no longer stored; the record is.
                    for event in replay_from_record(&run, seen) {
                        yield event;
                    }
                    return;
                }
                for mut event in page {
                    if let RunEventBody::Artifact { artifact, .. } = &mut event.body
                        && let Err(error) = requests.artifacts.sign_links([artifact]).await
                    {
                        tracing::warn!(run = %id, %error, "an artifact has no link");
                    }
                    seen.count(&event);
                    let last = event.body.is_terminal();
                    yield event;
                    if last {
                        return;
                    }
                }
                if is_next {
                    (heard, silent_polls, wait) = (Instant::now(), 0, POLL_INTERVAL.0);
                    // The next page may be there already.
                    if has_ended {
                        continue;
                    }
                } else {
                    (silent_polls, wait) = (silent_polls + 1, (wait * 2).min(POLL_INTERVAL.1));
                }
                if until.is_some_and(|until| until <= Timestamp::now()) {
                    return;
                }
                if heard.elapsed() > FOLLOW_IDLE_TIMEOUT {
                    let message = "nothing was heard of the run for a long time; it is taken for lost";
                    let error = ApiError::new(ErrorCode::NodeLost, message);
                    yield RunEvent { seq: seen.seq + 1, body: RunEventBody::Error { error } };
                    return;
                }
                tokio::time::sleep(wait).await;
            }
        })
    }

    /// Stops the caller's run, and waits a little for its end; returns the run then, and whether this stopped it.
    ///
    /// # Errors
    /// `not_found` as for [`Requests::get`]; `node_offline` if its node can't be reached.
    pub(crate) async fn cancel(&self, caller: &Caller, id: RunId) -> Result<(Run, bool), ApiError> {
        let run = self.get(caller, id).await?;
        if run.state.is_terminal() {
            return Ok((run, false));
        }
        if self.has_lost_its_process(&run) {
            return Ok((self.end_lost_run(run).await?, false));
        }
        let cancelled = self.runs.cancel(id) || self.cancel_elsewhere(caller, &run).await?;
        let ended = async {
            loop {
                let run = self.get(caller, id).await?;
                if run.state.is_terminal() {
                    return Ok::<Run, ApiError>(run);
                }
                tokio::time::sleep(POLL_INTERVAL.0).await;
            }
        };
        match tokio::time::timeout(CANCEL_WAIT_TIMEOUT, ended).await {
            Ok(run) => Ok((run?, cancelled)),
            Err(_) if cancelled => Ok((run, true)),
            // Neither its node nor its gateway has it any more.
            Err(_) => Ok((self.end_lost_run(run).await?, false)),
        }
    }

    /// Stops a run that this process doesn't carry out: at its node, or by a mark for the process that does. Returns whether
    /// there may be something to stop.
    async fn cancel_elsewhere(&self, caller: &Caller, run: &Run) -> Result<bool, ApiError> {
        let at_node = match run.selection.node {
            Some(id) => self.cancel_on_node(caller, run.id, id).await,
            None => Ok(false),
        };
        if !self.records.are_shared() || matches!(at_node, Ok(true)) {
            return at_node;
        }
        self.records.mark_cancelled(run.id).await.map_err(error::store)?;
        Ok(true)
    }

    /// Stops a run of another process at its node; returns whether there was something to stop.
    async fn cancel_on_node(&self, caller: &Caller, run: RunId, id: NodeId) -> Result<bool, ApiError> {
        let node = self.nodes.find(caller.user, id).await?;
        let node = node
            .ok_or_else(|| ApiError::new(ErrorCode::NodeOffline, "the run's node is no longer enrolled"))?;
        self.nodes.link(&node).await?.cancel(run).await
    }

    /// Ends the runs that an earlier process of this gateway left open; returns their number.
    ///
    /// # Errors
    /// `internal` if the store fails.
    pub(crate) async fn end_interrupted(&self) -> Result<usize, ApiError> {
        self.end_lost_runs(|_| true).await
    }

    /// Ends the open runs whose processes have died; returns their number. For a store that processes share.
    ///
    /// # Errors
    /// `internal` if the store fails.
    pub(crate) async fn sweep(&self) -> Result<usize, ApiError> {
        self.end_lost_runs(|run| self.has_lost_its_process(run)).await
    }

    async fn end_lost_runs(&self, is_lost: impl Fn(&Run) -> bool) -> Result<usize, ApiError> {
        let mut open = self.store.runs().open().await.map_err(error::store)?;
        open.retain(is_lost);
        let (mut count, mut result) = (0, Ok(()));
        for run in open {
            match self.end_lost_run(run).await {
                Ok(_) => count += 1,
                // The others are ended too.
                Err(error) => result = Err(error),
            }
        }
        result.map(|()| count)
    }

    /// True if the process that carries out a run must have ended: it has a time limit, which is over.
    fn has_lost_its_process(&self, run: &Run) -> bool {
        let deadline = run.deadline.unwrap_or_else(|| run.created_at.plus(RUN_DURATION_MAX));
        self.records.are_shared() && deadline.plus(DEADLINE_GRACE) < Timestamp::now()
    }

    /// Writes the end of a run that no process carries out any more: the end that its events have, or a failure with the
    /// answer up to the last event.
    async fn end_lost_run(&self, mut run: Run) -> Result<Run, ApiError> {
        let recorded = self.recorded_answer(run.id).await.map_err(error::store)?;
        (run.queue_position, run.deadline) = (None, None);
        run.finished_at = Some(Timestamp::now());
        (run.text, run.tool_calls) = (recorded.answer.text_with_refusal(), recorded.answer.tool_calls);
        run.artifacts = recorded.artifacts;
        run.usage = recorded.usage.unwrap_or(run.usage);
        run.cost = recorded.cost.or(run.cost);
        match recorded.end {
            Some(RunEventBody::Done { finish_reason }) => {
                (run.state, run.finish_reason) = (RunState::Completed, Some(finish_reason));
            }
            Some(RunEventBody::Cancelled) => {
                (run.state, run.finish_reason) = (RunState::Cancelled, Some(FinishReason::Cancelled));
            }
            end => {
                let error = match end {
                    Some(RunEventBody::Error { error }) => error,
                    _ => interrupted(),
                };
                run.state = RunState::Failed;
                run.failure = Some(Failure { code: error.code.as_str().to_owned(), message: error.message });
            }
        }
        match self.store.runs().update(&run).await {
            Ok(()) | Err(StoreError::Conflict) => Ok(run),
            Err(error) => Err(error::store(error)),
        }
    }

    /// Builds the answer of a run from its recorded events, read page by page and up to the limit of an answer.
    async fn recorded_answer(&self, id: RunId) -> Result<RecordedAnswer, StoreError> {
        let max_bytes = self.runs.answer_max_bytes();
        let (mut answers, mut recorded) = (Answers::default(), RecordedAnswer::default());
        let (mut last, mut bytes) = (0, 0);
        loop {
            let page = self.store.runs().events_page(id, last).await?;
            let Some(end) = page.last() else { break };
            last = end.seq;
            for event in page {
                bytes += event.json_bytes() as u64;
                match event.body {
                    RunEventBody::Usage { usage } => recorded.usage = Some(usage),
                    RunEventBody::Cost { cost } => recorded.cost = Some(cost),
                    RunEventBody::Artifact { artifact, .. } => recorded.artifacts.push(artifact),
                    body if body.is_terminal() => recorded.end = Some(body),
                    body if bytes <= max_bytes => answers.apply(&body),
                    _ => {}
                }
            }
        }
        recorded.answer = answers.all().first().cloned().unwrap_or_default();
        Ok(recorded)
    }
}

/// The recorded part of a run that was interrupted.
#[derive(Default)]
struct RecordedAnswer {
    answer: Answer,
    artifacts: Vec<Artifact>,
    usage: Option<Usage>,
    cost: Option<Cost>,
    /// The run's terminal event, if it was recorded.
    end: Option<RunEventBody>,
}

fn interrupted() -> ApiError {
    let message = "the gateway's process was killed, or lost its power, in the middle of the run; the record has the answer up \
                   to there. Send the request again for a whole one";
    ApiError::new(ErrorCode::NodeLost, message)
}
