//! The bytes of files and artifacts, and links to them in the bucket.

use std::{io, time::Duration};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use futures::{Stream, StreamExt as _};
use hearth_domain::{ArtifactId, FileId};
use hearth_store::bucket::PresignedHead;
use hearth_wire::ApiError;

use super::no_such_file;
use crate::{Gateway, access::Caller, artifacts::ArtifactAccess, error};

/// Time for which a link to the bucket works. A client follows it at once.
const LINK_TTL: Duration = Duration::from_secs(300);

/// A part of a file: its first and its last byte, both included.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ByteRange {
    /// Offset of the first byte.
    pub first: u64,
    /// Offset of the last byte.
    pub last: u64,
}

/// A file or an artifact that its reader may have.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredFile {
    /// Its name.
    pub name: String,
    /// Its media type.
    pub media_type: String,
    /// Its size in bytes.
    pub size_bytes: u64,
    /// A text that stands for its bytes, which never change.
    pub tag: String,
    place: Place,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Place {
    Artifact(ArtifactId),
    File(FileId),
}

impl Gateway {
    /// The caller's file, to be read.
    ///
    /// # Errors
    /// `not_found` if there is none with this id, or it is another user's.
    #[crate::boxed_future]
    pub async fn stored_file(&self, caller: &Caller, id: FileId) -> Result<StoredFile, ApiError> {
        let record = self.0.files.stored_record(caller, id).await?;
        Ok(StoredFile {
            name: record.name,
            media_type: record.media_type,
            size_bytes: record.size_bytes,
            tag: id.to_string(),
            place: Place::File(id),
        })
    }

    /// An artifact, to be read by its owner, or by a valid link.
    ///
    /// # Errors
    /// `not_found` if there is none with this id, or it is another user's; `forbidden` for a link that has ended or whose
    /// signature is wrong.
    pub async fn stored_artifact(
        &self,
        access: ArtifactAccess<'_>,
        id: ArtifactId,
    ) -> Result<StoredFile, ApiError> {
        let artifact = self.0.artifacts.get(access, id).await?;
        Ok(StoredFile {
            name: artifact.file_name(),
            media_type: artifact.media_type,
            size_bytes: artifact.size_bytes,
            tag: artifact.sha256,
            place: Place::Artifact(id),
        })
    }

    /// The bytes of a file, or a part of them, as they are read.
    ///
    /// # Errors
    /// `not_found` if they are deleted; `internal` if the bucket can't be read.
    pub async fn stored_bytes(
        &self,
        file: &StoredFile,
        range: Option<ByteRange>,
    ) -> Result<impl Stream<Item = io::Result<Vec<u8>>> + Send + use<>, ApiError> {
        let store = &self.0.store;
        let bytes = match (file.place, range) {
            (Place::File(id), None) => store.files().read(id).await,
            (Place::File(id), Some(range)) => store.files().read_range(id, range.first, range.last).await,
            (Place::Artifact(id), None) => store.artifacts().read(id).await,
            (Place::Artifact(id), Some(range)) => {
                store.artifacts().read_range(id, range.first, range.last).await
            }
        };
        let bytes = bytes.map_err(error::store)?.ok_or_else(no_such_file)?;
        Ok(bytes.map(|piece| piece.map(|piece| piece.to_vec())))
    }

    /// A link to the file in the bucket, if it is so large that it doesn't pass the gateway, and the bucket has a server. The
    /// bucket sends it with this value of `content-disposition`.
    ///
    /// # Errors
    /// `internal` if it can't be signed.
    #[crate::boxed_future]
    pub async fn stored_link(
        &self,
        file: &StoredFile,
        disposition: String,
    ) -> Result<Option<String>, ApiError> {
        if file.size_bytes <= self.inline_max_bytes() {
            return Ok(None);
        }
        let head = PresignedHead { media_type: file.media_type.clone(), disposition };
        let link = match file.place {
            Place::File(id) => self.0.store.files().presign_get(id, &head, LINK_TTL).await,
            Place::Artifact(id) => self.0.store.artifacts().presign_get(id, &head, LINK_TTL).await,
        };
        link.map_err(error::store)
    }

    /// The bytes of an artifact whose reader may have it, in base64.
    ///
    /// # Errors
    /// As [`Gateway::whole_artifact`].
    #[crate::boxed_future]
    pub async fn artifact_in_base64(&self, id: ArtifactId) -> Result<String, ApiError> {
        Ok(STANDARD.encode(self.whole_artifact(id).await?))
    }

    /// Size of the largest file that is a part of a response.
    #[must_use]
    pub fn inline_max_bytes(&self) -> u64 {
        self.0.files.settings.inline_max_bytes.as_u64()
    }
}
