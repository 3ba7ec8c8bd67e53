//! The bytes of the objects, in files.

use std::{
    io,
    ops::Range,
    os::unix::fs::DirBuilderExt as _,
    path::{Path, PathBuf},
};

use futures::StreamExt as _;
use s3s::dto::StreamingBlob;
use sha2::{Digest as _, Sha256};
use tokio::{
    fs::{self, File},
    io::{AsyncReadExt as _, AsyncSeekExt as _, AsyncWriteExt as _},
};
use tokio_util::io::ReaderStream;

pub(super) struct Blobs(PathBuf);

/// A written file.
pub(super) struct Written {
    pub(super) name: String,
    pub(super) size: u64,
    pub(super) sha256: String,
}

impl Blobs {
    pub(super) fn open(folder: &Path) -> io::Result<Self> {
        std::fs::DirBuilder::new().recursive(true).mode(0o700).create(folder)?;
        Ok(Self(folder.to_owned()))
    }

    /// Writes and syncs a new file.
    pub(super) async fn write(&self, mut body: StreamingBlob) -> io::Result<Written> {
        let name = format!("{:032x}", rand::random::<u128>());
        let part = self.0.join(format!("{name}.part"));
        let mut file = File::create(&part).await?;
        let (mut size, mut hash) = (0, Sha256::new());
        let copied: io::Result<()> = async {
            while let Some(piece) = body.next().await {
                let piece = piece.map_err(io::Error::other)?;
                size += piece.len() as u64;
                hash.update(&piece);
                file.write_all(&piece).await?;
            }
            // tokio reports the failure of a write at the next call, and `sync_all` alone discards it: without `flush` a full
            // disk would leave half an object under its name.
            file.flush().await?;
            file.sync_all().await
        }
        .await;
        if let Err(error) = copied {
            let _ = fs::remove_file(&part).await;
            return Err(error);
        }
        fs::rename(&part, self.0.join(&name)).await?;
        let sha256 = hash.finalize().iter().map(|byte| format!("{byte:02x}")).collect();
        Ok(Written { name, size, sha256 })
    }

    pub(super) async fn read(&self, name: &str, span: Range<u64>) -> io::Result<StreamingBlob> {
        let mut file = File::open(self.0.join(name)).await?;
        file.seek(io::SeekFrom::Start(span.start)).await?;
        Ok(StreamingBlob::wrap(ReaderStream::new(file.take(span.end - span.start))))
    }

    /// Removes a file that no entry refers to. A failure only wastes space.
    pub(super) async fn remove(&self, name: &str) {
        if let Err(error) = fs::remove_file(self.0.join(name)).await {
            tracing::warn!(%error, name, "an old object's file can't be removed");
        }
    }
}
