//! The bucket as files of the data folder: an object is the file that is named by its key's SHA-256, and is written
//! whole or not at all.

use std::{
    fs::{self, File},
    io,
    os::unix::fs::DirBuilderExt as _,
    path::{Path, PathBuf},
    sync::Arc,
    time::{Duration, SystemTime},
};

use async_trait::async_trait;
use hearth_domain::hex;
use hearth_files::{Access, write_atomically};
use sha2::{Digest as _, Sha256};
use tokio_util::io::ReaderStream;

use super::{Blob, Bucket};
use crate::StoreError;

/// The folder's name in the data folder.
pub(crate) const FOLDER: &str = "objects";
/// Objects are deleted after this, as the rules of the template's bucket (`infra/template.yaml`) do it.
const OBJECT_TTL: Duration = Duration::from_secs(30 * 24 * 3600);
/// The time between two searches for old objects.
const SWEEP_INTERVAL: Duration = Duration::from_secs(3600);
/// The ending of a temporary file of [`write_atomically`].
const PART: &str = "part";
/// Bytes of an object that are read at once.
const PIECE_MAX_BYTES: usize = 64 << 10;

/// A folder of objects. Clones share it.
#[derive(Debug, Clone)]
pub(crate) struct Files(Arc<Folder>);

#[derive(Debug)]
struct Folder {
    path: PathBuf,
}

impl Files {
    /// Opens the folder, creates it if it isn't there, and removes the temporary files of a killed process.
    pub(crate) fn open(path: &Path) -> Result<Self, StoreError> {
        let failed = |error: io::Error| StoreError::from_io("open", &error);
        fs::DirBuilder::new().recursive(true).mode(0o700).create(path).map_err(failed)?;
        for entry in fs::read_dir(path).map_err(failed)? {
            let path = entry.map_err(failed)?.path();
            if path.extension().is_some_and(|ending| ending == PART) {
                fs::remove_file(path).map_err(failed)?;
            }
        }
        Ok(Self(Arc::new(Folder { path: path.to_owned() })))
    }

    /// Starts a task that deletes old objects once an hour, until the folder is dropped or the runtime ends.
    pub(crate) fn start_sweep(&self) {
        let Ok(runtime) = tokio::runtime::Handle::try_current() else { return };
        let folder = Arc::downgrade(&self.0);
        runtime.spawn(async move {
            let mut ticks = tokio::time::interval(SWEEP_INTERVAL);
            loop {
                ticks.tick().await;
                let Some(folder) = folder.upgrade() else { return };
                let swept = tokio::task::spawn_blocking(move || folder.sweep(SystemTime::now())).await;
                match swept {
                    Ok(Ok(swept)) => tracing::debug!(swept, "old objects were deleted"),
                    Ok(Err(error)) => tracing::warn!(%error, "old objects can't be deleted"),
                    Err(_) => return,
                }
            }
        });
    }

    async fn run<T: Send + 'static>(
        &self,
        operation: &'static str,
        work: impl FnOnce(&Folder) -> io::Result<T> + Send + 'static,
    ) -> Result<T, StoreError> {
        let folder = Arc::clone(&self.0);
        let done = tokio::task::spawn_blocking(move || work(&folder)).await;
        let done = done.unwrap_or_else(|error| Err(io::Error::other(error)));
        done.map_err(|error| StoreError::from_io(operation, &error))
    }
}

#[async_trait]
impl Bucket for Files {
    async fn put(&self, key: &str, _media_type: &str, bytes: Vec<u8>) -> Result<(), StoreError> {
        let name = name(key);
        self.run("put_object", move |folder| folder.write(&name, &bytes)).await
    }

    async fn get(&self, key: &str) -> Result<Option<Blob>, StoreError> {
        let name = name(key);
        let open = move |folder: &Folder| if_exists(File::open(folder.path.join(name)));
        let file = self.run("get_object", open).await?;
        let pieces = |file| ReaderStream::with_capacity(tokio::fs::File::from_std(file), PIECE_MAX_BYTES);
        Ok(file.map(|file| Blob::new(pieces(file))))
    }

    async fn delete(&self, key: &str) -> Result<(), StoreError> {
        let name = name(key);
        self.run("delete_object", move |folder| if_exists(fs::remove_file(folder.path.join(name))))
            .await
            .map(drop)
    }

    async fn check(&self) -> Result<(), StoreError> {
        self.run("check", |folder| fs::read_dir(&folder.path).map(drop)).await
    }
}

impl Folder {
    fn write(&self, name: &str, bytes: &[u8]) -> io::Result<()> {
        write_atomically(&self.path.join(name), bytes, Access::Owner)
    }

    /// Deletes the objects that are old at `now`, and returns their number.
    fn sweep(&self, now: SystemTime) -> io::Result<usize> {
        let mut swept = 0;
        for entry in fs::read_dir(&self.path)? {
            let entry = entry?;
            // A file that was deleted meanwhile is no failure.
            let Some(metadata) = if_exists(entry.metadata())? else { continue };
            let age = now.duration_since(metadata.modified()?).unwrap_or_default();
            if metadata.is_file() && age >= OBJECT_TTL {
                if_exists(fs::remove_file(entry.path()))?;
                swept += 1;
            }
        }
        Ok(swept)
    }
}

/// The name of the file of an object.
pub(crate) fn name(key: &str) -> String {
    hex(Sha256::digest(key.as_bytes()))
}

/// Returns `None` instead of the error that a file isn't there.
fn if_exists<T>(result: io::Result<T>) -> io::Result<Option<T>> {
    match result {
        Ok(value) => Ok(Some(value)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn text(files: &Files, key: &str) -> Option<String> {
        let blob = files.get(key).await.unwrap()?;
        Some(String::from_utf8(blob.collect().await.unwrap()).unwrap())
    }

    fn count(folder: &tempfile::TempDir) -> usize {
        fs::read_dir(folder.path()).unwrap().count()
    }

    #[tokio::test]
    async fn objects_are_written_read_replaced_and_deleted() {
        let folder = tempfile::tempdir().unwrap();
        let files = Files::open(folder.path()).unwrap();
        for (key, body) in [("runs/a", "first"), ("../../escaped", "second"), ("runs/a", "changed"), ("", "")]
        {
            files.put(key, "text/plain", body.into()).await.unwrap();
            assert_eq!(text(&files, key).await.as_deref(), Some(body));
        }
        assert_eq!(count(&folder), 3);
        assert_eq!(text(&files, "runs/b").await, None);
        for _ in 0..2 {
            files.delete("runs/a").await.unwrap();
            assert_eq!(text(&files, "runs/a").await, None);
        }
        assert_eq!(count(&folder), 2);
    }

    #[tokio::test]
    async fn unfinished_files_are_removed_and_a_failed_write_leaves_none() {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("abc.7.part"), "half").unwrap();
        let files = Files::open(folder.path()).unwrap();
        assert_eq!(count(&folder), 0);
        // A file can't be renamed over a folder.
        fs::create_dir(folder.path().join(name("taken"))).unwrap();
        files.put("taken", "text/plain", b"x".to_vec()).await.unwrap_err();
        assert_eq!(count(&folder), 1);
    }

    #[test]
    fn old_objects_are_swept() {
        let folder = tempfile::tempdir().unwrap();
        let files = Files::open(folder.path()).unwrap();
        files.0.write("one", b"x").unwrap();
        let day = Duration::from_secs(24 * 3600);
        assert_eq!(files.0.sweep(SystemTime::now() + 29 * day).unwrap(), 0);
        assert_eq!(files.0.sweep(SystemTime::now() + 31 * day).unwrap(), 1);
        assert_eq!(count(&folder), 0);
    }
}
