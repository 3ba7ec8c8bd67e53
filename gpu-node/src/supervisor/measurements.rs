//! MemoryMeasurements memory of models, in a small file of the model folder, so that a restarted node needn't use predictions.

use std::{
    collections::BTreeMap,
    fs, io,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError},
    time::SystemTime,
};

use hearth_files::{Access, write_atomically};
use serde::{Deserialize, Serialize};

use crate::{frames::LoadSpec, model_files::ModelFile};

/// The file's name in the model folder.
const FILE_NAME: &str = "memory.json";

/// The measured memory of models, by id.
#[derive(Debug, Clone)]
pub(super) struct MemoryMeasurements {
    path: PathBuf,
    models: BTreeMap<String, Entry>,
    /// Locked while the file is written.
    file_lock: Arc<Mutex<()>>,
}

/// A measurement, and the conditions under which it is valid.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Entry {
    bytes: u64,
    conditions: Conditions,
}

/// The file and the settings of a measurement. With another file or context the model needs another amount.
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

impl MemoryMeasurements {
    /// Reads the file of the model folder. If it can't be read, there are no measurements, and models are measured again.
    pub(super) fn read(folder: &Path) -> Self {
        let path = folder.join(FILE_NAME);
        let models = match fs::read(&path) {
            Ok(bytes) => serde_json::from_slice(&bytes).map_err(|error| error.to_string()),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(BTreeMap::new()),
            Err(error) => Err(error.to_string()),
        };
        let models = models.unwrap_or_else(|error| {
            tracing::warn!(path = %path.display(), error, "memory measurements can't be read; models are measured again");
            BTreeMap::new()
        });
        Self { path, models, file_lock: Arc::default() }
    }

    /// The measured memory of a model that is loaded with `spec`, in bytes.
    pub(super) fn get(&self, file: &ModelFile, spec: &LoadSpec) -> Option<u64> {
        let entry = self.models.get(&file.id)?;
        (entry.conditions == Conditions::of(file, spec)).then_some(entry.bytes)
    }

    /// Records a measurement. [`MemoryMeasurements::save`] writes it.
    pub(super) fn record(&mut self, file: &ModelFile, spec: &LoadSpec, bytes: u64) {
        self.models.insert(file.id.clone(), Entry { bytes, conditions: Conditions::of(file, spec) });
    }

    /// Writes the file. It waits for the disk.
    pub(super) fn save(&self) -> io::Result<()> {
        let _lock = self.file_lock.lock().unwrap_or_else(PoisonError::into_inner);
        write_atomically(&self.path, &serde_json::to_vec_pretty(&self.models)?, Access::Umask)
    }
}

#[cfg(test)]
mod tests {
    use hearth_domain::{Modality, ModelDescription};

    use super::*;

    fn file(size_bytes: u64) -> ModelFile {
        ModelFile {
            id: "m".into(),
            path: "m.gguf".into(),
            parts: Vec::new(),
            description: ModelDescription::new("M", Modality::Text),
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
    fn saved_measurement_is_valid_for_its_file_and_context_only() {
        let folder = tempfile::tempdir().unwrap();
        let mut measurements = MemoryMeasurements::read(folder.path());
        assert_eq!(measurements.get(&file(9), &spec(4096)), None);
        measurements.record(&file(9), &spec(4096), 77);
        measurements.save().unwrap();
        let again = MemoryMeasurements::read(folder.path());
        assert_eq!(again.get(&file(9), &spec(4096)), Some(77));
        assert_eq!((again.get(&file(8), &spec(4096)), again.get(&file(9), &spec(8192))), (None, None));
    }

    #[test]
    fn broken_file_is_replaced() {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join(FILE_NAME), "{\"m\": 3").unwrap();
        let mut measurements = MemoryMeasurements::read(folder.path());
        measurements.record(&file(9), &spec(1), 5);
        measurements.save().unwrap();
        assert_eq!(MemoryMeasurements::read(folder.path()).get(&file(9), &spec(1)), Some(5));
    }
}
