//! Sends the events that a process has left in the outbox: it died between the change and the storing of the deliveries, or the
//! store failed.

use std::time::Duration;

use hearth_domain::{BatchState, EventKind, JobState, RunState, Timestamp};
use hearth_store::{StoreError, event_outbox::OutboxEntry, limit_events::LimitEvent};
use serde_json::Value;

use super::Events;

/// Age of an entry whose change hasn't taken place, after which it is dropped: no process is about to make it any more.
const CHANGE_GRACE: Duration = Duration::from_secs(24 * 3600);

/// The place of an announced change.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Change {
    Made,
    /// It may still come.
    Open,
    /// The subject has ended otherwise, or is gone.
    Never,
}

impl Events {
    /// Sends the events that were left in the outbox `age` ago, or before; returns their number.
    ///
    /// # Errors
    /// If the store fails.
    pub(crate) async fn recover(&self, age: Duration) -> Result<usize, StoreError> {
        let mut sent = 0;
        for entry in self.0.store.event_outbox().older_than(age).await? {
            sent += usize::from(self.settle(&entry).await?);
        }
        Ok(sent)
    }

    /// Sends an event whose change was made, and forgets one whose change won't be made; returns whether it was sent.
    pub(super) async fn settle(&self, entry: &OutboxEntry) -> Result<bool, StoreError> {
        let change = if entry.is_announced { self.change(entry).await? } else { Change::Made };
        match change {
            Change::Made => self.send_entry(entry).await,
            Change::Open if entry.id.created_at().plus(CHANGE_GRACE) > Timestamp::now() => {}
            Change::Open | Change::Never => self.0.store.event_outbox().delete(entry.id).await?,
        }
        Ok(change == Change::Made)
    }

    /// The place of the change that an entry is about.
    async fn change(&self, entry: &OutboxEntry) -> Result<Change, StoreError> {
        if let Some(expected) = end_of_run(entry.kind) {
            let Ok(id) = entry.subject.parse() else { return Ok(Change::Never) };
            let run = self.0.store.runs().get(id).await?;
            let change = compare(run.as_ref().map(|run| run.state), expected, RunState::is_terminal);
            return Ok(of_same_time(change, entry, run.and_then(|run| run.finished_at)));
        }
        if let Some(expected) = end_of_batch(entry.kind) {
            let Ok(id) = entry.subject.parse() else { return Ok(Change::Never) };
            let batch = self.0.store.batches().get(id).await?.map(|batch| batch.record);
            let change = compare(batch.as_ref().map(|batch| batch.state), expected, BatchState::is_terminal);
            return Ok(of_same_time(change, entry, batch.and_then(|batch| batch.ended_at)));
        }
        match entry.kind {
            EventKind::NodeOnline | EventKind::NodeOffline => return self.change_of_presence(entry).await,
            EventKind::BudgetThreshold => return self.change_of_budget(entry).await,
            EventKind::WebhookPaused => return self.change_of_webhook(entry).await,
            _ => {}
        }
        let Some(expected) = end_of_job(entry.kind) else { return Ok(Change::Made) };
        let Ok(id) = entry.subject.parse() else { return Ok(Change::Made) };
        let job = self.0.store.jobs().get(id).await?;
        let change = compare(job.as_ref().map(|job| job.state), expected, JobState::is_terminal);
        Ok(of_same_time(change, entry, job.and_then(|job| job.ended_at)))
    }

    /// The place of a node's change. One that hasn't taken place comes with the node's next report, as another event.
    async fn change_of_presence(&self, entry: &OutboxEntry) -> Result<Change, StoreError> {
        let Ok(node) = entry.subject.parse() else { return Ok(Change::Never) };
        let is_online = self.0.store.node_presence().contains(node).await?;
        let is_made = is_online == (entry.kind == EventKind::NodeOnline);
        Ok(if is_made { Change::Made } else { Change::Never })
    }

    /// The place of a webhook's change. One that wasn't stopped is stopped by a later try, with another event.
    async fn change_of_webhook(&self, entry: &OutboxEntry) -> Result<Change, StoreError> {
        let Ok(id) = entry.subject.parse() else { return Ok(Change::Never) };
        let webhook = self.0.store.webhooks().get(entry.organisation, id).await?;
        let Some(webhook) = webhook else { return Ok(Change::Never) };
        Ok(of_same_time(Change::Made, entry, webhook.state_at))
    }

    /// The place of a budget's change. One that isn't stored comes with the next run, as another event.
    async fn change_of_budget(&self, entry: &OutboxEntry) -> Result<Change, StoreError> {
        let text = |name: &str| entry.data.get(name).and_then(Value::as_str).unwrap_or_default().to_owned();
        let percent = entry.data.get("percent").and_then(Value::as_u64).unwrap_or_default();
        let event = LimitEvent {
            organisation: entry.organisation,
            subject: entry.subject.clone(),
            period: text("period"),
            resource: text("resource"),
            percent: u32::try_from(percent).unwrap_or_default(),
            at: entry.id.created_at(),
        };
        let is_stored = self.0.store.limit_events().contains(&event).await?;
        Ok(if is_stored { Change::Made } else { Change::Never })
    }
}

fn compare<T: PartialEq + Copy>(state: Option<T>, expected: T, is_terminal: fn(T) -> bool) -> Change {
    match state {
        Some(state) if state == expected => Change::Made,
        Some(state) if is_terminal(state) => Change::Never,
        // A record may begin with its end.
        Some(_) | None => Change::Open,
    }
}

/// The place of a change, if the stored one has the announced time. Else another process has made the same change, with an event of
/// its own.
fn of_same_time(change: Change, entry: &OutboxEntry, stored: Option<Timestamp>) -> Change {
    let is_same = entry.changed_at.is_none() || entry.changed_at == stored;
    if change == Change::Made && !is_same { Change::Never } else { change }
}

fn end_of_run(kind: EventKind) -> Option<RunState> {
    match kind {
        EventKind::RunCompleted => Some(RunState::Completed),
        EventKind::RunFailed => Some(RunState::Failed),
        EventKind::RunCancelled => Some(RunState::Cancelled),
        _ => None,
    }
}

fn end_of_batch(kind: EventKind) -> Option<BatchState> {
    match kind {
        EventKind::BatchCompleted => Some(BatchState::Completed),
        EventKind::BatchFailed => Some(BatchState::Failed),
        EventKind::BatchCancelled => Some(BatchState::Cancelled),
        EventKind::BatchExpired => Some(BatchState::Expired),
        _ => None,
    }
}

fn end_of_job(kind: EventKind) -> Option<JobState> {
    match kind {
        EventKind::JobCompleted | EventKind::DownloadCompleted => Some(JobState::Completed),
        EventKind::JobFailed | EventKind::DownloadFailed => Some(JobState::Failed),
        EventKind::JobCancelled => Some(JobState::Cancelled),
        EventKind::JobExpired => Some(JobState::Expired),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use hearth_domain::{EventId, OrganisationId};

    use super::*;

    #[test]
    fn event_is_sent_later_only_if_its_change_was_made() {
        let of = |state| compare(state, RunState::Failed, RunState::is_terminal);
        assert_eq!(of(Some(RunState::Failed)), Change::Made);
        assert_eq!(of(Some(RunState::Completed)), Change::Never);
        assert_eq!((of(Some(RunState::Running)), of(None)), (Change::Open, Change::Open));
    }

    #[test]
    fn event_of_an_end_that_another_one_has_replaced_is_dropped() {
        let entry = |changed_at| OutboxEntry {
            id: EventId::new(),
            kind: EventKind::JobCompleted,
            subject: "job_1".to_owned(),
            organisation: OrganisationId::new(),
            user: None,
            data: Value::Null,
            webhook: None,
            is_announced: true,
            changed_at,
        };
        let at = |millis| Some(Timestamp::from_unix_millis(millis));
        let of = |stored| of_same_time(Change::Made, &entry(at(5)), stored);
        assert_eq!((of(at(5)), of(at(6)), of(None)), (Change::Made, Change::Never, Change::Never));
        // A change without a time is decided by the state alone, and an open subject stays open.
        assert_eq!(of_same_time(Change::Made, &entry(None), at(6)), Change::Made);
        assert_eq!(of_same_time(Change::Open, &entry(at(5)), None), Change::Open);
    }
}
