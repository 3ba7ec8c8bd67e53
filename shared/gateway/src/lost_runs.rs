//! Runs that no process carries out any more: each is ended with the answer that its recorded events have. One that goes on
//! without its client, at a node that still has it, is followed to its end instead (`continued`), and charged then (`charge`).

mod charge;
mod continued;

use std::{sync::Arc, time::Duration};

use hearth_domain::{Artifact, Cost, FinishReason, Run, RunId, RunState, Timestamp, Usage, run::Failure};
use hearth_store::{Store, StoreError};
use hearth_wire::{
    ApiError, RunEventBody,
    answer::{Answer, Answers},
};

use crate::{
    access::Access,
    background, error,
    events::Events,
    limits::{Limiter, estimate},
    nodes::Nodes,
    run::gateway_killed,
};

/// Longest time that a process with a time limit carries out a run: Lambda's limit.
const RUN_DURATION_MAX: Duration = Duration::from_secs(15 * 60);
/// Time after a run's deadline from which on its process is taken for dead.
const LOST_RUN_GRACE: Duration = Duration::from_secs(60);

/// Ends lost runs.
#[derive(Debug)]
pub(crate) struct LostRuns {
    store: Store,
    nodes: Arc<Nodes>,
    access: Arc<Access>,
    limits: Arc<Limiter>,
    /// Other processes share the store, and each has a time limit.
    is_shared: bool,
    answer_max_bytes: u64,
    events: Events,
}

impl LostRuns {
    /// `is_shared`: other processes share `store`, as on Lambda. `answer_max_bytes`: limit of the bytes of one answer.
    pub(crate) fn new(
        store: Store,
        nodes: Arc<Nodes>,
        (access, limits, events): (Arc<Access>, Arc<Limiter>, Events),
        is_shared: bool,
        answer_max_bytes: u64,
    ) -> Self {
        Self { store, nodes, access, limits, is_shared, answer_max_bytes, events }
    }

    /// Ends the runs that an earlier process of this gateway left open; returns their number. Those that go on without their
    /// clients, and that other processes' nodes have, are followed to their ends in the background.
    ///
    /// # Errors
    /// `internal` if the store fails, or a record can't be read; the other runs are ended.
    pub(crate) async fn end_interrupted(self: &Arc<Self>) -> Result<usize, ApiError> {
        self.end_all(|_| true).await
    }

    /// Ends the open runs whose processes have died; returns their number. For a store that processes share.
    ///
    /// # Errors
    /// As for [`LostRuns::end_interrupted`].
    pub(crate) async fn sweep(self: &Arc<Self>) -> Result<usize, ApiError> {
        self.end_all(|run| self.has_lost_its_process(run)).await
    }

    async fn end_all(self: &Arc<Self>, is_lost: impl Fn(&Run) -> bool) -> Result<usize, ApiError> {
        let open = self.store.runs().open().await.map_err(error::store)?;
        let (mut count, mut result) = (0, Ok(()));
        for run in open.runs.into_iter().filter(is_lost) {
            let run = match self.node_that_goes_on(&run).await {
                Some(node) => {
                    drop(background::spawn(Arc::clone(self).follow_to_end(run, node)));
                    continue;
                }
                None => run,
            };
            match self.end(run).await {
                Ok(is_ended) => count += usize::from(is_ended),
                // The others are ended too.
                Err(error) => result = Err(error),
            }
        }
        // Not the reason: it may quote the record.
        for run in &open.unreadable {
            tracing::error!(
                run,
                "the record of an open run can't be read; the run stays open until its record expires"
            );
        }
        if !open.unreadable.is_empty() {
            let reason = format!("{} records of open runs; the log has their ids", open.unreadable.len());
            result = result.and(Err(error::store(StoreError::Unreadable(reason))));
        }
        result.map(|()| count)
    }

    /// True if the process that carries out a run must have ended: it has a time limit, which is over.
    pub(crate) fn has_lost_its_process(&self, run: &Run) -> bool {
        let deadline = run.deadline.unwrap_or_else(|| run.created_at.plus(RUN_DURATION_MAX));
        self.is_shared && deadline.plus(LOST_RUN_GRACE) < Timestamp::now()
    }

    /// Ends a run that no process carries out any more, with the events that its node has posted meanwhile, and stops it at its
    /// node. Returns as [`LostRuns::write_end`].
    ///
    /// # Errors
    /// `internal` if the store fails.
    pub(crate) async fn end(&self, run: Run) -> Result<bool, ApiError> {
        self.end_after(run, false).await
    }

    /// Does [`LostRuns::end`]. `has_gone_on`: its node went on with it after its process had died.
    async fn end_after(&self, run: Run, has_gone_on: bool) -> Result<bool, ApiError> {
        let has_gone_on = self.record_posted_events(&run).await? || has_gone_on;
        let (id, node) = (run.id, run.selection.node);
        let is_ended = self.write_end(run, has_gone_on).await?;
        if let Some(node) = node {
            self.stop_at_node(id, node).await;
        }
        Ok(is_ended)
    }

    /// Ends a run that no process carries out any more, unless its node goes on with it. Returns whether the record has
    /// changed, here or meanwhile.
    pub(crate) async fn end_unless_continued(&self, run: &Run) -> bool {
        if self.node_that_goes_on(run).await.is_some() {
            return false;
        }
        match self.end(run.clone()).await {
            Ok(_) => true,
            Err(error) => {
                tracing::warn!(run = %run.id, %error, "the end of a run can't be written yet");
                false
            }
        }
    }

    /// Writes the end of a run that no process carries out any more: the end that its events have, or a failure with the
    /// answer up to the last event. Returns false if another process has ended it meanwhile; its record is as that one wrote
    /// it. One that `has_gone_on` without its process is charged, which its process hasn't done.
    ///
    /// # Errors
    /// `internal` if the store fails.
    async fn write_end(&self, mut run: Run, has_gone_on: bool) -> Result<bool, ApiError> {
        let recorded = self.recorded_answer(run.id).await.map_err(error::store)?;
        (run.queue_position, run.deadline) = (None, None);
        run.finished_at = Some(Timestamp::now());
        (run.text, run.tool_calls) = (recorded.answer.text_with_refusal(), recorded.answer.tool_calls);
        run.artifacts = recorded.artifacts;
        run.usage =
            recorded.usage.unwrap_or_else(|| charge::estimate(recorded.prompt_tokens, recorded.bytes));
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
                    _ => gateway_killed(),
                };
                run.state = RunState::Failed;
                run.failure = Some(Failure { code: error.code.as_str().to_owned(), message: error.message });
            }
        }
        let announced = self.events.announce_end(&run).await;
        match self.store.runs().update(&run).await {
            Ok(()) => {
                announced.send().await;
                if has_gone_on {
                    self.charge(&run, run.usage).await;
                }
                Ok(true)
            }
            Err(StoreError::Conflict) => {
                announced.confirm().await;
                Ok(false)
            }
            Err(error) => Err(error::store(error)),
        }
    }

    /// Builds the answer of a run from its recorded events, read page by page and up to the limit of an answer.
    async fn recorded_answer(&self, id: RunId) -> Result<RecordedAnswer, StoreError> {
        let (mut answers, mut recorded) = (Answers::default(), RecordedAnswer::default());
        let (mut last, mut bytes) = (0, 0);
        loop {
            let page = self.store.runs().events_page(id, last).await?;
            let Some(end) = page.last() else { break };
            last = end.seq;
            for event in page {
                bytes += event.json_bytes() as u64;
                match event.body {
                    RunEventBody::Started { prompt_tokens } => recorded.prompt_tokens = prompt_tokens,
                    RunEventBody::Usage { usage } => recorded.usage = Some(usage),
                    RunEventBody::Cost { cost } => recorded.cost = Some(cost),
                    RunEventBody::Artifact { artifact, .. } => recorded.artifacts.push(artifact),
                    body if body.is_terminal() => recorded.end = Some(body),
                    body if bytes <= self.answer_max_bytes => {
                        recorded.bytes += estimate::output_bytes(&body);
                        answers.apply(&body);
                    }
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
    /// Bytes of its text, reasoning and tool calls.
    bytes: usize,
    /// Tokens of the prompt, if its provider has said so at the beginning.
    prompt_tokens: u32,
    usage: Option<Usage>,
    cost: Option<Cost>,
    /// The run's terminal event, if it was recorded.
    end: Option<RunEventBody>,
}
