//! Sends the events that a process has left in the outbox: it died between the change and the storing of the deliveries, or the
//! store failed.

use std::time::Duration;

use hearth_domain::{BatchState, EventKind, JobState, RunState, Timestamp};
use hearth_store::{StoreError, event_outbox::OutboxEntry};

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
            let state = self.0.store.runs().get(id).await?.map(|run| run.state);
            return Ok(compare(state, expected, RunState::is_terminal));
        }
        if let Some(expected) = end_of_batch(entry.kind) {
            let Ok(id) = entry.subject.parse() else { return Ok(Change::Never) };
            let state = self.0.store.batches().get(id).await?.map(|batch| batch.record.state);
            return Ok(compare(state, expected, BatchState::is_terminal));
        }
        let Some(expected) = end_of_job(entry.kind) else { return Ok(Change::Made) };
        let Ok(id) = entry.subject.parse() else { return Ok(Change::Made) };
        let state = self.0.store.jobs().get(id).await?.map(|job| job.state);
        Ok(compare(state, expected, JobState::is_terminal))
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
    use super::*;

    #[test]
    fn event_is_sent_later_only_if_its_change_was_made() {
        let of = |state| compare(state, RunState::Failed, RunState::is_terminal);
        assert_eq!(of(Some(RunState::Failed)), Change::Made);
        assert_eq!(of(Some(RunState::Completed)), Change::Never);
        assert_eq!((of(Some(RunState::Running)), of(None)), (Change::Open, Change::Open));
    }
}
