//! Writes a range of an unfinished file.

use std::{
    io::SeekFrom,
    path::Path,
    time::{Duration, Instant},
};

use tokio::{
    fs::{File, OpenOptions},
    io::{AsyncSeekExt as _, AsyncWriteExt as _},
};

use super::{
    error::{Abort, DownloadError},
    meter::Meter,
    part::Range,
};

/// Bytes of a write. Model files are large, so writes are few and long.
const WRITE_BUFFER_BYTES: usize = 1 << 20;
/// Age at which buffered bytes are written.
pub(super) const FLUSH_INTERVAL: Duration = Duration::from_millis(250);
/// The first bytes of a model file.
pub(super) const MAGIC: &[u8] = b"GGUF";

/// Writes a range from its next byte on, and counts the bytes that are in the file.
pub(super) struct RangeWriter<'a> {
    path: &'a Path,
    range: &'a Range,
    meter: &'a Meter,
    file: File,
    buffer: Vec<u8>,
    flushed_at: Instant,
    is_checked: bool,
}

impl<'a> RangeWriter<'a> {
    /// Opens the file at the range's next byte. `is_checked`: the file must begin as GGUF files do.
    pub(super) async fn open(
        path: &'a Path,
        range: &'a Range,
        meter: &'a Meter,
        is_checked: bool,
    ) -> Result<Self, Abort> {
        let write_error = |error: std::io::Error| DownloadError::write(path, &error);
        let mut file = OpenOptions::new().write(true).open(path).await.map_err(write_error)?;
        file.seek(SeekFrom::Start(range.position())).await.map_err(write_error)?;
        let is_checked = is_checked && range.position() == 0;
        Ok(Self { path, range, meter, file, buffer: Vec::new(), flushed_at: Instant::now(), is_checked })
    }

    /// Position of the next byte.
    pub(super) fn position(&self) -> u64 {
        self.range.position() + self.buffer.len() as u64
    }

    /// Buffers bytes, and writes them when they are many or old.
    pub(super) async fn write(&mut self, bytes: &[u8]) -> Result<(), Abort> {
        self.buffer.extend_from_slice(bytes);
        let is_due = self.buffer.len() >= WRITE_BUFFER_BYTES || self.flushed_at.elapsed() >= FLUSH_INTERVAL;
        if is_due { self.flush_whole().await } else { Ok(()) }
    }

    /// Writes the buffered bytes, if they can be checked.
    pub(super) async fn flush_whole(&mut self) -> Result<(), Abort> {
        if self.buffer.len() >= MAGIC.len() { self.flush().await } else { Ok(()) }
    }

    /// Writes the buffered bytes.
    pub(super) async fn flush(&mut self) -> Result<(), Abort> {
        self.flushed_at = Instant::now();
        if self.buffer.is_empty() {
            return Ok(());
        }
        if self.is_checked && !self.buffer.starts_with(MAGIC) {
            return Err(no_gguf().into());
        }
        self.is_checked = false;
        let write_error = |error: std::io::Error| DownloadError::write(self.path, &error);
        self.file.write_all(&self.buffer).await.map_err(write_error)?;
        self.file.flush().await.map_err(write_error)?;
        let bytes = self.buffer.len() as u64;
        self.buffer.clear();
        self.range.advance(bytes);
        self.meter.add(bytes);
        Ok(())
    }
}

/// The error of a file that doesn't begin as a model file.
pub(super) fn no_gguf() -> DownloadError {
    DownloadError::invalid_source("the file is no model in GGUF: it doesn't begin as one")
}
