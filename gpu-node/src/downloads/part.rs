//! An unfinished file, and the ranges of it that are on the disk.

use std::{
    fs::{self, File, OpenOptions, TryLockError},
    io::{self, ErrorKind, Read},
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};

use hearth_domain::JobErrorCode;
use hearth_files::{Access, write_atomically};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::error::DownloadError;

/// Bytes that are read at a time for a hash.
const READ_BUFFER_BYTES: usize = 1 << 20;
const VERSION: u32 = 1;

/// The file `<target>.part`, renamed to `<target>` when it is complete. Beside it `<target>.part.json` has its ranges, once it has
/// bytes of several; without that file, all bytes are one range from the beginning.
#[derive(Debug)]
pub(super) struct Part {
    pub(super) path: PathBuf,
    file: File,
    pub(super) etag: Option<String>,
    pub(super) ranges: Vec<Arc<Range>>,
}

/// A range of the file, which one connection fills from its beginning.
#[derive(Debug)]
pub(super) struct Range {
    /// Position of its first byte.
    pub(super) from: u64,
    /// Position after its last byte; none if the size of the file is unknown.
    pub(super) to: Option<u64>,
    /// Bytes from `from` that are in the file.
    done: AtomicU64,
}

#[derive(Serialize, Deserialize)]
struct StoredMap {
    v: u32,
    etag: Option<String>,
    size: Option<u64>,
    /// Beginning, end and bytes of each range.
    ranges: Vec<(u64, Option<u64>, u64)>,
}

impl Range {
    pub(super) fn new(from: u64, to: Option<u64>, done: u64) -> Self {
        Self { from, to, done: AtomicU64::new(done) }
    }

    pub(super) fn done(&self) -> u64 {
        self.done.load(Ordering::Acquire)
    }

    /// Counts further bytes that are in the file.
    pub(super) fn advance(&self, bytes: u64) {
        self.done.fetch_add(bytes, Ordering::AcqRel);
    }

    /// Position of the next byte.
    pub(super) fn position(&self) -> u64 {
        self.from + self.done()
    }

    /// True if all bytes are there.
    pub(super) fn is_complete(&self) -> bool {
        self.to.is_some_and(|to| self.position() >= to)
    }
}

impl Part {
    /// Opens the part of an earlier download of a file of this size, or creates an empty one and its folder. `is_verified`: a
    /// SHA-256 detects the bytes of another file.
    ///
    /// # Errors
    /// It can't be opened, or another download is writing it.
    pub(super) fn open(target: &Path, size: Option<u64>, is_verified: bool) -> Result<Self, DownloadError> {
        let path = part_path(target);
        let file = open_locked(&path)?;
        let length = file.metadata().map_err(|error| DownloadError::write(&path, &error))?.len();
        let mut part = Self { path, file, etag: None, ranges: Vec::new() };
        match part.read_map() {
            Some(map) if map.v == VERSION && map.size == size && part.restore(&map, length) => {
                part.etag = map.etag;
            }
            None if length > 0 && is_verified && size.is_none_or(|size| length <= size) => {
                part.ranges = vec![Arc::new(Range::new(0, size, length))];
            }
            _ if length > 0 => part.clear()?,
            _ => {}
        }
        Ok(part)
    }

    /// Takes over the ranges of a map, unless they aren't those of the file.
    fn restore(&mut self, map: &StoredMap, length: u64) -> bool {
        let mut end = 0;
        for (from, to, done) in &map.ranges {
            let is_within = to.is_none_or(|to| from.saturating_add(*done) <= to && *from <= to);
            // A file that is shorter than its map has lost bytes, by a power cut.
            if *from != end || !is_within || (*done > 0 && from.saturating_add(*done) > length) {
                return false;
            }
            end = to.unwrap_or(u64::MAX);
        }
        let ranges = map.ranges.iter().map(|(from, to, done)| Arc::new(Range::new(*from, *to, *done)));
        self.ranges = ranges.collect();
        true
    }

    /// Bytes so far.
    pub(super) fn done(&self) -> u64 {
        self.ranges.iter().map(|range| range.done()).sum()
    }

    /// Divides the empty file among `count` connections.
    pub(super) fn divide(&mut self, size: Option<u64>, count: u64) {
        let Some(size) = size.filter(|_| count > 1) else {
            self.ranges = vec![Arc::new(Range::new(0, size, 0))];
            return;
        };
        let length = size.div_ceil(count);
        let ranges = (0..count).map(|index| (index * length, ((index + 1) * length).min(size)));
        self.ranges = ranges
            .filter(|(from, to)| from < to)
            .map(|(from, to)| Arc::new(Range::new(from, Some(to), 0)))
            .collect();
    }

    /// Returns the work that writes the ranges to the disk, after the bytes.
    pub(super) fn saving(&self) -> impl FnOnce() -> Result<(), DownloadError> + Send + use<> {
        let size = self.ranges.last().and_then(|range| range.to);
        let ranges = self.ranges.iter().map(|range| (range.from, range.to, range.done())).collect();
        let map = StoredMap { v: VERSION, etag: self.etag.clone(), size, ranges };
        let (file, path, map_path, is_empty) = (
            self.file.try_clone(),
            self.path.clone(),
            self.map_path(),
            self.done() == 0 && self.ranges.len() <= 1,
        );
        move || {
            let write = || -> io::Result<()> {
                file?.sync_data()?;
                write_atomically(&map_path, &serde_json::to_vec(&map)?, Access::Umask)
            };
            if is_empty { Ok(()) } else { write().map_err(|error| DownloadError::write(&path, &error)) }
        }
    }

    /// Removes all bytes, since they are of another version of the file.
    pub(super) fn clear(&mut self) -> Result<(), DownloadError> {
        self.ranges = Vec::new();
        self.etag = None;
        self.remove_map();
        self.file.set_len(0).map_err(|error| DownloadError::write(&self.path, &error))
    }

    /// Deletes the file after an error if it has no bytes that a later download can use.
    pub(super) fn discard_after(&self, error: &DownloadError) {
        if error.code == JobErrorCode::InvalidSource {
            return self.discard();
        }
        let is_empty = self.file.metadata().is_ok_and(|data| data.len() == 0);
        if self.done() == 0 && (is_empty || self.ranges.len() > 1) {
            self.discard();
        }
    }

    /// Deletes the file.
    pub(super) fn discard(&self) {
        self.remove_map();
        let _ = fs::remove_file(&self.path);
    }

    /// Compares the complete file with its SHA-256, and deletes it if it is another one.
    ///
    /// # Errors
    /// The hash differs, or the disk fails.
    pub(super) fn verify(&self, sha256: Option<&str>) -> Result<(), DownloadError> {
        let write_error = |error: io::Error| DownloadError::write(&self.path, &error);
        self.file.set_len(self.done()).map_err(write_error)?;
        if let Some(expected) = sha256 {
            let actual = sha256_of(&self.path).map_err(write_error)?;
            if actual != expected {
                self.discard();
                let message = format!(
                    "the file isn't the one that the source lists (sha256 {actual}, not {expected}), and was deleted; download \
                     again to get it anew"
                );
                return Err(DownloadError::new(JobErrorCode::ChecksumMismatch, message));
            }
        }
        // Sync before the rename, so that a file with its final name is complete even after a power cut.
        self.file.sync_all().map_err(write_error)
    }

    /// Renames the verified file to its target.
    ///
    /// # Errors
    /// The disk fails.
    pub(super) fn finish(&self, target: &Path) -> Result<(), DownloadError> {
        fs::rename(&self.path, target).map_err(|error| DownloadError::write(target, &error))?;
        self.remove_map();
        Ok(())
    }

    fn read_map(&self) -> Option<StoredMap> {
        serde_json::from_slice(&fs::read(self.map_path()).ok()?).ok()
    }

    fn remove_map(&self) {
        let _ = fs::remove_file(self.map_path());
    }

    fn map_path(&self) -> PathBuf {
        map_path(&self.path)
    }
}

/// The path of the unfinished file.
pub(super) fn part_path(target: &Path) -> PathBuf {
    with_suffix(target, ".part")
}

fn map_path(part: &Path) -> PathBuf {
    with_suffix(part, ".json")
}

fn with_suffix(path: &Path, suffix: &str) -> PathBuf {
    let mut path = path.as_os_str().to_owned();
    path.push(suffix);
    PathBuf::from(path)
}

/// Deletes the unfinished file of `target`, unless a download is writing it.
pub(super) fn discard(target: &Path) {
    let part = part_path(target);
    let Ok(file) = File::open(&part) else { return };
    if matches!(file.try_lock(), Err(TryLockError::WouldBlock)) {
        return;
    }
    let _ = fs::remove_file(map_path(&part));
    let _ = fs::remove_file(part);
}

fn open_locked(path: &Path) -> Result<File, DownloadError> {
    let write_error = |error: io::Error| DownloadError::write(path, &error);
    if let Some(folder) = path.parent() {
        fs::create_dir_all(folder).map_err(write_error)?;
    }
    let file = OpenOptions::new().read(true).write(true).create(true).truncate(false).open(path);
    let file = file.map_err(write_error)?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => Err(DownloadError::new(
            JobErrorCode::WriteFailed,
            format!("{} can't be written: another download is writing it", path.display()),
        )),
        // A file system without locks: two downloads at once fail with a wrong hash.
        Err(TryLockError::Error(error)) if error.kind() == ErrorKind::Unsupported => Ok(file),
        Err(TryLockError::Error(error)) => Err(write_error(error)),
    }
}

/// The SHA-256 of a file, in hexadecimal. It waits for the disk.
pub(super) fn sha256_of(path: &Path) -> io::Result<String> {
    File::open(path).and_then(hash)
}

fn hash(mut file: File) -> io::Result<String> {
    let mut hasher = Sha256::new();
    let mut buffer = vec![0; READ_BUFFER_BYTES];
    loop {
        let read = file.read(&mut buffer)?;
        if read == 0 {
            return Ok(hearth_domain::hex(hasher.finalize()));
        }
        hasher.update(&buffer[..read]);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_of_a_stopped_download_are_restored() {
        let folder = tempfile::tempdir().unwrap();
        let target = folder.path().join("m.gguf");
        let mut part = Part::open(&target, Some(1000), true).unwrap();
        part.divide(Some(1000), 3);
        let bounds: Vec<_> = part.ranges.iter().map(|range| (range.from, range.to)).collect();
        assert_eq!(bounds, [(0, Some(334)), (334, Some(668)), (668, Some(1000))]);
        part.file.set_len(700).unwrap();
        part.ranges[0].advance(10);
        part.ranges[2].advance(32);
        part.etag = Some("\"a\"".to_owned());
        part.saving()().unwrap();
        drop(part);
        let part = Part::open(&target, Some(1000), false).unwrap();
        assert_eq!((part.done(), part.etag.as_deref()), (42, Some("\"a\"")));
        assert_eq!(part.ranges[2].position(), 700);
        drop(part);
        // A map of another size, or of more bytes than there are, is of another file.
        assert_eq!(Part::open(&target, Some(1001), true).unwrap().done(), 0);
    }

    #[test]
    fn bytes_without_a_map_are_the_beginning_of_a_file_with_a_hash() {
        let folder = tempfile::tempdir().unwrap();
        let target = folder.path().join("m.gguf");
        fs::write(part_path(&target), [7; 10]).unwrap();
        assert_eq!(Part::open(&target, Some(1000), true).unwrap().done(), 10);
        assert_eq!(Part::open(&target, Some(1000), false).unwrap().done(), 0);
        fs::write(part_path(&target), [7; 10]).unwrap();
        assert_eq!(Part::open(&target, Some(5), true).unwrap().done(), 0);
    }
}
