//! An unfinished download: its bytes so far, and their hash.

use std::{
    fs::{File, OpenOptions, TryLockError},
    io::{ErrorKind, Read},
    path::{Path, PathBuf},
};

use anyhow::Context;
use sha2::{Digest, Sha256};
use tokio::io::{AsyncWriteExt, BufWriter};

/// Size of a write. Model files are large, so writes are few and long.
const WRITE_BUFFER_BYTES: usize = 1 << 20;

/// The file `<target>.part`. It is renamed to `<target>` when it is complete and its hash is right; until then a later
/// download continues at its end.
pub(super) struct Part {
    path: PathBuf,
    out: BufWriter<tokio::fs::File>,
    hasher: Sha256,
    len: u64,
}

impl Part {
    /// Opens the part of an earlier download, or creates an empty one and its folder.
    ///
    /// # Errors
    /// The part can't be opened or read, or another download is writing it.
    pub(super) async fn open(target: &Path) -> anyhow::Result<Self> {
        let mut path = target.as_os_str().to_owned();
        path.push(".part");
        let path = PathBuf::from(path);
        // The earlier bytes are hashed here, which takes as long as the disk takes to read them.
        tokio::task::spawn_blocking(move || Self::open_blocking(path)).await.context("opening failed")?
    }

    fn open_blocking(path: PathBuf) -> anyhow::Result<Self> {
        let file = open_locked(&path).with_context(|| format!("{} can't be written", path.display()))?;
        let (hasher, len) = hash(&file).with_context(|| format!("{} can't be read", path.display()))?;
        let out = BufWriter::with_capacity(WRITE_BUFFER_BYTES, tokio::fs::File::from_std(file));
        Ok(Self { path, out, hasher, len })
    }

    /// Number of bytes so far.
    pub(super) fn len(&self) -> u64 {
        self.len
    }

    /// Appends bytes. They are on the disk after [`Self::flush`].
    pub(super) async fn append(&mut self, bytes: &[u8]) -> anyhow::Result<()> {
        self.out.write_all(bytes).await.map_err(|error| self.write_error(error))?;
        self.hasher.update(bytes);
        self.len += bytes.len() as u64;
        Ok(())
    }

    /// Writes the buffered bytes.
    pub(super) async fn flush(&mut self) -> anyhow::Result<()> {
        self.out.flush().await.map_err(|error| self.write_error(error))
    }

    /// Deletes the file if it is empty.
    pub(super) async fn discard_empty(self) {
        if self.len == 0 {
            let _ = tokio::fs::remove_file(&self.path).await;
        }
    }

    /// Describes a failed write, with advice.
    #[expect(clippy::needless_pass_by_value, reason = "for `map_err`")]
    fn write_error(&self, error: std::io::Error) -> anyhow::Error {
        let advice = match error.kind() {
            ErrorKind::StorageFull | ErrorKind::QuotaExceeded => {
                "; the bytes so far are saved: make room (`hearth storage` shows the size of the models), \
                 and run the command again to continue from there"
            }
            ErrorKind::FileTooLarge => {
                "; the bytes so far are saved: the file system allows no file that large (FAT: 4 GiB), or the \
                 shell sets a limit (`ulimit -f`)"
            }
            _ => "",
        };
        anyhow::anyhow!("{} can't be written: {error}{advice}", self.path.display())
    }

    /// Removes all bytes, since they are of another version of the file.
    pub(super) async fn clear(&mut self) -> anyhow::Result<()> {
        self.flush().await?;
        self.out.get_ref().set_len(0).await?;
        self.hasher = Sha256::new();
        self.len = 0;
        Ok(())
    }

    /// Renames the file to its target if its hash is right, and deletes it otherwise.
    ///
    /// # Errors
    /// The hash differs from `sha256`, or the disk fails.
    pub(super) async fn finish(mut self, sha256: Option<&str>, target: &Path) -> anyhow::Result<()> {
        self.flush().await?;
        let actual = hearth_domain::hex(self.hasher.clone().finalize());
        if let Some(expected) = sha256.filter(|expected| *expected != actual) {
            tokio::fs::remove_file(&self.path).await?;
            anyhow::bail!(
                "the file isn't the one that the hub lists (sha256 {actual}, not {expected}), and was deleted; \
                 run the command again to download it anew"
            );
        }
        // Sync before the rename, so that a file with its final name is complete even after a power cut.
        self.out.get_ref().sync_all().await.map_err(|error| self.write_error(error))?;
        tokio::fs::rename(&self.path, target)
            .await
            .with_context(|| format!("{} can't be renamed to {}", self.path.display(), target.display()))
    }
}

fn open_locked(path: &Path) -> anyhow::Result<File> {
    if let Some(folder) = path.parent() {
        std::fs::create_dir_all(folder)?;
    }
    let file = OpenOptions::new().read(true).append(true).create(true).open(path)?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => anyhow::bail!("another download is writing it"),
        // A file system without locks: two downloads at once fail with a wrong hash.
        Err(TryLockError::Error(error)) if error.kind() == ErrorKind::Unsupported => Ok(file),
        Err(TryLockError::Error(error)) => Err(error.into()),
    }
}

fn hash(mut file: &File) -> std::io::Result<(Sha256, u64)> {
    let mut hasher = Sha256::new();
    let mut len = 0;
    let mut buffer = vec![0; WRITE_BUFFER_BYTES];
    loop {
        let read = file.read(&mut buffer)?;
        if read == 0 {
            return Ok((hasher, len));
        }
        hasher.update(&buffer[..read]);
        len += read as u64;
    }
}
