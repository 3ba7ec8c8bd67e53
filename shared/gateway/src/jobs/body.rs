//! Jobs for their owners.

use hearth_store::jobs::JobRecord;
use hearth_wire::{native::jobs::JobBody, node_downloads::NodeDownload};

/// The body of a job, with the node's present numbers.
pub(super) fn of(record: JobRecord, live: Option<&NodeDownload>) -> JobBody {
    let progress_pct = record.size_bytes.filter(|size| *size > 0).map(|size| {
        #[expect(clippy::cast_precision_loss, reason = "percents need few digits")]
        let share = record.done_bytes as f64 / size as f64;
        (share.clamp(0.0, 1.0) * 1000.0).floor() / 10.0
    });
    JobBody {
        id: record.id,
        object: "job".to_owned(),
        kind: "download".to_owned(),
        state: record.state,
        source: record.source,
        node: record.node,
        model: record.model,
        file: record.file,
        sha256: record.sha256,
        size_bytes: record.size_bytes,
        done_bytes: record.done_bytes,
        progress_pct,
        bytes_per_second: live.and_then(|live| live.bytes_per_second),
        seconds_left: live.and_then(|live| live.seconds_left),
        priority: record.priority,
        error: record.error,
        card: record.card,
        created_at: record.created_at,
        updated_at: record.updated_at,
        ended_at: record.ended_at,
    }
}
