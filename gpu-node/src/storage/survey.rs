//! The contents of a model folder, and the size of each.

use std::{
    collections::BTreeSet,
    fs::{self, File},
    path::{Path, PathBuf},
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use hearth_domain::Timestamp;

use super::{
    last_used::LastUsed,
    policy::{Item, Keep},
};
use crate::model_files::ModelFiles;

/// Depth of folders below the model folder that are searched.
const FOLDERS_MAX_DEPTH: usize = 8;
/// A download that was written to within this time is still running, in any process.
const DOWNLOAD_IDLE_TIMEOUT: Duration = Duration::from_secs(60 * 60);

/// A model folder's contents.
#[derive(Debug, Default)]
pub struct Survey {
    /// The models and unfinished downloads, with their files.
    pub entries: Vec<Entry>,
    /// Bytes of the folder's other files.
    pub other_bytes: u64,
}

/// A model or an unfinished download.
#[derive(Debug)]
pub struct Entry {
    /// The item, for a policy.
    pub item: Item,
    /// Its files.
    pub files: Vec<PathBuf>,
    /// True if it is an unfinished download.
    pub unfinished: bool,
}

impl Survey {
    /// Reads `folder`. `models` are the models of the folder and of files elsewhere; `keep` returns the reason why a model
    /// must not be removed.
    #[must_use]
    pub fn of(
        folder: &Path,
        models: &ModelFiles,
        used: &LastUsed,
        keep: impl Fn(&str) -> Option<Keep>,
        now: Timestamp,
    ) -> Self {
        let mut survey = Self::default();
        let real = folder.canonicalize().unwrap_or_else(|_| folder.to_owned());
        let mut of_models = BTreeSet::new();
        for model in models.values() {
            let inside = model.parts.iter().all(|part| is_inside(part, folder, &real));
            let changed = model.modified.map_or(now, timestamp).min(now);
            survey.entries.push(Entry {
                item: Item {
                    id: model.id.clone(),
                    bytes: model.size_bytes,
                    last_used: used.get(&model.id).map_or(changed, |used| used.max(changed)),
                    keep: if inside { keep(&model.id) } else { Some(Keep::Outside) },
                },
                files: model.parts.clone(),
                unfinished: false,
            });
            of_models.extend(model.parts.iter().cloned());
        }
        survey.walk(folder, folder, &of_models, now, 0);
        survey
    }

    /// Bytes of all files in the folder.
    #[must_use]
    pub fn total(&self) -> u64 {
        let inside = self.entries.iter().filter(|entry| entry.item.keep != Some(Keep::Outside));
        inside.fold(self.other_bytes, |sum, entry| sum.saturating_add(entry.item.bytes))
    }

    /// The items, for a policy.
    #[must_use]
    pub fn items(&self) -> Vec<Item> {
        self.entries.iter().map(|entry| entry.item.clone()).collect()
    }

    /// Adds the files that belong to no model. Links are neither followed nor counted.
    fn walk(
        &mut self,
        root: &Path,
        folder: &Path,
        of_models: &BTreeSet<PathBuf>,
        now: Timestamp,
        depth: usize,
    ) {
        let Ok(entries) = fs::read_dir(folder) else { return };
        for entry in entries.flatten() {
            // The metadata of a link itself, not of its target.
            let (path, Ok(metadata)) = (entry.path(), entry.metadata()) else { continue };
            if metadata.is_dir() && depth < FOLDERS_MAX_DEPTH {
                self.walk(root, &path, of_models, now, depth + 1);
            } else if metadata.is_file() && !of_models.contains(&path) {
                if path.extension().is_some_and(|extension| extension == "part") {
                    self.entries.push(unfinished_download(root, path, &metadata, now));
                } else {
                    self.other_bytes = self.other_bytes.saturating_add(metadata.len());
                }
            }
        }
    }
}

fn unfinished_download(root: &Path, path: PathBuf, metadata: &fs::Metadata, now: Timestamp) -> Entry {
    let last_used = metadata.modified().map_or(now, timestamp).min(now);
    let is_running = last_used.until(now) < DOWNLOAD_IDLE_TIMEOUT || is_locked(&path);
    Entry {
        item: Item {
            id: path.strip_prefix(root).unwrap_or(&path).display().to_string(),
            bytes: metadata.len(),
            last_used,
            keep: is_running.then_some(Keep::InUse),
        },
        files: vec![path],
        unfinished: true,
    }
}

/// Returns whether another process has locked the file: a running download does.
fn is_locked(path: &Path) -> bool {
    File::open(path).is_ok_and(|file| matches!(file.try_lock_shared(), Err(fs::TryLockError::WouldBlock)))
}

/// Returns whether a file is below `folder`, with no link between. `real` is the folder's path without links.
pub(super) fn is_inside(file: &Path, folder: &Path, real: &Path) -> bool {
    let below = file.strip_prefix(folder).or_else(|_| file.strip_prefix(real));
    match (below, file.canonicalize()) {
        (Ok(below), Ok(resolved)) => resolved == real.join(below),
        _ => false,
    }
}

fn timestamp(at: SystemTime) -> Timestamp {
    let seconds = at.duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
    Timestamp::from_unix(i64::try_from(seconds).unwrap_or(i64::MAX))
}
