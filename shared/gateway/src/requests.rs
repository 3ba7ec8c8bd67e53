//! Recorded runs: read, listed (`list`), followed, cancelled, repeated (`replay`) and deleted (`deletion`).

mod deletion;
mod list;
mod replay;

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use futures::Stream;
use hearth_domain::{NodeId, Run, RunId, Timestamp};
use hearth_providers::Provider as _;
use hearth_store::Store;
use hearth_wire::{ApiError, ErrorCode, RunEvent, RunEventBody};

use crate::{
    access::Caller,
    artifacts::Artifacts,
    background::Background,
    error,
    keys::GatewayKeys,
    lost_runs::LostRuns,
    nodes::Nodes,
    record::{
        Records,
        replay::{Seen, end_by_record, replay_from_record},
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
/// Time for which the mark of a follower holds, and the interval after which the follower renews it.
const FOLLOW_MARK_TIMES: (Duration, Duration) = (Duration::from_secs(30), Duration::from_secs(20));
/// Time for which the response to a cancel waits for the run to end: longer than another process takes to read its mark.
const CANCEL_WAIT_TIMEOUT: Duration = Duration::from_secs(5);

/// The recorded runs.
#[derive(Debug)]
pub(crate) struct Requests {
    store: Store,
    nodes: Arc<Nodes>,
    artifacts: Arc<Artifacts>,
    records: Arc<Records>,
    runs: Arc<Runs>,
    lost_runs: Arc<LostRuns>,
    keys: Arc<GatewayKeys>,
    background: Background,
}

impl Requests {
    pub(crate) fn new(
        store: Store,
        nodes: Arc<Nodes>,
        artifacts: Arc<Artifacts>,
        records: Arc<Records>,
        runs: Arc<Runs>,
        lost_runs: Arc<LostRuns>,
        (keys, background): (Arc<GatewayKeys>, Background),
    ) -> Self {
        Self { store, nodes, artifacts, records, runs, lost_runs, keys, background }
    }

    /// The caller's run.
    ///
    /// # Errors
    /// `not_found` if there is none with this id, or it is another user's.
    pub(crate) async fn get(&self, caller: &Caller, id: RunId) -> Result<Run, ApiError> {
        self.records.wait_current(id).await;
        let run = self.store.runs().get(id).await.map_err(error::store)?;
        let mut run = run.filter(|run| run.owner() == caller.owner()).ok_or_else(error::no_such_request)?;
        if self.is_lost(&run)
            && self.lost_runs.end_unless_continued(&run).await
            && let Some(ended) = self.store.runs().get(id).await.map_err(error::store)?
        {
            run = ended;
        }
        self.artifacts.sign_links(caller.owner(), &mut run.artifacts).await?;
        Ok(run)
    }

    /// True if no process carries out an open run: at home this one is alone. Its end couldn't be stored, or its driver has
    /// died.
    fn is_lost(&self, run: &Run) -> bool {
        let is_elsewhere = self.records.are_shared() || self.records.is_pending(run.id);
        !run.state.is_terminal() && !is_elsewhere && !self.runs.is_active(run.id)
    }

    /// The run's events from the first, as they are recorded, to the terminal one; at `until` they end without one, since the
    /// caller's own process does. As long as the stream lives, the run has a reader.
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
        let reader = self.runs.add_reader(id);
        // A run of another process: it sees no reader here. With a mark it writes its events sooner, and isn't stopped as one
        // that nobody reads.
        let is_elsewhere = reader.is_none() && self.records.are_shared();
        let mut marks = (is_elsewhere && !run.state.is_terminal()).then(FollowMarks::default);
        Ok(async_stream::stream! {
            let _reader = reader;
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
                if let Some(marks) = marks.as_mut().filter(|_| !has_ended) {
                    marks.renew(&requests.records, id).await;
                }
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
                        && let Err(error) = requests.artifacts.sign_links(caller.owner(), [artifact]).await
                    {
                        tracing::warn!(run = %id, %error, "an artifact has no link");
                    }
                    if event.body.is_terminal() {
                        // Where two processes have ended a run, its record has the end that holds.
                        yield match requests.get(&caller, id).await {
                            Ok(run) => end_by_record(event, &run, seen),
                            Err(_) => event,
                        };
                        return;
                    }
                    seen.count(&event);
                    yield event;
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
                    // Of a run without a node it is the gateway's process that isn't heard.
                    let is_at_node = run.selection.node.is_some();
                    let code = if is_at_node { ErrorCode::NodeLost } else { ErrorCode::GatewayStopped };
                    let error = ApiError::new(code, message);
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
        if self.lost_runs.has_lost_its_process(&run) {
            return Ok((self.end_lost_run(caller, run).await?, false));
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
            Err(_) => Ok((self.end_lost_run(caller, run).await?, false)),
        }
    }

    /// Ends a run that no process carries out any more. Returns it as it is stored then: its process may have ended it after
    /// all.
    async fn end_lost_run(&self, caller: &Caller, run: Run) -> Result<Run, ApiError> {
        let id = run.id;
        self.lost_runs.end(run).await?;
        self.get(caller, id).await
    }

    /// Stops a run that this process doesn't carry out: at its node, or by a mark for the process that does. Returns whether
    /// there may be something to stop.
    async fn cancel_elsewhere(&self, caller: &Caller, run: &Run) -> Result<bool, ApiError> {
        let at_node = match run.selection.node {
            Some(id) => self.cancel_on_node(caller, run.id, id).await,
            None => Ok(false),
        };
        if !self.records.are_shared() {
            // A node that is gone carries out nothing for this gateway: the run is ended.
            return at_node.or_else(|error| {
                tracing::warn!(run = %run.id, %error, "a run can't be cancelled at its node");
                Ok(false)
            });
        }
        if matches!(at_node, Ok(true)) {
            return at_node;
        }
        self.records.mark_cancelled(run.id).await.map_err(error::store)?;
        Ok(true)
    }

    /// Stops a run of another process at its node; returns whether there was something to stop.
    async fn cancel_on_node(&self, caller: &Caller, run: RunId, id: NodeId) -> Result<bool, ApiError> {
        let node = self.nodes.find(caller.organisation, id).await?;
        let node = node
            .ok_or_else(|| ApiError::new(ErrorCode::NodeOffline, "the run's node is no longer enrolled"))?;
        self.nodes.link(&node).await?.cancel(run).await
    }
}

/// The marks that a follower leaves for the process that carries out the run.
#[derive(Debug, Default)]
struct FollowMarks {
    latest: Option<Instant>,
}

impl FollowMarks {
    /// Writes a mark, if the latest one is old.
    async fn renew(&mut self, records: &Records, id: RunId) {
        let (validity, interval) = FOLLOW_MARK_TIMES;
        if self.latest.is_some_and(|latest| latest.elapsed() < interval) {
            return;
        }
        self.latest = Some(Instant::now());
        if let Err(error) = records.mark_followed(id, Timestamp::now().plus(validity)).await {
            tracing::warn!(run = %id, %error, "a follower can't be marked; the run's events come late, and it may be stopped");
        }
    }
}
