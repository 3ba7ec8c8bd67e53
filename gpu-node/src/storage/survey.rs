//! What a model folder holds, and what each thing takes.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs::{self, File},
    path::{Path, PathBuf},
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use hearth_domain::Timestamp;

use super::{
    last_used::LastUsed,
    policy::{Item, Keep},
};
use crate::catalog::ModelFile;

/// Folders below the model folder that are looked into.
const MAX_DEPTH: usize = 8;
/// A download that was written to lately is going on, whoever does it.
const LATELY: Duration = Duration::from_secs(60 * 60);

/// A model folder's contents.
#[derive(Debug, Default)]
pub struct Survey {
    /// The models, and downloads that aren't whole, with their files.
    pub entries: Vec<Entry>,
    /// What the folder's other files take, in bytes.
    pub other_bytes: u64,
}

/// Something that takes room.
#[derive(Debug)]
pub struct Entry {
    /// What a policy judges.
    pub item: Item,
    /// Its files.
    pub files: Vec<PathBuf>,
    /// Whether it is a download that isn't whole.
    pub unfinished: bool,
}

impl Survey {
    /// Looks through `folder`. `models` are those of its catalog, and of files elsewhere; `keep` says of a
    /// model's id whether it is to stay.
    #[must_use]
    pub fn of(
        folder: &Path,
        models: &BTreeMap<String, ModelFile>,
        used: &LastUsed,
        keep: impl Fn(&str) -> Option<Keep>,
        now: Timestamp,
    ) -> Self {
        let mut survey = Self::default();
        let real = folder.canonicalize().unwrap_or_else(|_| folder.to_owned());
        let mut of_models = BTreeSet::new();
        for model in models.values() {
            let inside = model.parts.iter().all(|part| is_inside(part, folder, &real));
            let changed = model.modified.map_or(now, moment).min(now);
            survey.entries.push(Entry {
                item: Item {
                    id: model.id.clone(),
                    bytes: model.size_bytes,
                    last_used: used.of(&model.id).map_or(changed, |used| used.max(changed)),
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

    /// What everything in the folder takes, in bytes.
    #[must_use]
    pub fn total(&self) -> u64 {
        let inside = self.entries.iter().filter(|entry| entry.item.keep != Some(Keep::Outside));
        inside.fold(self.other_bytes, |sum, entry| sum.saturating_add(entry.item.bytes))
    }

    /// The things a policy judges.
    #[must_use]
    pub fn items(&self) -> Vec<Item> {
        self.entries.iter().map(|entry| entry.item.clone()).collect()
    }

    /// Adds the files that aren't models'. Links are neither followed nor counted.
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
            // Of the entry itself, not of what a link leads to.
            let (path, Ok(metadata)) = (entry.path(), entry.metadata()) else { continue };
            if metadata.is_dir() && depth < MAX_DEPTH {
                self.walk(root, &path, of_models, now, depth + 1);
            } else if metadata.is_file() && !of_models.contains(&path) {
                if path.extension().is_some_and(|extension| extension == "part") {
                    self.entries.push(unfinished(root, path, &metadata, now));
                } else {
                    self.other_bytes = self.other_bytes.saturating_add(metadata.len());
                }
            }
        }
    }
}

fn unfinished(root: &Path, path: PathBuf, metadata: &fs::Metadata, now: Timestamp) -> Entry {
    let last_used = metadata.modified().map_or(now, moment).min(now);
    let going_on = last_used.until(now) < LATELY || is_locked(&path);
    Entry {
        item: Item {
            id: path.strip_prefix(root).unwrap_or(&path).display().to_string(),
            bytes: metadata.len(),
            last_used,
            keep: going_on.then_some(Keep::InUse),
        },
        files: vec![path],
        unfinished: true,
    }
}

/// Whoever downloads holds a lock on the file.
fn is_locked(path: &Path) -> bool {
    File::open(path).is_ok_and(|file| matches!(file.try_lock_shared(), Err(fs::TryLockError::WouldBlock)))
}

/// Whether a file lies below `folder` without any link on the way. `real` is the folder without links.
pub(super) fn is_inside(file: &Path, folder: &Path, real: &Path) -> bool {
    let below = file.strip_prefix(folder).or_else(|_| file.strip_prefix(real));
    match (below, file.canonicalize()) {
        (Ok(below), Ok(found)) => found == real.join(below),
        _ => false,
    }
}

fn moment(at: SystemTime) -> Timestamp {
    let seconds = at.duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
    Timestamp::from_unix(i64::try_from(seconds).unwrap_or(i64::MAX))
}
