//! Runs that no process carries out any more: each is ended with the answer that its recorded events have.

use std::time::Duration;

use hearth_domain::{Artifact, Cost, FinishReason, Run, RunId, RunState, Timestamp, Usage, run::Failure};
use hearth_store::{Store, StoreError};
use hearth_wire::{
    ApiError, ErrorCode, RunEventBody,
    answer::{Answer, Answers},
};

use crate::error;

/// Longest time that a process with a time limit carries out a run: Lambda's limit.
const RUN_DURATION_MAX: Duration = Duration::from_secs(15 * 60);
/// Time after a run's deadline from which on its process is taken for dead.
const LOST_RUN_GRACE: Duration = Duration::from_secs(60);

/// Ends lost runs.
#[derive(Debug)]
pub(crate) struct LostRuns {
    store: Store,
    /// Other processes share the store, and each has a time limit.
    is_shared: bool,
    answer_max_bytes: u64,
}

impl LostRuns {
    /// `is_shared`: other processes share `store`, as on Lambda. `answer_max_bytes`: limit of the bytes of one answer.
    pub(crate) fn new(store: Store, is_shared: bool, answer_max_bytes: u64) -> Self {
        Self { store, is_shared, answer_max_bytes }
    }

    /// Ends the runs that an earlier process of this gateway left open; returns their number.
    ///
    /// # Errors
    /// `internal` if the store fails, or a record can't be read; the other runs are ended.
    pub(crate) async fn end_interrupted(&self) -> Result<usize, ApiError> {
        self.end_all(|_| true).await
    }

    /// Ends the open runs whose processes have died; returns their number. For a store that processes share.
    ///
    /// # Errors
    /// As for [`LostRuns::end_interrupted`].
    pub(crate) async fn sweep(&self) -> Result<usize, ApiError> {
        self.end_all(|run| self.has_lost_its_process(run)).await
    }

    async fn end_all(&self, is_lost: impl Fn(&Run) -> bool) -> Result<usize, ApiError> {
        let open = self.store.runs().open().await.map_err(error::store)?;
        let (mut count, mut result) = (0, Ok(()));
        for run in open.runs.into_iter().filter(is_lost) {
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

    /// Writes the end of a run that no process carries out any more: the end that its events have, or a failure with the
    /// answer up to the last event. Returns false if another process has ended it meanwhile; its record is as that one wrote
    /// it.
    ///
    /// # Errors
    /// `internal` if the store fails.
    pub(crate) async fn end(&self, mut run: Run) -> Result<bool, ApiError> {
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
            Ok(()) => Ok(true),
            Err(StoreError::Conflict) => Ok(false),
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
                    RunEventBody::Usage { usage } => recorded.usage = Some(usage),
                    RunEventBody::Cost { cost } => recorded.cost = Some(cost),
                    RunEventBody::Artifact { artifact, .. } => recorded.artifacts.push(artifact),
                    body if body.is_terminal() => recorded.end = Some(body),
                    body if bytes <= self.answer_max_bytes => answers.apply(&body),
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
