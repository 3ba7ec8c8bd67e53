//! The bucket as files of the data folder: an object is the file that is named by its key's SHA-256, and is written
//! whole or not at all.

use std::{
    fs::{self, File},
    io::{self, Seek as _, SeekFrom},
    os::unix::fs::DirBuilderExt as _,
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, SystemTime},
};

use async_trait::async_trait;
use futures::StreamExt as _;
use hearth_domain::hex;
use hearth_files::{Access, write_atomically};
use sha2::{Digest as _, Sha256};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio_util::io::ReaderStream;

use super::{Blob, Bucket, Pieces};
use crate::StoreError;

/// The folder's name in the data folder.
pub(crate) const FOLDER: &str = "objects";
/// Objects are deleted after this, as the rules of the template's bucket (`infra/template.yaml`) do it.
const OBJECT_TTL: Duration = Duration::from_secs(30 * 24 * 3600);
/// Inputs and results of jobs are deleted after this: a job may wait for 30 days, last 30, and be stored for 30 after its end.
const JOB_OBJECT_TTL: Duration = Duration::from_secs(90 * 24 * 3600);
/// The folder of the objects of jobs, in the folder of the objects.
const JOBS_FOLDER: &str = "jobs";
/// The beginning of the keys of the objects of jobs.
const JOBS_KEY: &str = "jobs/";
/// The time between two searches for old objects.
const SWEEP_INTERVAL: Duration = Duration::from_secs(3600);
/// The folder of the objects that aren't swept, in the folder of the objects.
const LASTING_FOLDER: &str = "lasting";
/// The beginnings of the keys of objects that aren't swept.
const LASTING_KEYS: [&str; 2] = ["files/", "sessions/"];
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
        create_folder(path).map_err(failed)?;
        for folder in [path.to_owned(), path.join(JOBS_FOLDER), path.join(LASTING_FOLDER)] {
            let Some(entries) = if_exists(fs::read_dir(folder)).map_err(failed)? else { continue };
            for entry in entries {
                let path = entry.map_err(failed)?.path();
                if path.extension().is_some_and(|ending| ending == PART) {
                    fs::remove_file(path).map_err(failed)?;
                }
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
        let write = move |folder: &Folder| {
            folder.create_parent(&name)?;
            folder.write(&name, &bytes)
        };
        self.run("put_object", write).await
    }

    async fn put_pieces(
        &self,
        key: &str,
        _media_type: &str,
        mut pieces: Pieces<'_>,
    ) -> Result<(), StoreError> {
        let failed = |error: io::Error| StoreError::from_io("put_object", &error);
        let name = name(key);
        let part = Part::new(&self.0.path.join(&name));
        let parent = name.clone();
        self.run("put_object", move |folder| folder.create_parent(&parent)).await?;
        let mut file = part.create().await.map_err(failed)?;
        while let Some(piece) = pieces.next().await {
            let piece = piece.map_err(|error| StoreError::from_source("read_pieces", &error))?;
            file.write_all(&piece).await.map_err(failed)?;
        }
        file.flush().await.map_err(failed)?;
        file.sync_all().await.map_err(failed)?;
        let is_new = self.run("put_object", move |folder| part.persist(&folder.path.join(name))).await?;
        if is_new { Ok(()) } else { Err(StoreError::Conflict) }
    }

    async fn get_range(&self, key: &str, first: u64, last: u64) -> Result<Option<Blob>, StoreError> {
        let name = name(key);
        let open = move |folder: &Folder| {
            let Some(mut file) = if_exists(File::open(folder.find(&name)?))? else { return Ok(None) };
            file.seek(SeekFrom::Start(first))?;
            Ok(Some(file))
        };
        let file = self.run("get_object", open).await?;
        let length = last.saturating_sub(first).saturating_add(1);
        let pieces =
            |file| ReaderStream::with_capacity(tokio::fs::File::from_std(file).take(length), PIECE_MAX_BYTES);
        Ok(file.map(|file| Blob::new(pieces(file))))
    }

    async fn size(&self, key: &str) -> Result<Option<u64>, StoreError> {
        let name = name(key);
        let metadata = move |folder: &Folder| if_exists(fs::metadata(folder.find(&name)?));
        Ok(self.run("get_object", metadata).await?.map(|metadata| metadata.len()))
    }

    async fn get(&self, key: &str) -> Result<Option<Blob>, StoreError> {
        let name = name(key);
        let open = move |folder: &Folder| if_exists(File::open(folder.find(&name)?));
        let file = self.run("get_object", open).await?;
        let pieces = |file| ReaderStream::with_capacity(tokio::fs::File::from_std(file), PIECE_MAX_BYTES);
        Ok(file.map(|file| Blob::new(pieces(file))))
    }

    async fn delete(&self, key: &str) -> Result<(), StoreError> {
        let name = name(key);
        self.run("delete_object", move |folder| if_exists(fs::remove_file(folder.find(&name)?)))
            .await
            .map(drop)
    }

    async fn check(&self) -> Result<(), StoreError> {
        self.run("check", |folder| fs::read_dir(&folder.path).map(drop)).await
    }
}

impl Folder {
    /// Creates the folder in which the file `name` is.
    fn create_parent(&self, name: &str) -> io::Result<()> {
        match name.split_once('/') {
            Some((parent, _)) => create_folder(&self.path.join(parent)),
            None => Ok(()),
        }
    }

    /// The path of the file `name`. An object of a job that an earlier version wrote is among the others.
    fn find(&self, name: &str) -> io::Result<PathBuf> {
        let path = self.path.join(name);
        let earlier = name.split_once('/').filter(|(parent, _)| *parent == JOBS_FOLDER);
        if let Some((_, earlier)) = earlier
            && !path.try_exists()?
        {
            return Ok(self.path.join(earlier));
        }
        Ok(path)
    }

    fn write(&self, name: &str, bytes: &[u8]) -> io::Result<()> {
        write_atomically(&self.path.join(name), bytes, Access::Owner)
    }

    /// Deletes the objects that are old at `now`, and returns their number.
    fn sweep(&self, now: SystemTime) -> io::Result<usize> {
        let mut swept = 0;
        for (folder, ttl) in [(self.path.clone(), OBJECT_TTL), (self.path.join(JOBS_FOLDER), JOB_OBJECT_TTL)]
        {
            let Some(entries) = if_exists(fs::read_dir(folder))? else { continue };
            for entry in entries {
                let entry = entry?;
                // A file that was deleted meanwhile is no failure.
                let Some(metadata) = if_exists(entry.metadata())? else { continue };
                let age = now.duration_since(metadata.modified()?).unwrap_or_default();
                if metadata.is_file() && age >= ttl {
                    if_exists(fs::remove_file(entry.path()))?;
                    swept += 1;
                }
            }
        }
        Ok(swept)
    }
}

/// The name of the file of an object, in the folder.
pub(crate) fn name(key: &str) -> String {
    let name = hex(Sha256::digest(key.as_bytes()));
    let is_lasting = LASTING_KEYS.iter().any(|start| key.starts_with(start));
    match (is_lasting, key.starts_with(JOBS_KEY)) {
        (true, _) => format!("{LASTING_FOLDER}/{name}"),
        (false, true) => format!("{JOBS_FOLDER}/{name}"),
        (false, false) => name,
    }
}

/// A file that is written piece by piece, beside the one that it becomes. It is removed unless it has become that.
struct Part(PathBuf);

impl Part {
    /// The part of the file at `path`.
    fn new(path: &Path) -> Self {
        static COUNT: AtomicU64 = AtomicU64::new(0);
        Self(path.with_extension(format!("{}.{PART}", COUNT.fetch_add(1, Ordering::Relaxed))))
    }

    async fn create(&self) -> io::Result<tokio::fs::File> {
        tokio::fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(&self.0).await
    }

    /// Gives the file its name; false if another file has it.
    fn persist(self, path: &Path) -> io::Result<bool> {
        match fs::hard_link(&self.0, path) {
            Ok(()) => {}
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => return Ok(false),
            // A file system without links.
            Err(_) if path.try_exists()? => return Ok(false),
            Err(_) => fs::rename(&self.0, path)?,
        }
        let _ = if_exists(fs::remove_file(&self.0))?;
        File::open(path.parent().unwrap_or(path))?.sync_all()?;
        Ok(true)
    }
}

impl Drop for Part {
    fn drop(&mut self) {
        // It isn't there any more if it has its name.
        let _ = fs::remove_file(&self.0);
    }
}

fn create_folder(path: &Path) -> io::Result<()> {
    fs::DirBuilder::new().recursive(true).mode(0o700).create(path)
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

    #[tokio::test]
    async fn object_in_pieces_is_whole_or_absent_and_ranges_are_read() {
        let folder = tempfile::tempdir().unwrap();
        let files = Files::open(folder.path()).unwrap();
        let pieces = |pieces: Vec<io::Result<bytes::Bytes>>| futures::stream::iter(pieces).boxed();
        let whole = vec![Ok("01234".into()), Ok("56789".into())];
        files.put_pieces("files/a", "text/plain", pieces(whole)).await.unwrap();
        let broken = vec![Ok("01234".into()), Err(io::Error::other("cut off"))];
        files.put_pieces("files/b", "text/plain", pieces(broken)).await.unwrap_err();
        let again = files.put_pieces("files/a", "text/plain", pieces(vec![Ok("other".into())])).await;
        assert!(matches!(again, Err(StoreError::Conflict)), "an object was replaced: {again:?}");
        assert_eq!(text(&files, "files/a").await.as_deref(), Some("0123456789"));
        assert_eq!(
            (files.size("files/a").await.unwrap(), files.size("files/b").await.unwrap()),
            (Some(10), None)
        );
        let range = files.get_range("files/a", 3, 6).await.unwrap().unwrap();
        assert_eq!(range.collect().await.unwrap(), b"3456");
        assert!(files.get_range("files/b", 0, 0).await.unwrap().is_none());
        let lasting = || fs::read_dir(folder.path().join(LASTING_FOLDER)).unwrap().count();
        assert_eq!(lasting(), 1, "the part of the broken object is removed");
        fs::write(folder.path().join(LASTING_FOLDER).join("abc.7.part"), "half").unwrap();
        let files = Files::open(folder.path()).unwrap();
        let day = Duration::from_secs(24 * 3600);
        assert_eq!((files.0.sweep(SystemTime::now() + 400 * day).unwrap(), lasting()), (0, 1));
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

    #[tokio::test]
    async fn objects_of_jobs_are_swept_after_ninety_days_and_those_of_an_earlier_version_are_read() {
        let folder = tempfile::tempdir().unwrap();
        let files = Files::open(folder.path()).unwrap();
        files.put("jobs/1/input", "application/json", b"new".to_vec()).await.unwrap();
        assert_eq!(text(&files, "jobs/1/input").await.as_deref(), Some("new"));
        let day = Duration::from_secs(24 * 3600);
        assert_eq!(files.0.sweep(SystemTime::now() + 89 * day).unwrap(), 0);
        assert_eq!(files.0.sweep(SystemTime::now() + 91 * day).unwrap(), 1);
        assert_eq!(text(&files, "jobs/1/input").await, None);
        let earlier = hex(Sha256::digest(b"jobs/2/input"));
        files.0.write(&earlier, b"old").unwrap();
        assert_eq!(text(&files, "jobs/2/input").await.as_deref(), Some("old"));
        files.delete("jobs/2/input").await.unwrap();
        assert_eq!(text(&files, "jobs/2/input").await, None);
    }
}
