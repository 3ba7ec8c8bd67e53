//! Settings: defaults, then `hearth.toml`, then `HEARTH_*` variables, then flags.

mod errors;
mod file;
mod layers;
mod shown;

use std::{
    collections::BTreeMap,
    ffi::OsString,
    net::{IpAddr, Ipv4Addr},
    path::PathBuf,
};

use anyhow::Result;
use bytesize::ByteSize;
use clap::Args;
use hearth_domain::Secret;
use hearth_gateway::{
    CacheSettings, Routing,
    routing::{Alias, SelectionSettings},
};
use hearth_node::storage::Policy;
use hearth_providers::{Catalog, ProviderConfig, catalog::Override};
use hearth_store::database::Durability;
use serde::Deserialize;

use crate::home::serve::ServerSettings;
use layers::Layers;

/// A day's seconds.
const DAY: u64 = 24 * 60 * 60;
/// The least memory that a worker may be given.
const WORKER_MEMORY_MIN: ByteSize = ByteSize(2_000_000_000);

/// Flags that change settings.
#[derive(Debug, Default, Clone, Args)]
pub(crate) struct Source {
    /// The settings file [default: ./hearth.toml, then hearth/hearth.toml in the user's configuration folder]
    #[arg(long, value_name = "FILE")]
    pub(crate) config: Option<PathBuf>,
    /// The data folder
    #[arg(long, value_name = "DIR")]
    pub(crate) data: Option<PathBuf>,
    /// The address to listen on
    #[arg(long, value_name = "ADDRESS")]
    pub(crate) host: Option<IpAddr>,
    /// The port to listen on; 0 takes any free one
    #[arg(long, value_name = "N")]
    pub(crate) port: Option<u16>,
    /// The default model: a GGUF file, or the id of one in the model folder
    #[arg(long, value_name = "FILE")]
    pub(crate) model: Option<PathBuf>,
}

/// The effective settings.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Settings {
    /// Where everything is kept.
    pub(crate) data: PathBuf,
    /// What a power cut may lose: nothing that was acknowledged (`fsync`), or the last moments (`os`).
    pub(crate) durability: Durability,
    /// The address that the gateway listens on.
    pub(crate) host: IpAddr,
    /// Its port; 0 takes any free one.
    pub(crate) port: u16,
    /// The default model's file, or its id; absent: the tiny model that comes with the binary.
    pub(crate) model: Option<PathBuf>,
    /// The id of the model that embeds for requests that name none.
    pub(crate) embedding_model: Option<String>,
    /// Seconds that a link to an image or a mesh works.
    pub(crate) artifact_link_seconds: u64,
    /// The most bytes of one answer: its texts, thoughts, calls of tools and vectors together.
    pub(crate) answer_max_bytes: ByteSize,
    /// Which lines are logged: error, warn, info, debug or trace.
    pub(crate) log_level: String,
    /// The size of one log file, in bytes or as `32MB`.
    pub(crate) log_max_bytes: ByteSize,
    /// Log files that are kept, the current one among them.
    pub(crate) log_max_files: u32,
    /// The gateway that client commands talk to.
    pub(crate) url: Option<String>,
    /// The token that client commands send.
    pub(crate) token: Option<Secret>,
    /// The limits of the HTTP server.
    pub(crate) server: ServerSettings,
    /// The node.
    pub(crate) node: NodeSettings,
    /// Where models are pulled from.
    pub(crate) hub: HubSettings,
    /// What the model folder may hold.
    pub(crate) storage: StorageSettings,
    /// Whether answers are kept for when the same is asked again.
    pub(crate) cache: CacheSettings,
    /// Providers to ask beside the node, by the names that clients use for them.
    pub(crate) providers: BTreeMap<String, ProviderConfig>,
    /// Names that stand for models.
    pub(crate) aliases: BTreeMap<String, Alias>,
    /// What to try in place of a model, or an alias, that can't serve.
    pub(crate) fallbacks: BTreeMap<String, Vec<String>>,
    /// How to choose where a request leaves the choice.
    pub(crate) selection: SelectionSettings,
    /// What is known of providers' models beyond the catalog, by `PROVIDER:MODEL`.
    pub(crate) models: BTreeMap<String, Override>,
}

/// The node's settings.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct NodeSettings {
    /// Runs at once in each loaded model.
    pub(crate) slots: usize,
    /// Tokens that a run may have, prompt and completion together; absent: what the model was made for and the
    /// memory holds.
    pub(crate) context_length: Option<u32>,
    /// Whether control tokens that clients write in messages count as such, rather than as text.
    pub(crate) parse_special_in_user_text: bool,
    /// Threads for each loaded model; absent: one less than the processors.
    pub(crate) threads: Option<u32>,
    /// Runs that may wait for one model.
    pub(crate) queue_depth: usize,
    /// Runs that may wait for all models together.
    pub(crate) queue_total: usize,
    /// Models in memory at once.
    pub(crate) max_loaded_models: usize,
    /// Memory for all models together, in bytes; absent: what is free when the node starts.
    pub(crate) memory: Option<u64>,
    /// Seconds after its last request that a model leaves memory; absent: it stays until another needs
    /// the room.
    pub(crate) idle_seconds: Option<u64>,
    /// Seconds that a load may take.
    pub(crate) load_seconds: u64,
    /// Seconds that a model's process may say nothing while it has requests.
    pub(crate) stall_seconds: u64,
    /// Seconds that a request may wait for its turn.
    pub(crate) queue_seconds: u64,
    /// Layers to put on a GPU, where there is one.
    pub(crate) gpu_layers: u32,
    /// What each model may keep of earlier prompts beside its context, in bytes or as `2GB`; absent: a
    /// sixteenth of the machine's memory.
    pub(crate) prefix_cache: Option<ByteSize>,
    /// Whether that is written to the model folder when a model leaves memory, and read when it comes back.
    pub(crate) prefix_cache_on_disk: bool,
    /// The most memory that a model's process may have beside mapped files, in bytes or as `8GB`; 0: no limit;
    /// absent: as the model needs.
    pub(crate) worker_memory: Option<ByteSize>,
    /// Whether a model's process may open only the files that it needs, where the system can see to it.
    pub(crate) worker_sandbox: bool,
}

/// The hub's settings.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct HubSettings {
    /// Its address.
    pub(crate) url: String,
    /// A token for models that need one.
    pub(crate) token: Option<Secret>,
}

/// What the model folder may hold. By default everything stays.
#[derive(Debug, Clone, Copy, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct StorageSettings {
    /// The size of all its files together, in bytes or as `20GB`.
    pub(crate) max_bytes: Option<ByteSize>,
    /// Days that a model is kept after its last use.
    pub(crate) keep_days: Option<u32>,
}

impl StorageSettings {
    /// The same as a policy.
    pub(crate) fn policy(self) -> Policy {
        Policy { max_bytes: self.max_bytes.map(|size| size.as_u64()), keep_days: self.keep_days }
    }
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            data: dirs::data_local_dir().unwrap_or_else(|| PathBuf::from(".")).join("hearth"),
            durability: Durability::default(),
            host: Ipv4Addr::LOCALHOST.into(),
            port: 8080,
            model: None,
            embedding_model: None,
            artifact_link_seconds: 3600,
            answer_max_bytes: ByteSize::mib(16),
            log_level: "info".to_owned(),
            log_max_bytes: ByteSize::mib(32),
            log_max_files: 7,
            url: None,
            token: None,
            server: ServerSettings::default(),
            node: NodeSettings::default(),
            hub: HubSettings::default(),
            storage: StorageSettings::default(),
            cache: CacheSettings::default(),
            providers: BTreeMap::new(),
            aliases: BTreeMap::new(),
            fallbacks: BTreeMap::new(),
            selection: SelectionSettings::default(),
            models: BTreeMap::new(),
        }
    }
}

impl Default for NodeSettings {
    fn default() -> Self {
        Self {
            slots: 4,
            context_length: None,
            parse_special_in_user_text: false,
            threads: None,
            queue_depth: 64,
            queue_total: 256,
            max_loaded_models: 3,
            memory: None,
            idle_seconds: None,
            load_seconds: 300,
            stall_seconds: 60,
            queue_seconds: 600,
            gpu_layers: 999,
            prefix_cache: None,
            prefix_cache_on_disk: false,
            worker_memory: None,
            worker_sandbox: true,
        }
    }
}

impl Default for HubSettings {
    fn default() -> Self {
        let variable = layers::hub_variable;
        let url = variable("HF_ENDPOINT").unwrap_or_else(|| "https://huggingface.co".to_owned());
        Self { url, token: variable("HF_TOKEN").map(Secret::new) }
    }
}

impl Settings {
    /// Reads them from everywhere.
    ///
    /// # Errors
    /// A value that is no setting or out of bounds; the error names the file and line, or the variable.
    pub(crate) fn read(source: &Source) -> Result<Self> {
        let layers = Layers::find(source)?;
        let mut settings = layers.read()?;
        settings.apply(source);
        settings.check().map_err(|error| layers.locate(error))?;
        Ok(settings)
    }

    /// Whom the gateway asks beside its node, and for what.
    pub(crate) fn routing(&self) -> Result<Routing> {
        Ok(Routing {
            providers: self.providers.clone(),
            aliases: self.aliases.clone(),
            fallbacks: self.fallbacks.clone(),
            selection: self.selection.clone(),
            catalog: Catalog::with(&self.models)?,
        })
    }

    /// The program that the shell finds under a name.
    pub(crate) fn program(name: &std::path::Path) -> Option<PathBuf> {
        #[expect(clippy::disallowed_methods, reason = "this is a config module")]
        let folders = std::env::var_os("PATH")?;
        std::env::split_paths(&folders).map(|folder| folder.join(name)).find(|path| path.is_file())
    }

    /// The environment of workers: what they need of this process'.
    pub(crate) fn worker_environment() -> Vec<(OsString, OsString)> {
        #[expect(clippy::disallowed_methods, reason = "this is a config module")]
        let all = std::env::vars_os();
        hearth_node::confine::environment(all)
    }

    /// The folder of model files.
    pub(crate) fn models_folder(&self) -> PathBuf {
        self.data.join("models")
    }

    /// The settings as TOML; a secret only as being set.
    pub(crate) fn shown(&self) -> Result<String> {
        Ok(toml::to_string(&file::without_nulls(self.to_json()))?)
    }

    fn apply(&mut self, source: &Source) {
        if let Some(data) = &source.data {
            self.data.clone_from(data);
        }
        self.host = source.host.unwrap_or(self.host);
        self.port = source.port.unwrap_or(self.port);
        if source.model.is_some() {
            self.model.clone_from(&source.model);
        }
    }

    fn check(&self) -> Result<()> {
        let node = &self.node;
        let bounds = [
            ("node.slots", node.slots as u64, 1, 256),
            ("node.queue_depth", node.queue_depth as u64, 1, 100_000),
            ("node.queue_total", node.queue_total as u64, 1, 1_000_000),
            ("node.queue_seconds", node.queue_seconds, 1, DAY),
            ("node.max_loaded_models", node.max_loaded_models as u64, 1, 64),
            ("node.idle_seconds", node.idle_seconds.unwrap_or(1), 1, 365 * DAY),
            ("node.load_seconds", node.load_seconds, 1, DAY),
            // A worker says that it lives after each step, at least every half second.
            ("node.stall_seconds", node.stall_seconds, 3, DAY),
            ("node.context_length", node.context_length.map_or(1, u64::from), 1, 1 << 24),
            // A line is 16 KiB at most.
            ("log_max_bytes", self.log_max_bytes.as_u64(), 64 << 10, 1 << 40),
            ("log_max_files", u64::from(self.log_max_files), 1, 1000),
            ("artifact_link_seconds", self.artifact_link_seconds, 1, 30 * DAY),
            ("answer_max_bytes", self.answer_max_bytes.as_u64(), 64 << 10, 1 << 30),
            ("storage.keep_days", u64::from(self.storage.keep_days.unwrap_or(1)), 1, 36_500),
        ];
        self.routing()?.check()?;
        self.server.check()?;
        for (name, value, least, most) in bounds {
            anyhow::ensure!(
                (least..=most).contains(&value),
                "{name} must be {least} to {most}, and is {value}"
            );
        }
        for (name, value, range) in self.cache.numbers() {
            let (least, most) = range.into_inner();
            anyhow::ensure!(
                (least..=most).contains(&value),
                "cache.{name} must be {least} to {most}, and is {value}"
            );
        }
        anyhow::ensure!(
            node.worker_memory.is_none_or(|size| size.as_u64() == 0 || size >= WORKER_MEMORY_MIN),
            "node.worker_memory must be at least {WORKER_MEMORY_MIN}, of which a worker reserves 1 GiB when it starts; \
             or 0 for no limit"
        );
        anyhow::ensure!(
            self.storage.max_bytes != Some(ByteSize(0)),
            "storage.max_bytes must be more than 0; leave it out for no limit"
        );
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(toml: &str) -> Result<Settings> {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("hearth.toml");
        std::fs::write(&path, toml).unwrap();
        Settings::read(&Source { config: Some(path), port: Some(1234), ..Source::default() })
    }

    #[test]
    fn flags_win_over_the_file_and_secrets_are_not_shown() {
        let settings = read("port = 99\ntoken = 'hth_secret'\n[node]\nslots = 2\n").unwrap();
        assert_eq!((settings.port, settings.node.slots), (1234, 2));
        let shown = settings.shown().unwrap();
        assert!(shown.contains("slots = 2") && !shown.contains("hth_secret"), "{shown}");
        assert!(!format!("{settings:?}").contains("hth_secret"));
    }

    #[test]
    fn a_size_is_a_number_or_has_a_unit() {
        for (size, bytes) in [("'20GB'", 20_000_000_000), ("'1.5 GiB'", 3 << 29), ("1000", 1000)] {
            let settings = read(&format!("[storage]\nmax_bytes = {size}\nkeep_days = 30\n")).unwrap();
            let policy = settings.storage.policy();
            assert_eq!(policy, Policy { max_bytes: Some(bytes), keep_days: Some(30) }, "{size}");
            assert!(settings.shown().unwrap().contains(&format!("max_bytes = {bytes}")));
        }
        assert!(read("").unwrap().storage.policy().is_unbounded());
    }

    #[test]
    fn facts_of_models_are_read_and_shown() {
        let toml =
            "[models.'rig:qwen3.5-Mini*']\ncontext_length = 32768\nprice = {input = 0.1, output = 3}\n";
        let settings = read(toml).unwrap();
        let catalog = settings.routing().unwrap().catalog;
        let facts = catalog.facts("rig", "openai_compatible", "qwen3.5-Mini-8b").unwrap();
        assert_eq!(facts.context_length, Some(32768));
        assert!(facts.price.as_ref().is_some_and(|price| price.input.is_some() && price.output.is_some()));
        let again = read(&settings.shown().unwrap()).unwrap();
        assert_eq!(again.models, settings.models);
    }

    #[test]
    fn what_is_wrong_is_named() {
        for (toml, word) in [
            ("prot = 1", "prot"),
            ("durability = 'none'", "durability"),
            ("[node]\nslots = 0", "node.slots"),
            ("[node]\nstall_seconds = 1", "node.stall_seconds must be 3"),
            ("[node]\nidle_seconds = 0", "node.idle_seconds"),
            ("[node]\nidle_minutes = 5", "idle_minutes"),
            ("[server]\nhead_seconds = 0", "server.head_seconds"),
            ("[server]\nbody_memory = '1MB'", "server.body_memory"),
            ("[server]\nheads = 1", "heads"),
            ("port = 'x'", "port"),
            ("[storage]\nmax_bytes = 'lots'", "storage.max_bytes"),
            ("[storage]\nmax_bytes = 0", "storage.max_bytes"),
            ("[storage]\nkeep_days = 0", "storage.keep_days"),
            ("[aliases]\nfast = []", "aliases.fast"),
            ("[selection]\nstrategy = 'best'", "best"),
            ("[[selection.rules]]\nwords = ['code']", "selection.rules[0].model"),
            ("[models.'gpt-5']\ncontext_length = 1", "models.\"gpt-5\""),
            ("[models.'openai:gpt-5']\nprize = 1", "prize"),
            ("[models.'openai:gpt-5.1']\nprice = {input = -1}", "dollars"),
            ("[models.'openai:gpt-5.1']\ntemperature = -1", "models.\"openai:gpt-5.1\".temperature"),
            ("[providers.openai]\nmax_tokens = 0", "providers.openai.max_tokens"),
            ("[cache]\nttl_seconds = 0", "cache.ttl_seconds must be 1"),
            ("[cache]\nttl = 5", "ttl"),
            ("=", "hearth.toml"),
            ("\nprot = 1", "hearth.toml, line 2: there is no setting `prot` here; did you mean `port`?"),
            (
                "[node]\ncontxt = 1",
                "line 2: there is no setting `contxt` here; did you mean `context_length`?",
            ),
            ("[node]\n\nslots = 0", "hearth.toml, line 3: node.slots must be"),
            ("port = 'x'", "hearth.toml, line 1: "),
            ("[providers.openai]\nmax_tokens = 0", "hearth.toml, line 2: providers.openai.max_tokens"),
        ] {
            let error = format!("{:#}", read(toml).unwrap_err());
            assert!(error.contains(word), "{toml:?} gave {error:?}");
        }
    }
}
