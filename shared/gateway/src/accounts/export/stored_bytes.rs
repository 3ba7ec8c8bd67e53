//! The artifacts and the files of an export: each has its bytes in a file of the archive, and a line in a list.

use std::sync::Arc;

use async_stream::stream;
use futures::{StreamExt as _, stream::BoxStream};
use hearth_store::{
    bucket::Blob,
    owned::{OwnedEntry, OwnedKind},
};
use serde_json::{Value, json};

use super::lists::ExportScope;

/// The two kinds of things with bytes.
#[derive(Debug, Clone, Copy)]
pub(super) enum StoredBytes {
    Artifacts,
    Files,
}

/// An artifact or a file.
pub(super) struct Exported {
    /// The name of its file in the archive.
    pub(super) name: String,
    /// Its line in the list.
    pub(super) line: Value,
    /// Its bytes; or what is missing, with the reason.
    pub(super) bytes: Result<Blob, String>,
}

impl StoredBytes {
    /// The name of the list's file.
    pub(super) fn file_name(self) -> &'static str {
        match self {
            Self::Artifacts => "artifacts.jsonl",
            Self::Files => "files.jsonl",
        }
    }

    /// The things. An error says what is missing.
    pub(super) fn of(self, scope: &Arc<ExportScope>) -> BoxStream<'static, Result<Exported, String>> {
        let scope = Arc::clone(scope);
        let kind = match self {
            Self::Artifacts => OwnedKind::Artifacts,
            Self::Files => OwnedKind::Files,
        };
        Box::pin(stream! {
            let mut entries = scope.owned(kind);
            while let Some(entry) = entries.next().await {
                let exported = match entry {
                    Ok(entry) => scope.exported(entry).await,
                    Err(problem) => Err(problem),
                };
                if let Some(exported) = exported.transpose() {
                    yield exported;
                }
            }
        })
    }
}

impl ExportScope {
    /// An artifact or a file; none if it isn't exported, such as an upload that isn't complete.
    async fn exported(&self, entry: OwnedEntry) -> Result<Option<Exported>, String> {
        let store = &self.gateway.0.store;
        match entry {
            OwnedEntry::Artifact(id) => {
                let record =
                    store.artifacts().get(id).await.map_err(|error| format!("the artifact {id}: {error}"))?;
                let record = record.filter(|record| self.includes(record.owner().organisation));
                let Some(record) = record else { return Ok(None) };
                let name = format!("artifacts/{}", record.artifact.file_name());
                let line = json!({
                    "id": id, "request_id": record.run, "media_type": record.artifact.media_type,
                    "size_bytes": record.artifact.size_bytes, "created_at": record.created_at, "file": name,
                });
                let bytes = match store.artifacts().read(id).await {
                    Ok(Some(bytes)) => Ok(bytes),
                    Ok(None) => Err(format!("the artifact {id}: its file is deleted")),
                    Err(error) => Err(format!("the artifact {id}: {error}")),
                };
                Ok(Some(Exported { name, line, bytes }))
            }
            OwnedEntry::File(id) => {
                let record =
                    store.files().get(id).await.map_err(|error| format!("the file {id}: {error}"))?;
                let record = record.filter(|record| self.includes(record.organisation));
                let Some(record) = record else { return Ok(None) };
                let name = format!("files/{id}/{}", record.name);
                let line = json!({
                    "id": id, "name": record.name, "purpose": record.purpose, "media_type": record.media_type,
                    "size_bytes": record.size_bytes, "created_at": record.created_at,
                    "expires_at": record.expires_at, "file": name,
                });
                let bytes = match store.files().read(id).await {
                    Ok(Some(bytes)) => Ok(bytes),
                    // An upload that isn't complete.
                    Ok(None) => return Ok(None),
                    Err(error) => Err(format!("the file {id}: {error}")),
                };
                Ok(Some(Exported { name, line, bytes }))
            }
            _ => Ok(None),
        }
    }
}
