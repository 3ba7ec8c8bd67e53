//! Runs after they have begun: read, follow, cancel.

use std::time::{Duration, Instant};

use futures::Stream;
use hearth_domain::{Artifact, Cost, FinishReason, Run, RunId, RunState, Timestamp, Usage, run::Failure};
use hearth_providers::Provider as _;
use hearth_store::StoreError;
use hearth_wire::{
    ApiError, ErrorCode, RunEvent, RunEventBody,
    answer::{Answer, Answers},
};

use crate::{
    Caller, Gateway,
    drive::ANSWER_MAX_BYTES,
    error,
    record::replay::{Seen, replay_from_record},
};

/// The interval of a follower's polls while events come, and the longest while none do.
const POLL_INTERVAL: (Duration, Duration) = (Duration::from_millis(100), Duration::from_millis(250));
/// A follower reads the run's record again after so many polls without an event: its end may have been recorded alone.
const POLLS_PER_RECORD: u32 = 4;
/// How long a follower waits for a run that gives no sign.
const FOLLOW_IDLE_TIMEOUT: Duration = Duration::from_secs(600);
/// How long an answer to a cancel waits for the run to end.
const CANCEL_WAIT_TIMEOUT: Duration = Duration::from_secs(5);

impl Gateway {
    /// The caller's run.
    ///
    /// # Errors
    /// `not_found` if there is none with this id, or it is somebody else's.
    pub async fn request(&self, caller: &Caller, id: RunId) -> Result<Run, ApiError> {
        self.0.pending.wait_current(id).await;
        let run = self.store().runs().get(id).await.map_err(error::store)?;
        let mut run = run.filter(|run| run.owner == caller.user).ok_or_else(error::no_such_request)?;
        self.sign_links(&mut run.artifacts).await?;
        Ok(run)
    }

    /// The run's events from the first, as they are recorded, to the terminal one.
    ///
    /// # Errors
    /// `not_found` as for [`Gateway::request`].
    pub async fn events(
        &self,
        caller: &Caller,
        id: RunId,
    ) -> Result<impl Stream<Item = RunEvent> + Send + use<>, ApiError> {
        let mut run = self.request(caller, id).await?;
        let (gateway, caller) = (self.clone(), caller.clone());
        Ok(async_stream::stream! {
            let (mut seen, mut wait, mut heard) = (Seen::default(), POLL_INTERVAL.0, Instant::now());
            let mut silent_polls = 0;
            loop {
                // The record is read before the events: if it has ended, no event is missing.
                if silent_polls == POLLS_PER_RECORD {
                    silent_polls = 0;
                    if let Ok(now) = gateway.request(&caller, id).await {
                        run = now;
                    }
                }
                let has_ended = run.state.is_terminal();
                let page = gateway.store().runs().events_page(id, seen.seq).await;
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
                        && let Err(error) = gateway.sign_links([artifact]).await
                    {
                        tracing::warn!(run = %id, %error, "an artifact has no link");
                    }
                    seen.note(&event);
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

    /// Stops the caller's run, and waits a little for its end; the run then, and whether this stopped it.
    ///
    /// # Errors
    /// `not_found` as for [`Gateway::request`]; `node_offline` if its node can't be reached.
    pub async fn cancel_request(&self, caller: &Caller, id: RunId) -> Result<(Run, bool), ApiError> {
        let run = self.request(caller, id).await?;
        if run.state.is_terminal() {
            return Ok((run, false));
        }
        let cancelled = self.0.running.stop(id) || self.cancel_on_node(caller, &run).await?;
        let ended = async {
            loop {
                let run = self.request(caller, id).await?;
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

    /// Stops a run that another process carries out, where its node is; whether there was something to stop.
    async fn cancel_on_node(&self, caller: &Caller, run: &Run) -> Result<bool, ApiError> {
        if run.node.is_none() {
            let message = "the run is carried out by another process of the gateway, which can't be told to \
                           stop it; close the connection that waits for it";
            return Err(ApiError::new(ErrorCode::Conflict, message));
        }
        let nodes = self.store().nodes().of(caller.user).await.map_err(error::store)?;
        let node = nodes.iter().find(|node| Some(node.id) == run.node);
        let node = node
            .ok_or_else(|| ApiError::new(ErrorCode::NodeOffline, "the run's node is no longer enrolled"))?;
        self.link(node).await?.cancel(run.id).await
    }

    /// Ends the runs that an earlier process of this gateway left open. Only where there is one
    /// process: at home, before it serves.
    ///
    /// # Errors
    /// `internal` if the store fails.
    pub async fn end_interrupted_runs(&self) -> Result<usize, ApiError> {
        let open = self.store().runs().open().await.map_err(error::store)?;
        let count = open.len();
        for run in open {
            self.end_lost_run(run).await?;
        }
        Ok(count)
    }

    /// Writes the end of a run that nobody carries out any more: as its events tell it, or as failed, with the answer up
    /// to the last event.
    async fn end_lost_run(&self, mut run: Run) -> Result<Run, ApiError> {
        let found = self.recorded_answer(run.id).await.map_err(error::store)?;
        run.queue_position = None;
        run.finished_at = Some(Timestamp::now());
        (run.text, run.tool_calls) = (found.answer.said(), found.answer.tool_calls);
        run.artifacts = found.artifacts;
        run.usage = found.usage.unwrap_or(run.usage);
        run.cost = found.cost.or(run.cost);
        match found.end {
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
        match self.store().runs().end(&run).await {
            Ok(()) | Err(StoreError::Conflict) => Ok(run),
            Err(error) => Err(error::store(error)),
        }
    }

    /// What the events of a run say that were recorded, read page by page and up to the limit of an answer.
    async fn recorded_answer(&self, id: RunId) -> Result<RecordedAnswer, StoreError> {
        let max_bytes = self.0.options.answer_max_bytes.unwrap_or(ANSWER_MAX_BYTES);
        let (mut answers, mut found) = (Answers::default(), RecordedAnswer::default());
        let (mut last, mut bytes) = (0, 0);
        loop {
            let page = self.store().runs().events_page(id, last).await?;
            let Some(end) = page.last() else { break };
            last = end.seq;
            for event in page {
                bytes += event.json_bytes() as u64;
                match event.body {
                    RunEventBody::Usage { usage } => found.usage = Some(usage),
                    RunEventBody::Cost { cost } => found.cost = Some(cost),
                    RunEventBody::Artifact { artifact, .. } => found.artifacts.push(artifact),
                    body if body.is_terminal() => found.end = Some(body),
                    body if bytes <= max_bytes => answers.take(&body),
                    _ => {}
                }
            }
        }
        found.answer = answers.all().first().cloned().unwrap_or_default();
        Ok(found)
    }
}

/// What was recorded of a run that was cut.
#[derive(Default)]
struct RecordedAnswer {
    answer: Answer,
    artifacts: Vec<Artifact>,
    usage: Option<Usage>,
    cost: Option<Cost>,
    /// The run's last event, if that was recorded.
    end: Option<RunEventBody>,
}

fn interrupted() -> ApiError {
    let message = "the gateway was killed, or lost its power, in the middle of the run; the record has the answer up to \
                   there. Send the request again for a whole one";
    ApiError::new(ErrorCode::NodeLost, message)
}
