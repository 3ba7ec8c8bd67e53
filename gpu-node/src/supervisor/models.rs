//! What the supervisor knows of each model beyond its file.

use std::{
    collections::{BTreeMap, HashMap, VecDeque},
    fs,
    path::Path,
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

use hearth_domain::{Capability, Modality, RuntimeState, Timestamp};
use hearth_wire::{ApiError, ErrorCode, native::models::RuntimeStatus, node::NodeModel};

use super::{measured::Measured, worker::Worker};
use crate::{
    catalog::{Catalog, ModelFile},
    config::NodeConfig,
    frames::Facts,
    memory::{self, ContextSize},
};

/// This many crashes within the window, and a model is left alone until somebody loads it.
const MAX_CRASHES: usize = 3;
const CRASH_WINDOW: Duration = Duration::from_secs(600);

/// Memory that is left to the system and the gateway, in bytes.
const RESERVED: u64 = 512 << 20;

/// The model files, by id.
pub(super) type Files = BTreeMap<String, ModelFile>;

/// Every model of the node.
#[derive(Debug)]
pub(super) struct Models {
    /// Scanned off the actor's task: a disk may be slow.
    catalog: Arc<Mutex<Catalog>>,
    files: Files,
    states: HashMap<String, ModelProcess>,
    /// What memory models were seen to take.
    measured: Measured,
}

/// A model's process, and what became of earlier ones.
#[derive(Debug, Default)]
pub(super) struct ModelProcess {
    pub(super) worker: Option<Worker>,
    /// What was found when it was loaded last.
    pub(super) facts: Option<Facts>,
    /// While it loads: its chat template is being tried.
    pub(super) probing: bool,
    /// While it loads: since when, and how far.
    pub(super) loading: Option<(Instant, f32)>,
    pub(super) loaded_at: Option<Timestamp>,
    pub(super) last_used_at: Option<Timestamp>,
    /// When its worker last said something.
    pub(super) heard: Option<Instant>,
    /// Why it can't be used.
    pub(super) error: Option<String>,
    /// It was told to stop.
    pub(super) stopping: bool,
    /// What its worker keeps of earlier prompts beside its context, as it told last.
    pub(super) saved_prefix_bytes: u64,
    /// It is to be loaded once the backends are known.
    pub(super) awaits_backends: bool,
    /// What its worker computes with.
    pub(super) backends: Option<String>,
    crashes: VecDeque<Instant>,
}

impl ModelProcess {
    /// Notes a crash; whether the model is to be left alone now.
    pub(super) fn crashed(&mut self, how: &str) -> bool {
        let now = Instant::now();
        self.crashes.retain(|at| now.duration_since(*at) < CRASH_WINDOW);
        self.crashes.push_back(now);
        let quarantined = self.crashes.len() >= MAX_CRASHES;
        if quarantined {
            let times = self.crashes.len();
            self.error = Some(format!(
                "it crashed {times} times within ten minutes, last: {how}; load it to try again"
            ));
        }
        quarantined
    }

    /// Forgets what went wrong.
    pub(super) fn pardon(&mut self) {
        self.error = None;
        self.crashes.clear();
    }
}

impl Models {
    pub(super) fn new(config: &NodeConfig) -> Self {
        let catalog = Catalog::new(config.models.clone(), config.extra_models.clone());
        let catalog = Arc::new(Mutex::new(catalog));
        let files = scan(&catalog);
        Self { catalog, files, states: HashMap::new(), measured: Measured::read(&config.models) }
    }

    /// For [`scan`], on a thread of its own; what it finds is for [`Models::found`].
    pub(super) fn catalog(&self) -> Arc<Mutex<Catalog>> {
        Arc::clone(&self.catalog)
    }

    /// Whether the model was there when the folder was last looked at.
    pub(super) fn knows(&self, model: &str) -> bool {
        self.files.contains_key(model)
    }

    /// Takes what a scan found. A file that is new or has changed is measured and tried anew. One that is
    /// gone is still known while its model is in memory, and serves from there.
    pub(super) fn found(&mut self, mut files: Files) {
        for (id, file) in &files {
            let told = |file: &ModelFile| (file.size_bytes, file.modified);
            if self.files.get(id).map(told) != Some(told(file))
                && let Some(process) = self.states.get_mut(id)
            {
                process.pardon();
            }
        }
        for (id, file) in std::mem::take(&mut self.files) {
            if self.states.get(&id).is_some_and(|process| process.worker.is_some()) {
                files.entry(id).or_insert(file);
            }
        }
        self.files = files;
    }

    /// A model has left memory: without a file it is no more.
    pub(super) fn left(&mut self, model: &str) {
        if self.files.get(model).is_some_and(|file| !file.path.exists()) {
            self.files.remove(model);
        }
    }

    /// The bytes of the models below `folder`.
    pub(super) fn bytes_in(&self, folder: &Path) -> u64 {
        let there = self.files.values().filter(|file| file.path.starts_with(folder));
        there.fold(0, |sum, file| sum.saturating_add(file.size_bytes))
    }

    /// The models that have a process, or of which `wanted` says that runs want them.
    pub(super) fn in_use(&self, wanted: impl Fn(&str) -> bool) -> impl Iterator<Item = String> {
        let used = move |model: &&String| {
            self.states.get(*model).is_some_and(|process| process.worker.is_some()) || wanted(model)
        };
        self.files.keys().filter(used).cloned()
    }

    /// What memory a model will take, in bytes: as measured, else as predicted.
    pub(super) fn need(&self, model: &str, config: &NodeConfig) -> Option<u64> {
        let file = self.files.get(model)?;
        self.measured.of(file, &config.load_spec(file)).or_else(|| predicted(file, config))
    }

    /// What memory a model is expected to take, in bytes, by its header.
    pub(super) fn predicted(&self, model: &str, config: &NodeConfig) -> Option<u64> {
        predicted(self.files.get(model)?, config)
    }

    /// Notes what memory a model's worker takes now, if it is more than was seen before; what it keeps of
    /// earlier prompts beside its context doesn't count, as it can do without.
    pub(super) fn measure(&mut self, model: &str, config: &NodeConfig) -> Option<u64> {
        let process = self.states.get(model)?;
        let bytes = resident_bytes(process.worker.as_ref()?.pid?)?.saturating_sub(process.saved_prefix_bytes);
        let file = self.files.get(model)?;
        let spec = config.load_spec(file);
        let known = self.measured.of(file, &spec).unwrap_or(0);
        if bytes <= known + known / 20 {
            return None;
        }
        self.measured.note(file, &spec, bytes);
        Some(bytes)
    }

    /// What was measured, to be written down on a thread of its own.
    pub(super) fn measured(&self) -> Measured {
        self.measured.clone()
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

    /// The process of `model`, if it is the one of `epoch`.
    pub(super) fn current(&mut self, model: &str, epoch: u64) -> Option<&mut ModelProcess> {
        let process = self.states.get_mut(model)?;
        process.worker.as_ref().is_some_and(|worker| worker.epoch == epoch).then_some(process)
    }

    pub(super) fn processes(&mut self) -> impl Iterator<Item = (&String, &mut ModelProcess)> {
        self.states.iter_mut()
    }

    /// Every model as the gateway is told of it. `load_of` gives active and waiting runs.
    pub(super) fn list(
        &self,
        config: &NodeConfig,
        load_of: impl Fn(&str) -> (usize, usize),
    ) -> Vec<NodeModel> {
        let is_default = |file: &ModelFile| config.default_models.values().any(|id| *id == file.id);
        self.files
            .values()
            .map(|file| {
                let state = self.states.get(&file.id);
                let runtime = runtime(file, state, load_of(&file.id), config, is_default(file));
                let facts = state.and_then(|process| process.facts.as_ref());
                let context_length = facts.map_or_else(
                    || file.context_length.map(|_| config.load_spec(file).context_length),
                    |facts| Some(facts.context_length),
                );
                NodeModel {
                    id: file.id.clone(),
                    name: file.name.clone(),
                    version: file.version.clone(),
                    modality: file.modality,
                    capabilities: capabilities(file, facts),
                    architecture: file.architecture.clone(),
                    context_length,
                    size_bytes: file.size_bytes,
                    runtime,
                }
            })
            .collect()
    }
}

pub(super) fn scan(catalog: &Mutex<Catalog>) -> Files {
    catalog.lock().unwrap_or_else(PoisonError::into_inner).scan()
}

/// What memory models may take together: what is free when the node starts, less some for all else.
pub(super) fn memory_for_models() -> Option<u64> {
    let memory = memory::available()?;
    Some(memory.available.saturating_sub(RESERVED.min(memory.available / 8)))
}

/// What a model is expected to take, by its header.
fn predicted(file: &ModelFile, config: &NodeConfig) -> Option<u64> {
    let spec = config.load_spec(file);
    let context = match file.modality {
        Modality::Embedding => ContextSize::for_embedding(spec.context_length),
        _ => ContextSize::for_text(spec.context_length, spec.slots),
    };
    Some(memory::predict(file.shape.as_ref()?, &context).total())
}

/// What the file's header tells, and what was found when the model was loaded.
fn capabilities(file: &ModelFile, facts: Option<&Facts>) -> Vec<Capability> {
    let mut capabilities = file.capabilities.clone();
    for found in facts.and_then(|facts| facts.capabilities.as_ref()).into_iter().flatten() {
        if !capabilities.contains(found) {
            capabilities.push(*found);
        }
    }
    capabilities
}

fn runtime(
    file: &ModelFile,
    process: Option<&ModelProcess>,
    (active, waiting): (usize, usize),
    config: &NodeConfig,
    default: bool,
) -> RuntimeStatus {
    let blank = ModelProcess::default();
    let process = process.unwrap_or(&blank);
    let error = file.problem.clone().or_else(|| process.error.clone());
    let state = match &process.worker {
        Some(_) if process.loading.is_some() => RuntimeState::Loading,
        Some(_) if active >= config.limits.slots => RuntimeState::Busy,
        Some(_) => RuntimeState::Loaded,
        None if process.awaits_backends => RuntimeState::Loading,
        None if error.is_some() => RuntimeState::Failed,
        None => RuntimeState::Unloaded,
    };
    let pid = process.worker.as_ref().and_then(|worker| worker.pid);
    let count = |n: usize| u32::try_from(n).unwrap_or(u32::MAX);
    RuntimeStatus {
        state,
        progress: process.loading.map(|(_, progress)| progress),
        default,
        active: count(active),
        queue_depth: count(waiting),
        slots: count(config.limits.slots),
        memory_bytes: pid.and_then(resident_bytes),
        memory_predicted_bytes: predicted(file, config),
        pid,
        loaded_at: process.loaded_at.map(|at| at.to_string()),
        last_used_at: process.last_used_at.map(|at| at.to_string()),
        error,
        backends: process.worker.as_ref().and_then(|_| process.backends.clone()),
    }
}

/// A process' resident memory, where the system tells it in `/proc`.
fn resident_bytes(pid: u32) -> Option<u64> {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    let line = status.lines().find(|line| line.starts_with("VmRSS:"))?;
    let kib: u64 = line.split_whitespace().nth(1)?.parse().ok()?;
    Some(kib * 1024)
}
