//! Jobs for their owners.

use std::time::Duration;

use hearth_domain::{JobKind, JobState};
use hearth_store::jobs::{JobAttempt, JobRecord, JobWork};
use hearth_wire::{
    native::jobs::{JobAttemptBody, JobBody, WorkBody},
    node_downloads::NodeDownload,
};

/// The body of a job, with the node's present numbers.
pub(super) fn of(record: JobRecord, live: Option<&NodeDownload>) -> JobBody {
    let work = record.work.as_deref().map(|work| Box::new(work_body(&record, work)));
    let (done, total) = match (&record.download, &work) {
        (Some(download), _) => (download.done_bytes, download.size_bytes),
        (None, Some(work)) => (work.done, work.total),
        (None, None) => (0, None),
    };
    let progress_pct = total.filter(|total| *total > 0).map(|total| {
        #[expect(clippy::cast_precision_loss, reason = "percents need few digits")]
        let share = done as f64 / total as f64;
        (share.clamp(0.0, 1.0) * 1000.0).floor() / 10.0
    });
    let download = record.download;
    let text =
        |field: fn(&hearth_store::jobs::DownloadJob) -> Option<String>| download.as_ref().and_then(field);
    JobBody {
        id: record.id,
        object: "job".to_owned(),
        kind: record.kind,
        state: record.state,
        source: text(|download| Some(download.source.clone())),
        node: download.as_ref().map(|download| download.node),
        model: text(|download| download.model.clone()),
        file: text(|download| download.file.clone()),
        sha256: text(|download| download.sha256.clone()),
        size_bytes: download.as_ref().and_then(|download| download.size_bytes),
        done_bytes: download.as_ref().map_or(0, |download| download.done_bytes),
        progress_pct,
        bytes_per_second: live.and_then(|live| live.bytes_per_second),
        seconds_left: live.and_then(|live| live.seconds_left),
        retry_reason: live.and_then(|live| live.retry_reason.clone()),
        priority: record.priority,
        error: record.error,
        card: download.and_then(|download| download.card),
        work,
        created_at: record.created_at,
        updated_at: record.updated_at,
        ended_at: record.ended_at,
    }
}

fn work_body(record: &JobRecord, work: &JobWork) -> WorkBody {
    let retention = Duration::from_secs(work.retention_seconds);
    WorkBody {
        attempts: work.attempts.iter().map(|attempt| attempt_body(record.kind, attempt)).collect(),
        max_attempts: work.max_attempts,
        not_before: (record.state == JobState::Queued).then_some(work.start_at),
        expires_at: Some(work.expires_at),
        deleted_at: record.ended_at.map(|ended| ended.plus(retention)),
        done: work.done,
        total: Some(work.total).filter(|total| *total > 0),
        result: None,
        result_bytes: work.result.as_ref().map(|result| result.size_bytes),
        dead: work.is_dead,
        replay_of: work.replay_of,
        replayed_by: work.replayed_by,
        parent: work.parent,
    }
}

fn attempt_body(kind: JobKind, attempt: &JobAttempt) -> JobAttemptBody {
    let starts_run = matches!(kind, JobKind::Generate | JobKind::Analyze);
    JobAttemptBody {
        number: attempt.number,
        request_id: starts_run.then_some(attempt.run),
        started_at: attempt.started_at,
        ended_at: attempt.ended_at,
        error: attempt.error.clone(),
    }
}
