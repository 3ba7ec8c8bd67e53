//! A file while it isn't whole: its bytes so far, and their hash.

use std::{
    fs::{File, OpenOptions, TryLockError},
    io::{ErrorKind, Read},
    path::{Path, PathBuf},
};

use anyhow::Context;
use sha2::{Digest, Sha256};
use tokio::io::{AsyncWriteExt, BufWriter};

/// Model files are large: fewer, longer writes.
const WRITE_BUFFER: usize = 1 << 20;

/// The file `<target>.part`. It becomes `<target>` when it is whole and its hash is right; until then it
/// stays where it is, and a later download goes on at its end.
pub(super) struct Part {
    path: PathBuf,
    out: BufWriter<tokio::fs::File>,
    hasher: Sha256,
    len: u64,
}

impl Part {
    /// Opens what an earlier download left, or an empty file. Its folder is made if it isn't there.
    ///
    /// # Errors
    /// It can't be opened or read, or another download is writing it.
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
        let out = BufWriter::with_capacity(WRITE_BUFFER, tokio::fs::File::from_std(file));
        Ok(Self { path, out, hasher, len })
    }

    /// How many bytes there are.
    pub(super) fn len(&self) -> u64 {
        self.len
    }

    /// Appends bytes. They are on the disk after [`Self::flush`].
    pub(super) async fn append(&mut self, bytes: &[u8]) -> anyhow::Result<()> {
        self.out.write_all(bytes).await.map_err(|error| self.refused(error))?;
        self.hasher.update(bytes);
        self.len += bytes.len() as u64;
        Ok(())
    }

    /// Hands the bytes to the disk.
    pub(super) async fn flush(&mut self) -> anyhow::Result<()> {
        self.out.flush().await.map_err(|error| self.refused(error))
    }

    /// Deletes the file if nothing has come for it yet.
    pub(super) async fn discard_empty(self) {
        if self.len == 0 {
            let _ = tokio::fs::remove_file(&self.path).await;
        }
    }

    /// What a write that failed means to the person who downloads.
    #[expect(clippy::needless_pass_by_value, reason = "for `map_err`")]
    fn refused(&self, error: std::io::Error) -> anyhow::Error {
        let advice = match error.kind() {
            ErrorKind::StorageFull | ErrorKind::QuotaExceeded => {
                "; what came is kept: make room (`hearth storage` shows what the models take), \
                 and run the command again to go on from there"
            }
            ErrorKind::FileTooLarge => {
                "; what came is kept: the file system takes no file that large (FAT ends at 4 GiB), or the \
                 shell sets a limit (`ulimit -f`)"
            }
            _ => "",
        };
        anyhow::anyhow!("{} can't be written: {error}{advice}", self.path.display())
    }

    /// Drops the bytes: they are of another version of the file.
    pub(super) async fn clear(&mut self) -> anyhow::Result<()> {
        self.flush().await?;
        self.out.get_ref().set_len(0).await?;
        self.hasher = Sha256::new();
        self.len = 0;
        Ok(())
    }

    /// Gives the file its name, if it is what was promised; deletes it if it isn't.
    ///
    /// # Errors
    /// Its hash is another than `sha256`, or the disk refuses.
    pub(super) async fn finish(mut self, sha256: Option<&str>, target: &Path) -> anyhow::Result<()> {
        self.flush().await?;
        let found = hexadecimal(&self.hasher.clone().finalize());
        if let Some(expected) = sha256.filter(|expected| *expected != found) {
            tokio::fs::remove_file(&self.path).await?;
            anyhow::bail!(
                "what came isn't what the hub promised (sha256 {found}, not {expected}), and was deleted; \
                 run the command again to download it anew"
            );
        }
        // Before the name is given: after a power cut a named file is a whole one.
        self.out.get_ref().sync_all().await.map_err(|error| self.refused(error))?;
        tokio::fs::rename(&self.path, target)
            .await
            .with_context(|| format!("{} can't be named {}", self.path.display(), target.display()))
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
        // A file system without locks: two downloads at once end at a wrong hash.
        Err(TryLockError::Error(error)) if error.kind() == ErrorKind::Unsupported => Ok(file),
        Err(TryLockError::Error(error)) => Err(error.into()),
    }
}

fn hash(mut file: &File) -> std::io::Result<(Sha256, u64)> {
    let mut hasher = Sha256::new();
    let mut len = 0;
    let mut buffer = vec![0; WRITE_BUFFER];
    loop {
        let read = file.read(&mut buffer)?;
        if read == 0 {
            return Ok((hasher, len));
        }
        hasher.update(&buffer[..read]);
        len += read as u64;
    }
}

fn hexadecimal(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
