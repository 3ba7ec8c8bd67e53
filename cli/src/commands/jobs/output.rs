//! Jobs as text.

use bytesize::ByteSize;
use hearth_domain::{JobKind, Timestamp};
use hearth_wire::native::jobs::{JobAttemptBody, JobBody};

use crate::client::table::Table;

/// A line for each job.
pub(super) fn table(jobs: &[JobBody]) -> Table<6> {
    let mut table = Table::new(["ID", "KIND", "STATE", "PROGRESS", "BEGUN", "ABOUT"]);
    for job in jobs {
        table.push([
            job.id.to_string(),
            job.kind.as_str().to_owned(),
            job.state.as_str().to_owned(),
            progress(job),
            job.created_at.to_string(),
            about(job),
        ]);
    }
    table
}

/// A short text that tells one job from another: a download's model or source, the error of a failed job.
fn about(job: &JobBody) -> String {
    let error = || job.error.as_ref().map(|error| error.message.clone());
    job.model.clone().or_else(|| job.source.clone()).or_else(error).unwrap_or_else(|| "-".to_owned())
}

/// All about a job.
pub(super) fn lines(job: &JobBody) -> String {
    let mut lines = vec![
        ("kind", job.kind.as_str().to_owned()),
        ("state", job.state.as_str().to_owned()),
        ("progress", progress(job)),
    ];
    let optional = [
        ("source", job.source.clone()),
        ("node", job.node.map(|node| node.to_string())),
        ("model", job.model.clone()),
        ("file", job.file.clone()),
        ("size", job.size_bytes.map(|size| ByteSize(size).to_string())),
        ("speed", job.bytes_per_second.map(|speed| format!("{}/s", ByteSize(speed)))),
        ("time left", job.seconds_left.map(time)),
        ("retried", job.retry_reason.clone()),
        ("sha256", job.sha256.clone()),
        ("license", job.card.as_ref().and_then(|card| card.license.clone())),
        ("error", job.error.as_ref().map(|error| error.message.clone())),
        ("ended", job.ended_at.map(|at| at.to_string())),
    ];
    lines.extend(optional.into_iter().filter_map(|(name, value)| Some((name, value?))));
    if let Some(work) = &job.work {
        let optional = [
            ("begins", work.not_before.filter(|at| *at > Timestamp::now()).map(|at| at.to_string())),
            ("deleted", work.deleted_at.map(|at| at.to_string())),
            ("repeats", work.replay_of.map(|id| id.to_string())),
            ("repeated", work.replayed_by.map(|id| id.to_string())),
            ("result", work.result_bytes.map(|bytes| ByteSize(bytes).to_string())),
        ];
        lines.extend(optional.into_iter().filter_map(|(name, value)| Some((name, value?))));
        lines.extend(
            work.attempts.iter().map(|attempt| ("attempt", attempt_line(attempt, work.max_attempts))),
        );
    }
    let text = lines.iter().map(|(name, value)| format!("  {name:9}  {value}\n"));
    format!("{}\n{}", job.id, text.collect::<String>())
}

fn attempt_line(attempt: &JobAttemptBody, of: u32) -> String {
    let request = attempt.request_id.map(|id| format!(", {id}")).unwrap_or_default();
    let outcome = match (&attempt.error, attempt.ended_at) {
        (Some(error), _) => format!(": {}", error.message),
        (None, Some(_)) => String::new(),
        (None, None) => ", in progress".to_owned(),
    };
    format!("{} of {of}, {}{request}{outcome}", attempt.number, attempt.started_at)
}

fn progress(job: &JobBody) -> String {
    match (job.progress_pct, job.kind) {
        (Some(percent), _) => format!("{percent} %"),
        (None, JobKind::Download) => ByteSize(job.done_bytes).to_string(),
        (None, _) => "-".to_owned(),
    }
}

fn time(seconds: u64) -> String {
    match (seconds / 3600, seconds / 60 % 60, seconds % 60) {
        (0, 0, seconds) => format!("{seconds} s"),
        (0, minutes, seconds) => format!("{minutes} min {seconds} s"),
        (hours, minutes, _) => format!("{hours} h {minutes} min"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn time_is_shown_in_its_largest_units() {
        for (seconds, text) in [(5, "5 s"), (65, "1 min 5 s"), (7_260, "2 h 1 min")] {
            assert_eq!(time(seconds), text);
        }
    }
}
