//! The prefix cache on disk, while its model isn't in memory.
//!
//! A worker that is to end saves its cached tokens into its model's folder, and the next worker for the same model
//! reads and removes them. The states are llama.cpp's sequence files; a manifest beside them says which program and
//! model wrote them. Files that don't match are deleted: their tokens can be computed again.
//!
//! The files contain people's prompts, encoded, so only their owner can read the folder.

use std::{
    fs, io,
    os::unix::fs::DirBuilderExt as _,
    path::{Path, PathBuf},
    time::{Duration, Instant, UNIX_EPOCH},
};

use serde::{Deserialize, Serialize};

use crate::frames::LoadSpec;

/// Time that a worker may write before it ends.
const SAVE_TIMEOUT: Duration = Duration::from_secs(8);
/// Age at which a model's unread files are deleted.
const UNREAD_FILES_TTL: Duration = Duration::from_secs(30 * 24 * 3600);
const MANIFEST_FILE: &str = "manifest.json";

/// The folder of one model's saved prefixes.
#[derive(Debug)]
pub(super) struct PrefixFiles {
    folder: PathBuf,
    writer: Writer,
}

/// The program and model that keys and values were computed with. Others can't use them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Writer {
    /// This program's version: another one may have another llama.cpp.
    version: String,
    model_bytes: u64,
    /// Modification time of the model's file, in milliseconds since 1970.
    model_modified: u64,
    gpu_layers: u32,
}

#[derive(Debug, Serialize, Deserialize)]
struct Manifest {
    writer: Writer,
    /// Least recently used first.
    files: Vec<ManifestEntry>,
}

#[derive(Debug, Serialize, Deserialize)]
struct ManifestEntry {
    name: String,
    crc32: u32,
}

/// Saved prefixes. Their folder is deleted when this is dropped.
pub(super) struct SavedPrefixes {
    folder: PathBuf,
    /// The undamaged files, least recently used first.
    pub(super) files: Vec<PathBuf>,
}

impl Drop for SavedPrefixes {
    fn drop(&mut self) {
        remove(&self.folder);
    }
}

impl PrefixFiles {
    /// The folder of the model that `spec` names; `None` if its prefix cache is not kept on disk.
    pub(super) fn new(spec: &LoadSpec) -> io::Result<Option<Self>> {
        let Some(folder) = &spec.prefix_folder else { return Ok(None) };
        let model = fs::metadata(&spec.path)?;
        let modified = model.modified()?.duration_since(UNIX_EPOCH).unwrap_or_default();
        let writer = Writer {
            version: env!("CARGO_PKG_VERSION").to_owned(),
            model_bytes: model.len(),
            model_modified: u64::try_from(modified.as_millis()).unwrap_or(u64::MAX),
            gpu_layers: spec.gpu_layers,
        };
        Ok(Some(Self { folder: folder.clone(), writer }))
    }

    /// Saves `prefixes`, most recently used first, until they take `max_bytes` or [`SAVE_TIMEOUT`] is over. `write`
    /// writes one of them to a path, and returns its size in bytes. The folder appears as a whole or not at all.
    /// Returns the number of saved prefixes.
    pub(super) fn save<T>(
        &self,
        prefixes: Vec<T>,
        max_bytes: u64,
        mut write: impl FnMut(T, &Path) -> Result<u64, String>,
    ) -> io::Result<usize> {
        let (began, mut bytes, mut files) = (Instant::now(), 0, Vec::new());
        let part = self.folder.with_extension("part");
        remove(&part);
        self.delete_unread();
        fs::DirBuilder::new().recursive(true).mode(0o700).create(&part)?;
        for (number, prefix) in prefixes.into_iter().enumerate() {
            if bytes >= max_bytes || began.elapsed() > SAVE_TIMEOUT {
                break;
            }
            let name = format!("{number}.state");
            let path = part.join(&name);
            bytes += write(prefix, &path).map_err(io::Error::other).inspect_err(|_| remove(&part))?;
            if bytes > max_bytes {
                fs::remove_file(&path)?;
                break;
            }
            files.push(ManifestEntry { name, crc32: checksum(&path)? });
        }
        let saved = files.len();
        files.reverse();
        if saved > 0 {
            let manifest = Manifest { writer: self.writer.clone(), files };
            fs::write(part.join(MANIFEST_FILE), serde_json::to_vec(&manifest)?)?;
            remove(&self.folder);
            fs::rename(&part, &self.folder)?;
        } else {
            remove(&part);
        }
        Ok(saved)
    }

    /// Deletes old folders of all models, some of which may no longer exist.
    fn delete_unread(&self) {
        let Some(Ok(models)) = self.folder.parent().map(fs::read_dir) else { return };
        for model in models.flatten() {
            let age = model.metadata().and_then(|of| of.modified()).ok().and_then(|at| at.elapsed().ok());
            if age.is_some_and(|age| age > UNREAD_FILES_TTL) {
                remove(&model.path());
            }
        }
    }

    /// Takes the saved prefixes out of the folder, if this program and model wrote them. If a file crashes its
    /// reader, the next worker doesn't find it again.
    pub(super) fn take(&self) -> Option<SavedPrefixes> {
        let folder = self.folder.with_extension("taken");
        remove(&folder);
        fs::rename(&self.folder, &folder).ok()?;
        let mut saved = SavedPrefixes { folder, files: Vec::new() };
        let manifest = fs::read(saved.folder.join(MANIFEST_FILE)).ok()?;
        let manifest: Manifest = serde_json::from_slice(&manifest).ok()?;
        if manifest.writer != self.writer {
            return None;
        }
        for entry in manifest.files {
            // Only the file name, so that an entry can't point outside the folder.
            let path = saved.folder.join(Path::new(&entry.name).file_name()?);
            match checksum(&path) {
                Ok(crc32) if crc32 == entry.crc32 => saved.files.push(path),
                _ => tracing::warn!("a prefix on disk is damaged, and is skipped"),
            }
        }
        Some(saved)
    }
}

fn checksum(path: &Path) -> io::Result<u32> {
    struct Sum(crc32fast::Hasher);
    impl io::Write for Sum {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.update(bytes);
            Ok(bytes.len())
        }
        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }
    let mut sum = Sum(crc32fast::Hasher::new());
    io::copy(&mut fs::File::open(path)?, &mut sum)?;
    Ok(sum.0.finalize())
}

/// Deletes a folder, if it exists.
fn remove(folder: &Path) {
    if let Err(error) = fs::remove_dir_all(folder)
        && error.kind() != io::ErrorKind::NotFound
    {
        tracing::warn!(folder = %folder.display(), %error, "a folder of saved prefixes can't be deleted");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn files(folder: &Path, model_bytes: u64) -> PrefixFiles {
        let writer = Writer { version: "1".into(), model_bytes, model_modified: 3, gpu_layers: 0 };
        PrefixFiles { folder: folder.join("model"), writer }
    }

    fn save(files: &PrefixFiles, texts: &[&str], max_bytes: u64) -> usize {
        let write = |text: &str, path: &Path| {
            fs::write(path, text).map_err(|error| error.to_string())?;
            Ok(text.len() as u64)
        };
        files.save(texts.to_vec(), max_bytes, write).unwrap()
    }

    fn take(files: &PrefixFiles) -> Vec<String> {
        let saved = files.take();
        let paths = saved.iter().flat_map(|saved| &saved.files);
        paths.map(|path| fs::read_to_string(path).unwrap()).collect()
    }

    #[test]
    fn saved_prefixes_are_read_once_least_recently_used_first() {
        let folder = tempfile::tempdir().unwrap();
        let files = files(folder.path(), 7);
        assert_eq!(save(&files, &["hot", "warm", "cold"], 100), 3);
        assert_eq!(take(&files), ["cold", "warm", "hot"]);
        assert!(take(&files).is_empty());
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0);
    }

    #[test]
    fn prefixes_beyond_the_limit_are_skipped_and_a_new_save_replaces_the_old() {
        let folder = tempfile::tempdir().unwrap();
        let files = files(folder.path(), 7);
        assert_eq!(save(&files, &["hot", "warm", "cold"], 8), 2);
        assert_eq!(save(&files, &["new"], 8), 1);
        assert_eq!(save(&files, &[], 8), 0);
        assert_eq!(take(&files), ["new"]);
    }

    #[test]
    fn damaged_files_and_files_of_another_model_are_not_read() {
        let folder = tempfile::tempdir().unwrap();
        let files = files(folder.path(), 7);
        save(&files, &["hot", "warm"], 100);
        fs::write(files.folder.join("1.state"), "wa").unwrap();
        assert_eq!(take(&files), ["hot"]);
        save(&files, &["hot"], 100);
        assert!(take(&self::files(folder.path(), 8)).is_empty());
        save(&files, &["hot"], 100);
        fs::write(files.folder.join(MANIFEST_FILE), "{").unwrap();
        assert!(take(&files).is_empty());
    }

    #[test]
    fn failed_save_leaves_no_files() {
        let folder = tempfile::tempdir().unwrap();
        let files = files(folder.path(), 7);
        assert!(files.save(vec![1], 100, |_, _| Err("the disk is full".into())).is_err());
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0);
    }
}
