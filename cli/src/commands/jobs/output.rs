//! Jobs as text.

use bytesize::ByteSize;
use hearth_wire::native::jobs::JobBody;

use crate::client::table::Table;

/// A line for each job.
pub(super) fn table(jobs: &[JobBody]) -> Table<6> {
    let mut table = Table::new(["ID", "STATE", "PROGRESS", "SIZE", "MODEL", "SOURCE"]);
    for job in jobs {
        table.push([
            job.id.to_string(),
            job.state.as_str().to_owned(),
            progress(job),
            job.size_bytes.map_or_else(|| "-".to_owned(), |size| ByteSize(size).to_string()),
            job.model.clone().unwrap_or_else(|| "-".to_owned()),
            job.source.clone(),
        ]);
    }
    table
}

/// All about a job.
pub(super) fn lines(job: &JobBody) -> String {
    let mut lines = vec![
        ("state", job.state.as_str().to_owned()),
        ("progress", progress(job)),
        ("source", job.source.clone()),
        ("node", job.node.to_string()),
    ];
    let optional = [
        ("model", job.model.clone()),
        ("file", job.file.clone()),
        ("size", job.size_bytes.map(|size| ByteSize(size).to_string())),
        ("speed", job.bytes_per_second.map(|speed| format!("{}/s", ByteSize(speed)))),
        ("time left", job.seconds_left.map(time)),
        ("sha256", job.sha256.clone()),
        ("license", job.card.as_ref().and_then(|card| card.license.clone())),
        ("error", job.error.as_ref().map(|error| error.message.clone())),
        ("ended", job.ended_at.map(|at| at.to_string())),
    ];
    lines.extend(optional.into_iter().filter_map(|(name, value)| Some((name, value?))));
    let text = lines.iter().map(|(name, value)| format!("  {name:9}  {value}\n"));
    format!("{}\n{}", job.id, text.collect::<String>())
}

fn progress(job: &JobBody) -> String {
    match job.progress_pct {
        Some(percent) => format!("{percent} %"),
        None => ByteSize(job.done_bytes).to_string(),
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
