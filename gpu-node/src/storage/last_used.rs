//! The times at which models were last used, in a small file of the model folder, so that they survive a restart and move
//! with the models.

use std::{
    collections::BTreeMap,
    fs, io,
    path::{Path, PathBuf},
    time::Duration,
};

use hearth_domain::Timestamp;
use hearth_files::{Access, write_atomically};
use serde::{Deserialize, Serialize};

/// The file's name in the model folder.
pub const FILE_NAME: &str = "last_used.json";

/// Time after its last use at which the entry of a missing model is removed.
const MISSING_MODEL_TTL: Duration = Duration::from_secs(90 * 24 * 60 * 60);

/// The times of last use, by the models' ids.
#[derive(Debug, Clone)]
pub struct LastUsed {
    path: PathBuf,
    times: BTreeMap<String, Timestamp>,
    /// True if the file has other times.
    changed: bool,
}

#[derive(Debug, Serialize, Deserialize)]
struct Content {
    models: BTreeMap<String, Timestamp>,
}

impl LastUsed {
    /// Reads the file of the model folder. If it can't be read, there are no times, and the files' own times are used.
    #[must_use]
    pub fn read(folder: &Path) -> Self {
        let path = folder.join(FILE_NAME);
        let times = match fs::read(&path) {
            Ok(bytes) => serde_json::from_slice(&bytes)
                .map(|content: Content| content.models)
                .map_err(|error| error.to_string()),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(BTreeMap::new()),
            Err(error) => Err(error.to_string()),
        };
        let times = times.unwrap_or_else(|error| {
            tracing::warn!(path = %path.display(), error, "the times of models' last use can't be read; the file is replaced");
            BTreeMap::new()
        });
        Self { path, times, changed: false }
    }

    /// The time of a model's last use, if it is recorded.
    #[must_use]
    pub fn get(&self, model: &str) -> Option<Timestamp> {
        self.times.get(model).copied()
    }

    /// Records a use. [`LastUsed::save`] writes it.
    pub fn record(&mut self, model: &str, at: Timestamp) {
        match self.times.get_mut(model) {
            Some(last) if *last >= at => {}
            Some(last) => {
                *last = at;
                self.changed = true;
            }
            None => {
                self.times.insert(model.to_owned(), at);
                self.changed = true;
            }
        }
    }

    /// Removes the entries of models that are missing and were not used for long. Entries of recently used ones remain,
    /// since their disk may only be unmounted.
    pub fn remove_expired(&mut self, exists: impl Fn(&str) -> bool, now: Timestamp) {
        let before = self.times.len();
        self.times.retain(|model, at| exists(model) || at.until(now) < MISSING_MODEL_TTL);
        self.changed |= self.times.len() != before;
    }

    /// Writes the file, if times have changed.
    ///
    /// # Errors
    /// If the folder can't be written to.
    pub fn save(&mut self) -> io::Result<()> {
        if !self.changed {
            return Ok(());
        }
        let content = serde_json::to_vec_pretty(&Content { models: self.times.clone() })?;
        write_atomically(&self.path, &content, Access::Umask)?;
        self.changed = false;
        Ok(())
    }

    /// Records that `copy`, a copy of this, was saved.
    pub(super) fn mark_saved(&mut self, copy: &Self) {
        self.changed = self.times != copy.times;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_unix(seconds)
    }

    #[test]
    fn recorded_times_are_read_again() {
        let folder = tempfile::tempdir().unwrap();
        let mut used = LastUsed::read(folder.path());
        used.save().unwrap();
        assert!(!folder.path().join(FILE_NAME).exists(), "a file without changes was written");
        used.record("a", at(5));
        used.record("a", at(9));
        used.record("a", at(7));
        used.record("gone", at(1));
        used.record("away", at(8));
        used.save().unwrap();

        let mut used = LastUsed::read(folder.path());
        assert_eq!((used.get("a"), used.get("gone"), used.get("b")), (Some(at(9)), Some(at(1)), None));
        used.remove_expired(|model| model == "a", at(7).plus(MISSING_MODEL_TTL));
        used.save().unwrap();
        let used = LastUsed::read(folder.path());
        assert_eq!((used.get("a"), used.get("away"), used.get("gone")), (Some(at(9)), Some(at(8)), None));
        let names: Vec<_> = fs::read_dir(folder.path()).unwrap().map(|e| e.unwrap().file_name()).collect();
        assert_eq!(names, [FILE_NAME]);
    }

    #[test]
    fn broken_file_is_replaced() {
        let folder = tempfile::tempdir().unwrap();
        for broken in ["", "{", "{\"models\":{\"a\":\"yesterday\"}}", "[]"] {
            fs::write(folder.path().join(FILE_NAME), broken).unwrap();
            let mut used = LastUsed::read(folder.path());
            assert_eq!(used.get("a"), None);
            used.record("a", at(3));
            used.save().unwrap();
            assert_eq!(LastUsed::read(folder.path()).get("a"), Some(at(3)), "{broken:?}");
        }
        // A folder in its place can be neither read nor replaced.
        fs::remove_file(folder.path().join(FILE_NAME)).unwrap();
        fs::create_dir(folder.path().join(FILE_NAME)).unwrap();
        let mut used = LastUsed::read(folder.path());
        used.record("a", at(3));
        assert!(used.save().is_err());
    }
}
