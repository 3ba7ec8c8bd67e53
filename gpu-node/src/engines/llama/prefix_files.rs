//! Kept tokens on disk, while their model isn't in memory.
//!
//! A worker that is to end writes what it keeps into a folder of its model's, and the next one for the same
//! model reads and removes it. The states are llama.cpp's sequence files; a list beside them says what they were
//! made with. Whatever doesn't fit is thrown away: it can be computed again.
//!
//! The folder holds what people said, in another form, and is its owner's alone.

use std::{
    fs, io,
    os::unix::fs::DirBuilderExt as _,
    path::{Path, PathBuf},
    time::{Duration, Instant, UNIX_EPOCH},
};

use serde::{Deserialize, Serialize};

use crate::frames::LoadSpec;

/// How long a worker that is to end may write.
const PATIENCE: Duration = Duration::from_secs(8);
/// How long what nobody has come back to stays.
const FORGOTTEN: Duration = Duration::from_secs(30 * 24 * 3600);
/// The list's name.
const LIST: &str = "list.json";

/// The folder of one model's kept tokens.
#[derive(Debug)]
pub(super) struct PrefixFiles {
    folder: PathBuf,
    made_with: MadeWith,
}

/// What tokens' keys and values depend on.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct MadeWith {
    /// Of this program: another may have another llama.cpp.
    version: String,
    model_bytes: u64,
    /// When the model's file was last written, in milliseconds since 1970.
    model_written: u64,
    gpu_layers: u32,
}

#[derive(Debug, Serialize, Deserialize)]
struct List {
    made_with: MadeWith,
    /// The coldest first.
    files: Vec<Entry>,
}

#[derive(Debug, Serialize, Deserialize)]
struct Entry {
    name: String,
    crc32: u32,
}

/// What was there, which is removed when this is dropped.
pub(super) struct Taken {
    folder: PathBuf,
    /// Those that are whole, the coldest first.
    pub(super) files: Vec<PathBuf>,
}

impl Drop for Taken {
    fn drop(&mut self) {
        remove(&self.folder);
    }
}

impl PrefixFiles {
    /// Where the kept tokens of the model that `spec` names are; none if they are kept in memory alone.
    pub(super) fn of(spec: &LoadSpec) -> io::Result<Option<Self>> {
        let Some(folder) = &spec.prefix_folder else { return Ok(None) };
        let model = fs::metadata(&spec.path)?;
        let written = model.modified()?.duration_since(UNIX_EPOCH).unwrap_or_default();
        let made_with = MadeWith {
            version: env!("CARGO_PKG_VERSION").to_owned(),
            model_bytes: model.len(),
            model_written: u64::try_from(written.as_millis()).unwrap_or(u64::MAX),
            gpu_layers: spec.gpu_layers,
        };
        Ok(Some(Self { folder: folder.clone(), made_with }))
    }

    /// Has each of `prefixes`, the hottest first, written by `write` to the path it is given, which gives how
    /// many bytes it wrote; until they take `most_bytes`, or it takes too long. They are there as a whole or not
    /// at all. Gives how many.
    pub(super) fn save<T>(
        &self,
        prefixes: Vec<T>,
        most_bytes: u64,
        mut write: impl FnMut(T, &Path) -> Result<u64, String>,
    ) -> io::Result<usize> {
        let (began, mut bytes, mut files) = (Instant::now(), 0, Vec::new());
        let part = self.folder.with_extension("part");
        remove(&part);
        self.forget_old();
        fs::DirBuilder::new().recursive(true).mode(0o700).create(&part)?;
        for (number, prefix) in prefixes.into_iter().enumerate() {
            if bytes >= most_bytes || began.elapsed() > PATIENCE {
                break;
            }
            let name = format!("{number}.state");
            let path = part.join(&name);
            bytes += write(prefix, &path).map_err(io::Error::other).inspect_err(|_| remove(&part))?;
            if bytes > most_bytes {
                fs::remove_file(&path)?;
                break;
            }
            files.push(Entry { name, crc32: checksum(&path)? });
        }
        let saved = files.len();
        files.reverse();
        if saved > 0 {
            let list = List { made_with: self.made_with.clone(), files };
            fs::write(part.join(LIST), serde_json::to_vec(&list)?)?;
            remove(&self.folder);
            fs::rename(&part, &self.folder)?;
        } else {
            remove(&part);
        }
        Ok(saved)
    }

    /// Removes what other models have left long ago: they may be gone.
    fn forget_old(&self) {
        let Some(Ok(models)) = self.folder.parent().map(fs::read_dir) else { return };
        for model in models.flatten() {
            let age = model.metadata().and_then(|of| of.modified()).ok().and_then(|at| at.elapsed().ok());
            if age.is_some_and(|age| age > FORGOTTEN) {
                remove(&model.path());
            }
        }
    }

    /// Takes what was saved with the same model, as far as it is whole. It is nowhere else from then on: were it
    /// to bring its reader down, the next one would not find it.
    pub(super) fn take(&self) -> Option<Taken> {
        let folder = self.folder.with_extension("taken");
        remove(&folder);
        fs::rename(&self.folder, &folder).ok()?;
        let mut taken = Taken { folder, files: Vec::new() };
        let list = fs::read(taken.folder.join(LIST)).ok()?;
        let list: List = serde_json::from_slice(&list).ok()?;
        if list.made_with != self.made_with {
            return None;
        }
        for entry in list.files {
            // A name is a file's of the folder, whatever the list says.
            let path = taken.folder.join(Path::new(&entry.name).file_name()?);
            match checksum(&path) {
                Ok(crc32) if crc32 == entry.crc32 => taken.files.push(path),
                _ => tracing::warn!("kept tokens on disk are damaged, and are left out"),
            }
        }
        Some(taken)
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

/// Removes a folder, if it is there.
fn remove(folder: &Path) {
    if let Err(error) = fs::remove_dir_all(folder)
        && error.kind() != io::ErrorKind::NotFound
    {
        tracing::warn!(folder = %folder.display(), %error, "kept tokens can't be removed from disk");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn files(folder: &Path, model_bytes: u64) -> PrefixFiles {
        let made_with = MadeWith { version: "1".into(), model_bytes, model_written: 3, gpu_layers: 0 };
        PrefixFiles { folder: folder.join("model"), made_with }
    }

    fn save(files: &PrefixFiles, texts: &[&str], most_bytes: u64) -> usize {
        let write = |text: &str, path: &Path| {
            fs::write(path, text).map_err(|error| error.to_string())?;
            Ok(text.len() as u64)
        };
        files.save(texts.to_vec(), most_bytes, write).unwrap()
    }

    fn taken(files: &PrefixFiles) -> Vec<String> {
        let taken = files.take();
        let texts = taken.iter().flat_map(|taken| &taken.files);
        texts.map(|kept| fs::read_to_string(kept).unwrap()).collect()
    }

    #[test]
    fn what_was_saved_is_read_back_once_the_coldest_first() {
        let folder = tempfile::tempdir().unwrap();
        let files = files(folder.path(), 7);
        assert_eq!(save(&files, &["hot", "warm", "cold"], 100), 3);
        assert_eq!(taken(&files), ["cold", "warm", "hot"]);
        assert!(taken(&files).is_empty());
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0);
    }

    #[test]
    fn what_has_no_room_is_left_out_and_the_newest_takes_the_place() {
        let folder = tempfile::tempdir().unwrap();
        let files = files(folder.path(), 7);
        assert_eq!(save(&files, &["hot", "warm", "cold"], 8), 2);
        assert_eq!(save(&files, &["new"], 8), 1);
        assert_eq!(save(&files, &[], 8), 0);
        assert_eq!(taken(&files), ["new"]);
    }

    #[test]
    fn what_is_damaged_or_of_another_model_is_not_read() {
        let folder = tempfile::tempdir().unwrap();
        let files = files(folder.path(), 7);
        save(&files, &["hot", "warm"], 100);
        fs::write(files.folder.join("1.state"), "wa").unwrap();
        assert_eq!(taken(&files), ["hot"]);
        save(&files, &["hot"], 100);
        assert!(taken(&self::files(folder.path(), 8)).is_empty());
        save(&files, &["hot"], 100);
        fs::write(files.folder.join(LIST), "{").unwrap();
        assert!(taken(&files).is_empty());
    }

    #[test]
    fn a_write_that_fails_leaves_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let files = files(folder.path(), 7);
        assert!(files.save(vec![1], 100, |_, _| Err("the disk is full".into())).is_err());
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0);
    }
}
