//! When each model was used last: a small file in the model folder, so that it survives a restart and
//! goes where the models go.

use std::{
    collections::BTreeMap,
    fs::{self, File},
    io::{self, Write as _},
    path::{Path, PathBuf},
    time::Duration,
};

use hearth_domain::Timestamp;
use serde::{Deserialize, Serialize};

/// The file's name in the model folder.
pub const FILE: &str = "last_used.json";

/// How long a model is remembered that isn't there.
const REMEMBERED: Duration = Duration::from_secs(90 * 24 * 60 * 60);

/// When each model was used last, by its id.
#[derive(Debug, Clone)]
pub struct LastUsed {
    path: PathBuf,
    times: BTreeMap<String, Timestamp>,
    /// Whether the file says something else.
    changed: bool,
}

#[derive(Debug, Serialize, Deserialize)]
struct Content {
    models: BTreeMap<String, Timestamp>,
}

impl LastUsed {
    /// Reads the file of the model folder. One that can't be read counts as empty, which is logged: the
    /// files' own times stand in for it.
    #[must_use]
    pub fn read(folder: &Path) -> Self {
        let path = folder.join(FILE);
        let times = match fs::read(&path) {
            Ok(bytes) => serde_json::from_slice(&bytes)
                .map(|content: Content| content.models)
                .map_err(|error| error.to_string()),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(BTreeMap::new()),
            Err(error) => Err(error.to_string()),
        };
        let times = times.unwrap_or_else(|error| {
            tracing::warn!(path = %path.display(), error, "when models were used last can't be read; it is begun anew");
            BTreeMap::new()
        });
        Self { path, times, changed: false }
    }

    /// When a model was used last, as far as is known.
    #[must_use]
    pub fn of(&self, model: &str) -> Option<Timestamp> {
        self.times.get(model).copied()
    }

    /// Notes a use. Nothing is written yet.
    pub fn note(&mut self, model: &str, at: Timestamp) {
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

    /// Forgets models that have been gone for long. A disk that isn't mounted today comes back.
    pub fn forget_gone(&mut self, is_there: impl Fn(&str) -> bool, now: Timestamp) {
        let before = self.times.len();
        self.times.retain(|model, at| is_there(model) || at.until(now) < REMEMBERED);
        self.changed |= self.times.len() != before;
    }

    /// Writes the file, if it has to say something new: whole or not at all.
    ///
    /// # Errors
    /// If the folder can't be written to.
    pub fn save(&mut self) -> io::Result<()> {
        if !self.changed {
            return Ok(());
        }
        let content = serde_json::to_vec_pretty(&Content { models: self.times.clone() })?;
        let beside = self.path.with_extension("json.tmp");
        let mut file = File::create(&beside)?;
        file.write_all(&content)?;
        // Before it gets its name: after a power cut a named file is a whole one.
        file.sync_all()?;
        fs::rename(&beside, &self.path)?;
        if let Some(folder) = self.path.parent() {
            File::open(folder)?.sync_all()?;
        }
        self.changed = false;
        Ok(())
    }
}

impl LastUsed {
    /// Takes over that `copy`, a copy of this, was written.
    pub(super) fn saved(&mut self, copy: &Self) {
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
    fn what_is_noted_is_read_again() {
        let folder = tempfile::tempdir().unwrap();
        let mut used = LastUsed::read(folder.path());
        used.save().unwrap();
        assert!(!folder.path().join(FILE).exists(), "nothing to say, nothing written");
        used.note("a", at(5));
        used.note("a", at(9));
        used.note("a", at(7));
        used.note("gone", at(1));
        used.note("away", at(8));
        used.save().unwrap();

        let mut used = LastUsed::read(folder.path());
        assert_eq!((used.of("a"), used.of("gone"), used.of("b")), (Some(at(9)), Some(at(1)), None));
        used.forget_gone(|model| model == "a", at(7).plus(REMEMBERED));
        used.save().unwrap();
        let used = LastUsed::read(folder.path());
        assert_eq!((used.of("a"), used.of("away"), used.of("gone")), (Some(at(9)), Some(at(8)), None));
        let names: Vec<_> = fs::read_dir(folder.path()).unwrap().map(|e| e.unwrap().file_name()).collect();
        assert_eq!(names, [FILE]);
    }

    #[test]
    fn a_broken_file_is_begun_anew() {
        let folder = tempfile::tempdir().unwrap();
        for broken in ["", "{", "{\"models\":{\"a\":\"yesterday\"}}", "[]"] {
            fs::write(folder.path().join(FILE), broken).unwrap();
            let mut used = LastUsed::read(folder.path());
            assert_eq!(used.of("a"), None);
            used.note("a", at(3));
            used.save().unwrap();
            assert_eq!(LastUsed::read(folder.path()).of("a"), Some(at(3)), "{broken:?}");
        }
        // A folder in its place is no file to read, nor one to replace.
        fs::remove_file(folder.path().join(FILE)).unwrap();
        fs::create_dir(folder.path().join(FILE)).unwrap();
        let mut used = LastUsed::read(folder.path());
        used.note("a", at(3));
        assert!(used.save().is_err());
    }
}
