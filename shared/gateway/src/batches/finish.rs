//! The files that the results of a batch become.

use std::io;

use async_stream::try_stream;
use futures::{StreamExt as _, TryStreamExt as _, stream::BoxStream};
use hearth_domain::{BatchDialect, FileId, FilePurpose, FileState, MessageBatchId};
use hearth_store::{
    Store,
    batches::{BatchOutput, BatchRecord},
};

use super::lease::{BatchError, BatchLease};
use crate::files::{Files, OwnFile};

/// The two kinds of results.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Output,
    Errors,
}

impl Kind {
    fn of(self, record: &BatchRecord) -> &BatchOutput {
        match self {
            Self::Output => &record.output,
            Self::Errors => &record.errors,
        }
    }

    fn of_mut(self, record: &mut BatchRecord) -> &mut BatchOutput {
        match self {
            Self::Output => &mut record.output,
            Self::Errors => &mut record.errors,
        }
    }

    fn file_name(self, record: &BatchRecord) -> String {
        match (self, record.dialect) {
            (Self::Output, BatchDialect::Anthropic) => {
                format!("{}_results.jsonl", MessageBatchId::from(record.id))
            }
            (Self::Output, BatchDialect::OpenAi) => format!("{}_output.jsonl", record.id),
            (Self::Errors, _) => format!("{}_error.jsonl", record.id),
        }
    }
}

/// Joins the parts of a batch's results to files. It can be repeated.
pub(super) async fn join_results(files: &Files, lease: &mut BatchLease) -> Result<(), BatchError> {
    for kind in [Kind::Output, Kind::Errors] {
        if kind.of(lease.record()).bytes > 0 {
            join(files, lease, kind).await?;
        }
    }
    Ok(())
}

async fn join(files: &Files, lease: &mut BatchLease, kind: Kind) -> Result<(), BatchError> {
    let store = lease.store().clone();
    if let Some(id) = kind.of(lease.record()).file
        && let Some(begun) = store.files().get(id).await?
    {
        if begun.state == FileState::Stored {
            return Ok(());
        }
        // A process died while it wrote the file.
        store.files().remove(&begun).await?;
    }
    let id = FileId::new();
    // The record names the file before it exists, so that it isn't joined twice.
    kind.of_mut(lease.record_mut()).file = Some(id);
    lease.replace().await?;
    let record = lease.record();
    let file = OwnFile {
        id,
        owner: record.owner(),
        name: kind.file_name(record),
        purpose: FilePurpose::BatchOutput,
        media_type: "application/jsonl",
        size_bytes: kind.of(record).bytes,
        expires_after: record.output_expires_after,
        // Lest a batch that is carried out and paid for has no results. They count among the files of their owner, whose next
        // upload is refused if they are too many.
        has_quota: false,
    };
    files.put(file, pieces(store, record, kind)).await?;
    Ok(())
}

/// The bytes of all parts, as they are read.
fn pieces(store: Store, record: &BatchRecord, kind: Kind) -> BoxStream<'static, io::Result<bytes::Bytes>> {
    let parts: Vec<String> = kind.of(record).parts().map(str::to_owned).collect();
    let batch = record.id;
    let pieces = try_stream! {
        for part in parts {
            let mut part = store.batches().part(batch, &part).await.map_err(io::Error::other)?;
            while let Some(piece) = part.try_next().await? {
                yield piece;
            }
        }
    };
    pieces.boxed()
}
