//! Runs that their nodes have after the gateway's process has died.
//!
//! A node numbers the events of a run from 1, and the gateway's driver numbers those of the record: `selected` comes first, and
//! some of the others are the gateway's own. The recorded events thus tell the number of the node's last one that is recorded; the
//! node's later ones are appended to them.

use std::{sync::Arc, time::Duration};

use futures::StreamExt as _;
use hearth_domain::{Modality, NodeId, OnDisconnect, Run, RunId};
use hearth_providers::{EventStream, NodeLink, Provider as _};
use hearth_store::{StoreError, nodes::IN_PROCESS_URL};
use hearth_wire::{ApiError, RunEvent, RunEventBody};
use tokio::time::{Instant, timeout_at};

use super::LostRuns;
use crate::{error, nodes::NodeRecord};

/// Interval of the writes of events.
const WRITE_INTERVAL: Duration = Duration::from_millis(200);
/// Timeout of the call that stops a run at its node.
const STOP_TIMEOUT: Duration = Duration::from_secs(4);
/// Longest time for which a run is followed.
const FOLLOW_TIMEOUT: Duration = Duration::from_secs(24 * 3600);

/// The place of a run's recorded events among those of its node.
#[derive(Debug, Default, PartialEq, Eq)]
struct Position {
    /// Seq of the last recorded event.
    recorded: u64,
    /// The node's number of the last of its events that is recorded.
    of_node: u64,
    has_ended: bool,
}

impl Position {
    fn count(&mut self, event: &RunEvent) {
        match &event.body {
            // Another candidate has the run from here on.
            RunEventBody::Selected(_) => self.of_node = 0,
            RunEventBody::Waiting { .. }
            | RunEventBody::Credits { .. }
            | RunEventBody::Cost { .. }
            | RunEventBody::Artifact { .. } => {}
            // Vectors aren't recorded: there is a gap in their place.
            _ => self.of_node += event.seq.saturating_sub(self.recorded).max(1),
        }
        self.recorded = event.seq;
        self.has_ended |= event.body.is_terminal();
    }
}

/// True for a run whose process joined and stored files: the first pieces of one are lost with the process.
fn makes_files(run: &Run) -> bool {
    matches!(run.selection.modality, Modality::Image | Modality::ThreeD)
}

impl LostRuns {
    /// The node that goes on with a run, if the run goes on without its client, and its node isn't in this process.
    pub(super) async fn node_that_goes_on(&self, run: &Run) -> Option<Arc<NodeRecord>> {
        if self.is_shared || !run.on_disconnect.outlives_client() || makes_files(run) {
            return None;
        }
        let node = self.nodes.find(run.owner().organisation, run.selection.node?).await;
        node.ok().flatten().filter(|node| node.url.as_deref() != Some(IN_PROCESS_URL))
    }

    /// Records the events of a run that its node goes on with, to the run's end.
    pub(super) async fn follow_to_end(self: Arc<Self>, run: Run, node: Arc<NodeRecord>) {
        let id = run.id;
        tracing::info!(run = %id, node = %node.id, "a run goes on at its node; its events are recorded from there");
        let has_gone_on = match self.follow_node(&run, &node).await {
            Ok(has_gone_on) => has_gone_on,
            Err(error) => {
                tracing::warn!(run = %id, %error, "a run can't be followed at its node");
                true
            }
        };
        if let Err(error) = self.end_after(run, has_gone_on).await {
            tracing::error!(run = %id, %error, "the end of a run can't be written; the next start writes it");
        }
    }

    /// Returns false if the run's process had recorded the end itself.
    async fn follow_node(&self, run: &Run, node: &NodeRecord) -> Result<bool, ApiError> {
        let position = self.position(run.id).await?;
        if position.has_ended {
            return Ok(false);
        }
        let position = self.record_selected(run, position).await?;
        let link = self.nodes.link(node).await?;
        let events = link.resume(run.id, position.of_node).await?;
        let time_limit = match run.on_disconnect {
            OnDisconnect::ContinueFor(seconds) => Duration::from_secs(seconds.into()),
            _ => FOLLOW_TIMEOUT,
        };
        self.record_all(run.id, position.recorded, events, Instant::now() + time_limit, &link).await?;
        Ok(true)
    }

    /// Appends events to the recorded ones, up to the terminal one. At `limit` the run is stopped.
    async fn record_all(
        &self,
        run: RunId,
        mut seq: u64,
        mut events: EventStream,
        limit: Instant,
        link: &NodeLink,
    ) -> Result<(), ApiError> {
        let (mut batch, mut write_at) = (Vec::new(), limit);
        loop {
            let until = if batch.is_empty() { limit } else { write_at.min(limit) };
            match timeout_at(until, events.next()).await {
                Ok(Some(body)) => {
                    if batch.is_empty() {
                        write_at = Instant::now() + WRITE_INTERVAL;
                    }
                    seq += 1;
                    let ends = body.is_terminal();
                    batch.push(RunEvent { seq, body });
                    if ends {
                        return self.append(run, &batch).await;
                    }
                    if Instant::now() < write_at {
                        continue;
                    }
                }
                Ok(None) => return self.append(run, &batch).await,
                Err(_) => {}
            }
            self.append(run, &std::mem::take(&mut batch)).await?;
            if Instant::now() >= limit {
                link.cancel(run).await?;
                let rest = timeout_at(Instant::now() + STOP_TIMEOUT, events.collect::<Vec<_>>()).await;
                let rest = (seq + 1..).zip(rest.unwrap_or_default());
                let rest: Vec<RunEvent> = rest.map(|(seq, body)| RunEvent { seq, body }).collect();
                return self.append(run, &rest).await;
            }
        }
    }

    /// Appends the events to the recorded ones that a node has posted, and that the run's process hasn't read any more. Returns
    /// whether there were any.
    pub(super) async fn record_posted_events(&self, run: &Run) -> Result<bool, ApiError> {
        let Some(node) = run.selection.node.filter(|_| !makes_files(run)) else { return Ok(false) };
        let position = self.position(run.id).await?;
        if position.has_ended {
            return Ok(false);
        }
        let posted = self.nodes.relay().posted_events(node, run.id, position.of_node).await?;
        if posted.is_empty() {
            return Ok(false);
        }
        let position = self.record_selected(run, position).await?;
        let events = (position.recorded + 1..).zip(posted);
        let events: Vec<RunEvent> = events.map(|(seq, event)| RunEvent { seq, body: event.body }).collect();
        self.append(run.id, &events).await?;
        Ok(true)
    }

    async fn append(&self, run: RunId, events: &[RunEvent]) -> Result<(), ApiError> {
        match self.store.runs().append(run, events).await {
            // The run's process has written them after all.
            Ok(()) | Err(StoreError::Conflict) => Ok(()),
            Err(failure) => Err(error::store(failure)),
        }
    }

    /// Tells a node that a run is over.
    pub(super) async fn stop_at_node(&self, run: RunId, node: NodeId) {
        let relay = self.nodes.relay().transport(node);
        match tokio::time::timeout(STOP_TIMEOUT, relay.cancel(run)).await {
            Ok(Ok(_)) => {}
            Ok(Err(error)) => tracing::warn!(%run, %error, "a lost run can't be stopped at its node"),
            Err(_) => tracing::warn!(%run, "a lost run can't be stopped at its node in time"),
        }
    }

    async fn position(&self, run: RunId) -> Result<Position, ApiError> {
        let mut position = Position::default();
        loop {
            let page = self.store.runs().events_page(run, position.recorded).await.map_err(error::store)?;
            if page.is_empty() {
                return Ok(position);
            }
            page.iter().for_each(|event| position.count(event));
        }
    }

    /// Records the event that comes first, if the process died before its first write.
    async fn record_selected(&self, run: &Run, mut position: Position) -> Result<Position, ApiError> {
        if position.recorded == 0 {
            let first = RunEvent { seq: 1, body: RunEventBody::Selected(run.selection.clone()) };
            self.append(run.id, std::slice::from_ref(&first)).await?;
            position.count(&first);
        }
        Ok(position)
    }
}

#[cfg(test)]
mod tests {
    use hearth_domain::{Modality, ModelId, Selection, Usage};

    use super::*;

    #[test]
    fn position_counts_the_events_of_the_last_node_only() {
        let selected =
            || RunEventBody::Selected(Selection::new(ModelId::new("m"), "local", Modality::Text, "named"));
        let bodies = [
            selected(),
            RunEventBody::Queued { position: 1 },
            selected(),
            RunEventBody::Started { prompt_tokens: 3 },
            RunEventBody::text("a"),
            RunEventBody::Usage { usage: Usage::default() },
        ];
        let mut position = Position::default();
        for (seq, body) in (1..).zip(bodies) {
            position.count(&RunEvent { seq, body });
        }
        assert_eq!(position, Position { recorded: 6, of_node: 3, has_ended: false });
        position.count(&RunEvent { seq: 9, body: RunEventBody::Cancelled });
        assert_eq!(position, Position { recorded: 9, of_node: 6, has_ended: true });
    }
}
