//! What memory models were seen to take: a small file in the model folder, so that a restarted node needn't
//! guess again.

use std::{
    collections::BTreeMap,
    fs::{self, File},
    io::{self, Write as _},
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError},
    time::SystemTime,
};

use serde::{Deserialize, Serialize};

use crate::{catalog::ModelFile, frames::LoadSpec};

/// The file's name in the model folder.
const FILE: &str = "memory.json";

/// What memory models were seen to take, by their ids.
#[derive(Debug, Clone)]
pub(super) struct Measured {
    path: PathBuf,
    models: BTreeMap<String, Entry>,
    /// Held by whoever writes the file.
    disk: Arc<Mutex<()>>,
}

/// What a model took, and what it depends on.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Entry {
    bytes: u64,
    conditions: Conditions,
}

/// What a measurement holds for: another file, or another context, takes another amount.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Conditions {
    size_bytes: u64,
    modified: Option<SystemTime>,
    context_length: u32,
    slots: u32,
    gpu_layers: u32,
}

impl Conditions {
    fn of(file: &ModelFile, spec: &LoadSpec) -> Self {
        let LoadSpec { context_length, slots, gpu_layers, .. } = *spec;
        Self { size_bytes: file.size_bytes, modified: file.modified, context_length, slots, gpu_layers }
    }
}

impl Measured {
    /// Reads the file of the model folder. One that can't be read counts as empty: models are measured anew.
    pub(super) fn read(folder: &Path) -> Self {
        let path = folder.join(FILE);
        let models = match fs::read(&path) {
            Ok(bytes) => serde_json::from_slice(&bytes).map_err(|error| error.to_string()),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(BTreeMap::new()),
            Err(error) => Err(error.to_string()),
        };
        let models = models.unwrap_or_else(|error| {
            tracing::warn!(path = %path.display(), error, "what models take can't be read; they are measured anew");
            BTreeMap::new()
        });
        Self { path, models, disk: Arc::default() }
    }

    /// What the model took when it was loaded like this, in bytes.
    pub(super) fn of(&self, file: &ModelFile, spec: &LoadSpec) -> Option<u64> {
        let entry = self.models.get(&file.id)?;
        (entry.conditions == Conditions::of(file, spec)).then_some(entry.bytes)
    }

    /// Notes what a model takes. Nothing is written yet.
    pub(super) fn note(&mut self, file: &ModelFile, spec: &LoadSpec, bytes: u64) {
        self.models.insert(file.id.clone(), Entry { bytes, conditions: Conditions::of(file, spec) });
    }

    /// Writes the file, whole or not at all. It waits for the disk.
    pub(super) fn save(&self) -> io::Result<()> {
        let _disk = self.disk.lock().unwrap_or_else(PoisonError::into_inner);
        let content = serde_json::to_vec_pretty(&self.models)?;
        let beside = self.path.with_extension("json.tmp");
        let mut file = File::create(&beside)?;
        file.write_all(&content)?;
        // Before it gets its name: after a power cut a named file is a whole one.
        file.sync_all()?;
        fs::rename(&beside, &self.path)
    }
}

#[cfg(test)]
mod tests {
    use hearth_domain::Modality;

    use super::*;

    fn file(size_bytes: u64) -> ModelFile {
        ModelFile {
            id: "m".into(),
            path: "m.gguf".into(),
            parts: Vec::new(),
            name: "M".into(),
            version: None,
            modality: Modality::Text,
            capabilities: Vec::new(),
            architecture: None,
            context_length: None,
            size_bytes,
            modified: Some(SystemTime::UNIX_EPOCH),
            shape: None,
            problem: None,
        }
    }

    fn spec(context_length: u32) -> LoadSpec {
        LoadSpec {
            path: "m.gguf".into(),
            backends: Vec::new(),
            context_length,
            context_length_min: context_length,
            slots: 4,
            threads: 1,
            gpu_layers: 0,
            saved_prefix_bytes: 0,
            prefix_folder: None,
            parse_special_in_user_text: false,
        }
    }

    #[test]
    fn a_measurement_outlives_the_process_and_holds_for_what_was_measured() {
        let folder = tempfile::tempdir().unwrap();
        let mut measured = Measured::read(folder.path());
        assert_eq!(measured.of(&file(9), &spec(4096)), None);
        measured.note(&file(9), &spec(4096), 77);
        measured.save().unwrap();
        let again = Measured::read(folder.path());
        assert_eq!(again.of(&file(9), &spec(4096)), Some(77));
        assert_eq!((again.of(&file(8), &spec(4096)), again.of(&file(9), &spec(8192))), (None, None));
    }

    #[test]
    fn a_broken_file_is_begun_anew() {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join(FILE), "{\"m\": 3").unwrap();
        let mut measured = Measured::read(folder.path());
        measured.note(&file(9), &spec(1), 5);
        measured.save().unwrap();
        assert_eq!(Measured::read(folder.path()).of(&file(9), &spec(1)), Some(5));
    }
}
