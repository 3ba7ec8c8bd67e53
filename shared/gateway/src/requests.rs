//! Runs after they have begun: read, follow, cancel.

use std::time::{Duration, Instant};

use futures::Stream;
use hearth_domain::{Run, RunId, RunState, Timestamp, run::Failure};
use hearth_providers::Provider as _;
use hearth_store::StoreError;
use hearth_wire::{
    ApiError, ErrorCode, RunEvent, RunEventBody,
    answer::{Answer, Answers},
};

use crate::{Caller, Gateway, error, record::retold::retold};

/// How often the log is looked at while it grows, and while it doesn't.
const POLL: (Duration, Duration) = (Duration::from_millis(100), Duration::from_millis(500));
/// How long a follower waits for a run that gives no sign.
const IDLE: Duration = Duration::from_secs(600);
/// How long an answer to a cancel waits for the run to end.
const CANCEL: Duration = Duration::from_secs(5);

impl Gateway {
    /// The caller's run.
    ///
    /// # Errors
    /// `not_found` if there is none with this id, or it is somebody else's.
    pub async fn request(&self, caller: &Caller, id: RunId) -> Result<Run, ApiError> {
        self.0.behind.wait(id).await;
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
        self.request(caller, id).await?;
        let (gateway, caller) = (self.clone(), caller.clone());
        Ok(async_stream::stream! {
            let (mut seen, mut wait, mut heard) = (0, POLL.0, Instant::now());
            loop {
                // The record before the events: a terminal one then means that no event is missing.
                let run = gateway.request(&caller, id).await;
                let events = gateway.store().runs().events_after(id, seen).await;
                // After the first events a gap is a run's vectors, which aren't recorded.
                let whole = matches!(&events, Ok(events) if events.first().is_some_and(|e| seen > 0 || e.seq == 1));
                if let Ok(run) = &run && run.state.is_terminal() && !whole {
                    // Its events, or the first of them, are no longer kept; the record is.
                    for event in retold(run, seen) {
                        yield event;
                    }
                    return;
                }
                wait = if matches!(&events, Ok(events) if !events.is_empty()) { POLL.0 } else { (wait * 2).min(POLL.1) };
                for mut event in events.unwrap_or_default() {
                    if let RunEventBody::Artifact { artifact, .. } = &mut event.body
                        && let Err(error) = gateway.sign_links([artifact]).await
                    {
                        tracing::warn!(run = %id, %error, "an artifact has no link");
                    }
                    seen = event.seq;
                    let last = event.body.is_terminal();
                    yield event;
                    if last {
                        return;
                    }
                }
                if whole {
                    heard = Instant::now();
                } else if heard.elapsed() > IDLE {
                    let message = "nothing was heard of the run for a long time; it is taken for lost";
                    yield RunEvent { seq: seen + 1, body: RunEventBody::Error { error: ApiError::new(ErrorCode::NodeLost, message) } };
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
                tokio::time::sleep(POLL.0).await;
            }
        };
        match tokio::time::timeout(CANCEL, ended).await {
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

    /// Writes the end of a run that nobody carries out any more.
    async fn end_lost_run(&self, mut run: Run) -> Result<Run, ApiError> {
        run.state = RunState::Failed;
        run.queue_position = None;
        run.finished_at = Some(Timestamp::now());
        let answer = self.answer_so_far(run.id).await;
        (run.text, run.tool_calls) = (answer.text, answer.tool_calls);
        let message = "the gateway was stopped in the middle of the run; send the request again";
        run.failure =
            Some(Failure { code: ErrorCode::NodeLost.as_str().to_owned(), message: message.to_owned() });
        match self.store().runs().update(&run).await {
            Ok(()) | Err(StoreError::Conflict) => Ok(run),
            Err(error) => Err(error::store(error)),
        }
    }

    /// The first answer, of the events that were recorded.
    async fn answer_so_far(&self, id: RunId) -> Answer {
        let events = self.store().runs().events_after(id, 0).await.unwrap_or_default();
        let mut answers = Answers::default();
        events.iter().for_each(|event| answers.take(&event.body));
        answers.all().first().cloned().unwrap_or_default()
    }
}
