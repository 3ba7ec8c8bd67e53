//! How a node is set up.

use std::{
    collections::HashMap,
    ffi::OsString,
    path::{Path, PathBuf},
    time::Duration,
};

use hearth_domain::Modality;

use crate::{
    backends::Selector,
    catalog::ModelFile,
    confine::Confinement,
    context::{self, AUTOMATIC_MIN},
    frames::LoadSpec,
    memory,
    scheduler::Limits,
    storage::Policy,
};

/// The folder of kept prompts and answers, in the model folder.
const PREFIXES: &str = ".prefixes";
/// What a worker may have beside twice its model's need, in bytes: threads' stacks, the allocator's reserve, prompts
/// and grammars. Most of it is reserved and never used.
const WORKER_MEMORY_SPARE: u64 = 4 << 30;
/// The file of backends' test results, in the model folder unless the settings say otherwise.
const BACKENDS: &str = "backends.json";

/// A node's settings, whole before it starts.
#[derive(Debug, Clone)]
pub struct NodeConfig {
    /// The folder of GGUF files.
    pub models: PathBuf,
    /// Files elsewhere that are models too.
    pub extra_models: Vec<PathBuf>,
    /// The model of each modality that serves requests that name none; it is loaded at start and stays.
    pub default_models: HashMap<Modality, String>,
    /// The model that comes with the program, which writes it into the folder at each start.
    pub embedded_model: Option<String>,
    /// What bounds the model folder.
    pub storage: Policy,
    /// The binary whose `engine` command is a worker.
    pub executable: PathBuf,
    /// What chooses the backends that workers compute with.
    pub backends: Selector,
    /// What bounds the scheduler.
    pub limits: Limits,
    /// Tokens that a run may have, prompt and completion together; less where the model has less. Absent: what the
    /// model was made for and the memory holds ([`crate::context`]).
    pub context_length: Option<u32>,
    /// Control tokens that clients write in messages count as such, rather than as text.
    pub parse_special_in_user_text: bool,
    /// Threads for each worker.
    pub threads: u32,
    /// Layers of each model to put on a GPU, where there is one.
    pub gpu_layers: u32,
    /// What prompts and answers of each model may take that are kept beside its context, in bytes of the
    /// machine's memory.
    pub saved_prefix_bytes: u64,
    /// Whether they are written to the model folder when a model leaves memory, and read when it comes back.
    pub prefixes_on_disk: bool,
    /// The environment of workers, whole.
    pub worker_environment: Vec<(OsString, OsString)>,
    /// The most memory that a worker may have beside mapped files, in bytes; 0 for no limit. Absent: as the model's
    /// need says, where nothing but the processor computes.
    pub worker_memory: Option<u64>,
    /// Whether workers may open only the files that they need, where the system can see to it.
    pub worker_sandbox: bool,
    /// How long a load may take.
    pub load_timeout: Duration,
    /// How long a worker with runs may say nothing.
    pub stall_timeout: Duration,
    /// How long a run may wait for its turn.
    pub queue_timeout: Duration,
    /// How long a run goes on when nobody reads its events.
    pub orphan_grace: Duration,
    /// How long an ended run's events can still be read.
    pub keep_runs: Duration,
}

impl NodeConfig {
    /// Settings for a node with models in `models` and workers started from `executable`.
    #[must_use]
    pub fn new(models: PathBuf, executable: PathBuf) -> Self {
        let backends = Selector::new(executable.clone(), models.join(BACKENDS));
        Self {
            models,
            backends,
            extra_models: Vec::new(),
            default_models: HashMap::new(),
            embedded_model: None,
            storage: Policy::default(),
            executable,
            limits: Limits {
                loaded_models: 3,
                slots: 4,
                queue_depth: 64,
                queue_total: 256,
                memory_bytes: None,
                turn: Duration::from_secs(30),
                ageing: Duration::from_secs(60),
                idle_timeout: None,
            },
            context_length: None,
            parse_special_in_user_text: false,
            threads: default_threads(),
            gpu_layers: 999,
            saved_prefix_bytes: default_saved_prefix_bytes(),
            prefixes_on_disk: false,
            worker_environment: Vec::new(),
            worker_memory: None,
            worker_sandbox: true,
            load_timeout: Duration::from_secs(300),
            stall_timeout: Duration::from_secs(60),
            queue_timeout: Duration::from_secs(600),
            orphan_grace: Duration::from_secs(5),
            keep_runs: Duration::from_secs(300),
        }
    }
}

impl NodeConfig {
    /// How a worker is to load the model in `file`.
    #[must_use]
    pub fn load_spec(&self, file: &ModelFile) -> LoadSpec {
        let slots = u32::try_from(self.limits.slots).unwrap_or(u32::MAX);
        let context_length = context::length(file, self.context_length, slots, self.limits.memory_bytes);
        let automatic = self.context_length.is_none();
        LoadSpec {
            path: file.path.clone(),
            // Known when a worker is started.
            backends: Vec::new(),
            context_length,
            context_length_min: if automatic { context_length.min(AUTOMATIC_MIN) } else { context_length },
            slots,
            threads: self.threads,
            gpu_layers: self.gpu_layers,
            saved_prefix_bytes: self.saved_prefix_bytes,
            prefix_folder: self.prefixes_on_disk.then(|| self.prefix_folder(file)),
            parse_special_in_user_text: self.parse_special_in_user_text,
        }
    }
}

impl NodeConfig {
    /// What the worker of the model in `file` may do, which loads `spec` and is expected to take `need` bytes.
    #[must_use]
    pub fn confinement(&self, file: &ModelFile, spec: &LoadSpec, need: Option<u64>) -> Confinement {
        let mut confinement = Confinement::for_model(&file.path, spec.prefix_folder.as_deref());
        confinement
            .reads
            .extend(spec.backends.iter().filter_map(|library| library.parent()).map(Path::to_owned));
        // The drivers of GPUs map far more than they use, and open files of their own.
        let processor_alone = !cfg!(any(feature = "cuda", feature = "metal", feature = "vulkan"));
        let by_need = need.filter(|_| processor_alone).map(|bytes| {
            bytes
                .saturating_mul(2)
                .saturating_add(self.saved_prefix_bytes)
                .saturating_add(WORKER_MEMORY_SPARE)
        });
        confinement.memory_bytes = self.worker_memory.or(by_need).filter(|bytes| *bytes > 0);
        confinement.landlock = self.worker_sandbox && processor_alone;
        confinement
    }
}

impl NodeConfig {
    /// Where what is kept of a model's prompts and answers is while the model isn't in memory.
    fn prefix_folder(&self, file: &ModelFile) -> PathBuf {
        // Models of other folders may have files of the same name.
        let place = crc32fast::hash(file.path.as_os_str().as_encoded_bytes());
        let name = file.path.file_stem().unwrap_or_default().to_string_lossy();
        self.models.join(PREFIXES).join(format!("{name}-{place:08x}"))
    }
}

/// One less than the processors, so that the gateway and the system keep one; at least one.
fn default_threads() -> u32 {
    let processors = std::thread::available_parallelism().map_or(2, usize::from);
    u32::try_from(processors.saturating_sub(1).max(1)).unwrap_or(1)
}

/// A sixteenth of the machine's memory.
fn default_saved_prefix_bytes() -> u64 {
    memory::available().map_or(256 << 20, |memory| memory.total / 16)
}
