//! The node's models: their files, processes, crashes and memory.

use std::{
    collections::{HashMap, VecDeque},
    fs,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

use hearth_domain::{Capability, ModelDescription, RuntimeState, Timestamp};
use hearth_wire::{ApiError, ErrorCode, node::NodeModel, runtime_status::RuntimeStatus};

use super::{measurements::MemoryMeasurements, worker::Worker};
use crate::{
    config::NodeConfig,
    engines::table::Engine,
    frames::ModelProperties,
    memory,
    model_files::{ModelFile, ModelFiles, ModelScanner},
};

/// Crashes within [`CRASH_WINDOW`] after which a model is quarantined: it isn't started again until a client loads it.
const CRASHES_MAX_COUNT: usize = 3;
const CRASH_WINDOW: Duration = Duration::from_secs(600);

/// Memory that is reserved for the system and the gateway, in bytes.
const RESERVED_BYTES: u64 = 512 << 20;

/// Every model of the node.
#[derive(Debug)]
pub(super) struct Models {
    /// Used on other threads, since a disk may be slow.
    scanner: Arc<Mutex<ModelScanner>>,
    files: ModelFiles,
    states: HashMap<String, ModelProcess>,
    measurements: MemoryMeasurements,
}

/// A model's process, and the crashes of earlier ones.
#[derive(Debug, Default)]
pub(super) struct ModelProcess {
    pub(super) worker: Option<Worker>,
    /// The worker's report of the last load.
    pub(super) properties: Option<ModelProperties>,
    /// During a load: the worker is trying the chat template.
    pub(super) probing: bool,
    /// During a load: its start, and its progress from 0 to 1.
    pub(super) loading: Option<(Instant, f32)>,
    pub(super) loaded_at: Option<Timestamp>,
    pub(super) last_used_at: Option<Timestamp>,
    /// Time of the worker's last report.
    pub(super) last_report_at: Option<Instant>,
    /// Reason why the model can't be used.
    pub(super) error: Option<String>,
    /// The worker was told to end.
    pub(super) stopping: bool,
    /// Bytes of the worker's prefix cache outside of the context, by its last report.
    pub(super) saved_prefix_bytes: u64,
    /// It is loaded when the backends are selected.
    pub(super) awaits_backends: bool,
    /// The slots of the worker.
    pub(super) slots: Option<usize>,
    /// The names of the worker's backends.
    pub(super) backends: Option<String>,
    crashes: VecDeque<Instant>,
}

impl ModelProcess {
    /// Records a crash. Returns whether the model is quarantined now.
    pub(super) fn record_crash(&mut self, reason: &str) -> bool {
        let now = Instant::now();
        self.crashes.retain(|at| now.duration_since(*at) < CRASH_WINDOW);
        self.crashes.push_back(now);
        let quarantined = self.crashes.len() >= CRASHES_MAX_COUNT;
        if quarantined {
            let times = self.crashes.len();
            self.error = Some(format!(
                "it crashed {times} times within ten minutes, last: {reason}; load it to try again"
            ));
        }
        quarantined
    }

    /// Clears the error and the crashes.
    pub(super) fn clear_failures(&mut self) {
        self.error = None;
        self.crashes.clear();
    }
}

impl Models {
    pub(super) fn new(config: &NodeConfig) -> Self {
        let mut scanner = ModelScanner::new(config.models.clone(), config.extra_models.clone());
        scanner.set_registered(config.registered_files());
        let scanner = Arc::new(Mutex::new(scanner));
        let files = scan(&scanner);
        let measurements = MemoryMeasurements::read(&config.models);
        Self { scanner, files, states: HashMap::new(), measurements }
    }

    /// The scanner, for [`scan`] on another thread. Its result goes to [`Models::set_files`].
    pub(super) fn scanner(&self) -> Arc<Mutex<ModelScanner>> {
        Arc::clone(&self.scanner)
    }

    /// Scans these files of the registry too, from the next scan on.
    pub(super) fn set_registered_files(&self, files: Vec<PathBuf>) {
        self.scanner.lock().unwrap_or_else(PoisonError::into_inner).set_registered(files);
    }

    /// Returns whether the last scan found the model.
    pub(super) fn has_file(&self, model: &str) -> bool {
        self.files.contains_key(model)
    }

    /// Replaces the files by the result of a scan. The failures of a model whose file is new or has changed are cleared.
    /// A deleted file remains in the list while its model is in memory, which can still serve runs.
    pub(super) fn set_files(&mut self, mut files: ModelFiles) {
        for (id, file) in &files {
            let version = |file: &ModelFile| (file.size_bytes, file.modified);
            if self.files.get(id).map(version) != Some(version(file))
                && let Some(process) = self.states.get_mut(id)
            {
                process.clear_failures();
            }
        }
        for (id, file) in std::mem::take(&mut self.files) {
            if self.states.get(&id).is_some_and(|process| process.worker.is_some()) {
                files.entry(id).or_insert(file);
            }
        }
        self.files = files;
    }

    /// Removes a model that has left memory if its file was deleted.
    pub(super) fn remove_if_deleted(&mut self, model: &str) {
        if self.files.get(model).is_some_and(|file| !file.path.exists()) {
            self.files.remove(model);
        }
    }

    /// Bytes of the models below `folder`.
    pub(super) fn bytes_in(&self, folder: &Path) -> u64 {
        let inside = self.files.values().filter(|file| file.path.starts_with(folder));
        inside.fold(0, |sum, file| sum.saturating_add(file.size_bytes))
    }

    /// The models that have a process, or for which `has_runs` is true.
    pub(super) fn in_use(&self, has_runs: impl Fn(&str) -> bool) -> impl Iterator<Item = String> {
        let is_used = move |model: &&String| {
            self.states.get(*model).is_some_and(|process| process.worker.is_some()) || has_runs(model)
        };
        self.files.keys().filter(is_used).cloned()
    }

    /// Memory that a model needs, in bytes: as measured, else as predicted.
    pub(super) fn memory_estimate(&self, model: &str, config: &NodeConfig) -> Option<u64> {
        let file = self.files.get(model)?;
        self.measurements.get(file, &config.load_spec(file)).or_else(|| predicted_memory(file, config))
    }

    /// Memory that a model needs by the prediction from its header, in bytes.
    pub(super) fn predicted_memory(&self, model: &str, config: &NodeConfig) -> Option<u64> {
        predicted_memory(self.files.get(model)?, config)
    }

    /// Measures the memory of a model's worker, and returns it if it is more than 5 % above the last measurement. The
    /// prefix cache outside of the context is left out, since the worker can do without.
    pub(super) fn measure_memory(&mut self, model: &str, config: &NodeConfig) -> Option<u64> {
        let process = self.states.get(model)?;
        let bytes = resident_bytes(process.worker.as_ref()?.pid?)?.saturating_sub(process.saved_prefix_bytes);
        let file = self.files.get(model)?;
        let spec = config.load_spec(file);
        let before = self.measurements.get(file, &spec).unwrap_or(0);
        if bytes <= before + before / 20 {
            return None;
        }
        self.measurements.record(file, &spec, bytes);
        Some(bytes)
    }

    /// A copy of the measurements, to be saved on another thread.
    pub(super) fn measurements(&self) -> MemoryMeasurements {
        self.measurements.clone()
    }

    /// A model's file.
    pub(super) fn file(&self, model: &str) -> Result<ModelFile, ApiError> {
        self.files.get(model).cloned().ok_or_else(|| {
            let message = format!("the node has no model {model:?}; `hearth models list` shows what it has");
            ApiError::new(ErrorCode::ModelNotFound, message).at("model")
        })
    }

    pub(super) fn process(&mut self, model: &str) -> &mut ModelProcess {
        self.states.entry(model.to_owned()).or_default()
    }

    /// The process of `model`, if its number is `epoch`.
    pub(super) fn current(&mut self, model: &str, epoch: u64) -> Option<&mut ModelProcess> {
        let process = self.states.get_mut(model)?;
        process.worker.as_ref().is_some_and(|worker| worker.epoch == epoch).then_some(process)
    }

    pub(super) fn processes(&mut self) -> impl Iterator<Item = (&String, &mut ModelProcess)> {
        self.states.iter_mut()
    }

    /// Describes every model for the gateway. `run_counts` returns the numbers of active and waiting runs.
    pub(super) fn list(
        &self,
        config: &NodeConfig,
        run_counts: impl Fn(&str) -> (usize, usize),
    ) -> Vec<NodeModel> {
        let is_default = |file: &ModelFile| config.default_models.values().any(|id| *id == file.id);
        self.files
            .values()
            .map(|file| {
                let state = self.states.get(&file.id);
                let runtime = runtime_status(file, state, run_counts(&file.id), config, is_default(file));
                let loaded = state.and_then(|process| process.properties.as_ref());
                let context_length = loaded.map_or_else(
                    || file.description.context_length.map(|_| config.load_spec(file).context_length),
                    // An image model has none.
                    |loaded| Some(loaded.context_length).filter(|length| *length > 0),
                );
                NodeModel {
                    id: file.id.clone(),
                    description: ModelDescription {
                        capabilities: capabilities(file, loaded),
                        context_length,
                        ..file.description.clone()
                    },
                    size_bytes: file.size_bytes,
                    path: file.path.to_str().map(str::to_owned),
                    runtime,
                }
            })
            .collect()
    }
}

pub(super) fn scan(scanner: &Mutex<ModelScanner>) -> ModelFiles {
    scanner.lock().unwrap_or_else(PoisonError::into_inner).scan()
}

/// Memory for all models together: the memory that is free when the node starts, less a reserve.
pub(super) fn memory_for_models() -> Option<u64> {
    let memory = memory::available()?;
    Some(memory.available.saturating_sub(RESERVED_BYTES.min(memory.available / 8)))
}

/// Predicts the memory that a model needs from its header.
fn predicted_memory(file: &ModelFile, config: &NodeConfig) -> Option<u64> {
    Engine::of(file).predict_memory(file, &config.load_spec(file))
}

/// The capabilities by the file's header, and those that its worker has found during the load.
fn capabilities(file: &ModelFile, loaded: Option<&ModelProperties>) -> Vec<Capability> {
    let mut capabilities = file.description.capabilities.clone();
    for capability in loaded.and_then(|loaded| loaded.capabilities.as_ref()).into_iter().flatten() {
        if !capabilities.contains(capability) {
            capabilities.push(*capability);
        }
    }
    capabilities
}

fn runtime_status(
    file: &ModelFile,
    process: Option<&ModelProcess>,
    (active, waiting): (usize, usize),
    config: &NodeConfig,
    default: bool,
) -> RuntimeStatus {
    let blank = ModelProcess::default();
    let process = process.unwrap_or(&blank);
    let error = config.problem_of(file).or_else(|| process.error.clone());
    let state = match &process.worker {
        Some(_) if process.loading.is_some() => RuntimeState::Loading,
        Some(_) if active >= process.slots.unwrap_or(config.settings.slots) => RuntimeState::Busy,
        Some(_) => RuntimeState::Loaded,
        None if process.awaits_backends => RuntimeState::Loading,
        None if error.is_some() => RuntimeState::Failed,
        None => RuntimeState::Unloaded,
    };
    let slots = process.worker.as_ref().and(process.slots).unwrap_or_else(|| config.slots_of(file));
    let pid = process.worker.as_ref().and_then(|worker| worker.pid);
    let count = |n: usize| u32::try_from(n).unwrap_or(u32::MAX);
    RuntimeStatus {
        state,
        progress: process.loading.map(|(_, progress)| progress),
        default,
        active: count(active),
        queue_depth: count(waiting),
        slots: count(slots),
        memory_bytes: pid.and_then(resident_bytes),
        memory_predicted_bytes: predicted_memory(file, config),
        pid,
        loaded_at: process.loaded_at.map(|at| at.to_string()),
        last_used_at: process.last_used_at.map(|at| at.to_string()),
        error,
        backends: process.worker.as_ref().and_then(|_| process.backends.clone()),
    }
}

/// A process' resident memory, on systems with `/proc`.
fn resident_bytes(pid: u32) -> Option<u64> {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    let line = status.lines().find(|line| line.starts_with("VmRSS:"))?;
    let kib: u64 = line.split_whitespace().nth(1)?.parse().ok()?;
    Some(kib * 1024)
}
