//! A zip file that is made while it is sent.

use std::{
    io::{self, Write},
    sync::{Arc, Mutex, PoisonError},
};

use serde::Serialize;
use zip::{
    CompressionMethod, ZipWriter,
    write::{SimpleFileOptions, StreamWriter},
};

/// An archive whose bytes are taken as they are made.
pub(super) struct Archive {
    zip: ZipWriter<StreamWriter<Pieces>>,
    pieces: Pieces,
}

/// The bytes that an archive has made and that aren't sent yet.
#[derive(Clone, Default)]
struct Pieces(Arc<Mutex<Vec<u8>>>);

impl Archive {
    pub(super) fn new() -> Self {
        let pieces = Pieces::default();
        Self { zip: ZipWriter::new_stream(pieces.clone()), pieces }
    }

    /// Begins an entry.
    pub(super) fn begin(&mut self, name: &str) -> io::Result<()> {
        // The size isn't known before: an entry may have more than 4 GiB.
        let options =
            SimpleFileOptions::default().compression_method(CompressionMethod::Deflated).large_file(true);
        self.zip.start_file(name, options).map_err(io::Error::other)
    }

    pub(super) fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.zip.write_all(bytes)
    }

    pub(super) fn file(&mut self, name: &str, bytes: &[u8]) -> io::Result<()> {
        self.begin(name)?;
        self.write(bytes)
    }

    pub(super) fn json(&mut self, name: &str, value: &impl Serialize) -> io::Result<()> {
        self.file(name, &serde_json::to_vec_pretty(value)?)
    }

    /// Appends a value to an entry of JSON lines.
    pub(super) fn line(&mut self, value: &impl Serialize) -> io::Result<()> {
        let mut line = serde_json::to_vec(value)?;
        line.push(b'\n');
        self.write(&line)
    }

    /// Takes the bytes that were made since the last call.
    pub(super) fn take(&self) -> Vec<u8> {
        std::mem::take(&mut self.pieces.lock())
    }

    /// Writes the archive's directory; returns the last bytes.
    pub(super) fn finish(self) -> io::Result<Vec<u8>> {
        let Self { zip, pieces } = self;
        zip.finish().map_err(io::Error::other)?;
        let last = std::mem::take(&mut *pieces.lock());
        Ok(last)
    }
}

impl Pieces {
    fn lock(&self) -> std::sync::MutexGuard<'_, Vec<u8>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Write for Pieces {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.lock().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn archive_is_read_as_it_was_written() {
        let mut archive = Archive::new();
        archive.json("one.json", &json!({"a": 1})).unwrap();
        let mut bytes = archive.take();
        archive.begin("two.jsonl").unwrap();
        archive.line(&json!(1)).unwrap();
        archive.line(&json!(2)).unwrap();
        bytes.extend(archive.finish().unwrap());
        let mut zip = zip::ZipArchive::new(io::Cursor::new(bytes)).unwrap();
        let mut text = |name: &str| io::read_to_string(zip.by_name(name).unwrap()).unwrap();
        assert_eq!((text("two.jsonl").as_str(), text("one.json").contains("\"a\": 1")), ("1\n2\n", true));
    }
}
