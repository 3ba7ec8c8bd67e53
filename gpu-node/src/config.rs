//! The configuration of a node.

use std::{
    collections::HashMap,
    ffi::OsString,
    path::{Path, PathBuf},
    time::Duration,
};

use hearth_domain::{Modality, ModelLifecycle};
use hearth_settings::{DownloadSettings, HubSettings, NodeSettings};
use hearth_wire::node::NodeModelSettings;

use crate::{
    backends::Selector,
    confine::Confinement,
    context::{self, AUTOMATIC_MIN},
    downloads::DownloadOptions,
    engines::{llama::backend_folders, table::Engine},
    frames::LoadSpec,
    memory,
    model_files::ModelFile,
    storage::Policy,
};

/// The folder of saved prefix caches, in the model folder.
const PREFIX_FOLDER: &str = ".prefixes";
/// Part of a worker's memory limit beside twice its model's need: stacks, the allocator's reserve, prompts and grammars.
/// Most of it is reserved and never used.
const WORKER_SPARE_BYTES: u64 = 4 << 30;
/// The file of the backends' test results, in the model folder unless [`NodeConfig::backends`] has another.
const BACKENDS_FILE: &str = "backends.json";

/// The configuration of a node, complete before its start.
#[derive(Debug, Clone)]
pub struct NodeConfig {
    /// The folder of GGUF files.
    pub models: PathBuf,
    /// Further model files outside of the folder.
    pub extra_models: Vec<PathBuf>,
    /// The model of each modality for requests without a model. It is loaded at the start, and pinned.
    pub default_models: HashMap<Modality, String>,
    /// The model in the binary, which is written to the folder at each start.
    pub embedded_model: Option<String>,
    /// The limits of the model folder.
    pub storage: Policy,
    /// The node's binary. Workers are started with its command `engine`, or are a binary beside it.
    pub executable: PathBuf,
    /// Selects the backends of the workers.
    pub backends: Selector,
    /// Downloads of models.
    pub downloads: DownloadOptions,
    /// The operator's settings of the node.
    pub settings: NodeSettings,
    /// Settings of models by the registry of the node's organisation, which take the place of the operator's.
    pub model_settings: NodeModelSettings,
    /// Take files outside of the model folder from the registry: the gateway is in the same process.
    pub takes_files: bool,
    /// The complete environment of the workers.
    pub worker_environment: Vec<(OsString, OsString)>,
    /// Time after which a run without a reader of its events is stopped.
    pub orphan_grace: Duration,
    /// Time for which the events of an ended run can be read by a new reader. A reader that has begun reads to the end.
    pub keep_runs: Duration,
}

impl NodeConfig {
    /// Creates a configuration with default settings, for models in `models` and workers of `executable`.
    #[must_use]
    pub fn new(models: PathBuf, executable: PathBuf) -> Self {
        let backends = Selector::new(executable.clone(), models.join(BACKENDS_FILE));
        let downloads =
            DownloadOptions::new(models.clone(), &HubSettings::default(), &DownloadSettings::default());
        Self {
            models,
            backends,
            downloads,
            extra_models: Vec::new(),
            default_models: HashMap::new(),
            embedded_model: None,
            storage: Policy::default(),
            executable,
            settings: NodeSettings::default(),
            model_settings: NodeModelSettings::default(),
            takes_files: false,
            worker_environment: Vec::new(),
            orphan_grace: Duration::from_secs(5),
            keep_runs: Duration::from_secs(300),
        }
    }

    /// The parameters for loading the model in `file`.
    #[must_use]
    pub fn load_spec(&self, file: &ModelFile) -> LoadSpec {
        let (settings, own) = (&self.settings, self.lifecycle(&file.id));
        let slots = u32::try_from(self.slots_of(file)).unwrap_or(u32::MAX);
        if file.description.modality == Modality::Image {
            return self.image_load_spec(file, slots, own.gpu_layers.unwrap_or(settings.gpu_layers));
        }
        let setting = own.context_length.or(settings.context_length);
        let context_length = context::length(file, setting, slots, settings.memory);
        let automatic = setting.is_none();
        LoadSpec {
            path: file.path.clone(),
            // Set when a worker is started.
            backends: Vec::new(),
            context_length,
            context_length_min: if automatic { context_length.min(AUTOMATIC_MIN) } else { context_length },
            slots,
            threads: self.threads(),
            gpu_layers: own.gpu_layers.unwrap_or(settings.gpu_layers),
            saved_prefix_bytes: self.saved_prefix_bytes(),
            prefix_folder: settings.prefix_cache_on_disk.then(|| self.prefix_folder(file)),
            parse_special_in_user_text: settings.parse_special_in_user_text,
        }
    }

    /// The parameters for loading an image model, which has no context.
    fn image_load_spec(&self, file: &ModelFile, slots: u32, gpu_layers: u32) -> LoadSpec {
        LoadSpec {
            path: file.path.clone(),
            backends: Vec::new(),
            context_length: 0,
            context_length_min: 0,
            slots,
            threads: self.threads(),
            gpu_layers,
            saved_prefix_bytes: 0,
            prefix_folder: None,
            parse_special_in_user_text: false,
        }
    }

    /// The reason why the model in `file` can't be loaded: its own problem, or an engine that is missing.
    #[must_use]
    pub fn problem_of(&self, file: &ModelFile) -> Option<String> {
        file.problem.clone().or_else(|| Engine::of(file).missing(&self.executable))
    }

    /// The settings of a model by the registry.
    #[must_use]
    pub fn lifecycle(&self, model: &str) -> ModelLifecycle {
        self.model_settings.models.get(model).cloned().unwrap_or_default()
    }

    /// The model files of the registry.
    #[must_use]
    pub fn registered_files(&self) -> Vec<PathBuf> {
        self.model_settings.files.iter().map(PathBuf::from).collect()
    }

    /// The slots of a model's next worker.
    #[must_use]
    pub fn slots_of(&self, file: &ModelFile) -> usize {
        let own = self.model_settings.models.get(&file.id).and_then(|settings| settings.slots);
        let slots = own.and_then(|slots| usize::try_from(slots).ok()).unwrap_or(self.settings.slots);
        Engine::of(file).slots(slots)
    }

    /// The confinement of the worker that loads the model in `file` with `spec`. `need` is the estimate of its memory.
    #[must_use]
    pub fn confinement(&self, file: &ModelFile, spec: &LoadSpec, need: Option<u64>) -> Confinement {
        let mut confinement = Confinement::for_model(&file.path, spec.prefix_folder.as_deref());
        confinement
            .reads
            .extend(spec.backends.iter().filter_map(|library| library.parent()).map(Path::to_owned));
        confinement.reads.extend(backend_folders());
        // The worker's libraries lie beside its program, which may be another one than this process'.
        confinement.reads.extend(self.executable.parent().map(Path::to_owned));
        // GPU drivers map far more memory than they use, and open files of their own.
        let processor_alone = !cfg!(any(feature = "cuda", feature = "metal", feature = "vulkan"));
        let by_need = need.filter(|_| processor_alone).map(|bytes| {
            bytes
                .saturating_mul(2)
                .saturating_add(self.saved_prefix_bytes())
                .saturating_add(WORKER_SPARE_BYTES)
        });
        let limit = self.settings.worker_memory.map(|size| size.as_u64());
        confinement.memory_bytes = limit.or(by_need).filter(|bytes| *bytes > 0);
        confinement.landlock = self.settings.worker_sandbox && processor_alone;
        confinement
    }

    /// The folder of a model's saved prefix cache.
    fn prefix_folder(&self, file: &ModelFile) -> PathBuf {
        // The hash distinguishes files of the same name in other folders.
        let path_hash = crc32fast::hash(file.path.as_os_str().as_encoded_bytes());
        let name = file.path.file_stem().unwrap_or_default().to_string_lossy();
        self.models.join(PREFIX_FOLDER).join(format!("{name}-{path_hash:08x}"))
    }

    /// Threads for each worker: by default one less than the processors, so that the gateway and the system keep one.
    #[must_use]
    pub fn threads(&self) -> u32 {
        self.settings.threads.unwrap_or_else(|| {
            let processors = std::thread::available_parallelism().map_or(2, usize::from);
            u32::try_from(processors.saturating_sub(1).max(1)).unwrap_or(1)
        })
    }

    /// Bytes of each worker's prefix cache: by default a sixteenth of the machine's memory.
    fn saved_prefix_bytes(&self) -> u64 {
        let default = || memory::available().map_or(256 << 20, |memory| memory.total / 16);
        self.settings.prefix_cache.map_or_else(default, |size| size.as_u64())
    }
}
