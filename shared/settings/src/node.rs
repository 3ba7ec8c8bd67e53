//! Settings of the node.

use std::time::Duration;

use bytesize::ByteSize;
use serde::{Deserialize, Serialize};

use crate::{
    bounds::{DAY_SECONDS, InvalidSetting, check_ranges},
    shown,
};

/// Smallest limit of a worker's memory. A worker reserves 1 GiB when it starts.
const WORKER_MEMORY_MIN: ByteSize = ByteSize(2_000_000_000);

/// The table `node` of the settings.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct NodeSettings {
    /// Runs at once in each loaded model.
    pub slots: usize,
    /// Tokens of one run, prompt and completion together; absent: as many as the model was trained for and the memory
    /// has room for.
    pub context_length: Option<u32>,
    /// Parse control tokens in clients' messages, rather than treating them as text.
    pub parse_special_in_user_text: bool,
    /// Threads for each loaded model; absent: one less than the processors.
    pub threads: Option<u32>,
    /// Runs that may wait for one model.
    pub queue_depth: usize,
    /// Runs that may wait for all models together.
    pub queue_total: usize,
    /// Seconds that a run may wait for its turn.
    pub queue_seconds: u64,
    /// Models in memory at once.
    pub max_loaded_models: usize,
    /// Memory for all models together, in bytes; absent: the memory that is free when the node starts.
    pub memory: Option<u64>,
    /// Seconds after its last run that a model leaves memory; absent: it stays until another model needs the room.
    pub idle_seconds: Option<u64>,
    /// Seconds that a load may take.
    pub load_seconds: u64,
    /// Seconds that a worker with runs may be silent.
    pub stall_seconds: u64,
    /// Layers to put on a GPU, where there is one.
    pub gpu_layers: u32,
    /// Memory for each model's prefix cache of earlier prompts and answers, in bytes or as `2GB`; absent: a sixteenth
    /// of the machine's memory.
    #[serde(serialize_with = "shown::bytes")]
    pub prefix_cache: Option<ByteSize>,
    /// Write the prefix cache to the model folder when a model leaves memory, and read it when the model is loaded
    /// again.
    pub prefix_cache_on_disk: bool,
    /// Memory of a worker beside mapped files, in bytes or as `8GB`; 0: no limit; absent: computed from the model's
    /// need.
    #[serde(serialize_with = "shown::bytes")]
    pub worker_memory: Option<ByteSize>,
    /// Restrict a worker to the files that it needs, where the system can enforce it.
    pub worker_sandbox: bool,
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
            queue_seconds: 600,
            max_loaded_models: 3,
            memory: None,
            idle_seconds: None,
            load_seconds: 300,
            stall_seconds: 60,
            gpu_layers: 999,
            prefix_cache: None,
            prefix_cache_on_disk: false,
            worker_memory: None,
            worker_sandbox: true,
        }
    }
}

impl NodeSettings {
    pub(crate) fn validate(&self) -> Result<(), InvalidSetting> {
        check_ranges(
            "node.",
            [
                ("slots", Some(self.slots as u64), 1..=256),
                ("queue_depth", Some(self.queue_depth as u64), 1..=100_000),
                ("queue_total", Some(self.queue_total as u64), 1..=1_000_000),
                ("queue_seconds", Some(self.queue_seconds), 1..=DAY_SECONDS),
                ("max_loaded_models", Some(self.max_loaded_models as u64), 1..=64),
                ("idle_seconds", self.idle_seconds, 1..=365 * DAY_SECONDS),
                ("load_seconds", Some(self.load_seconds), 1..=DAY_SECONDS),
                // A worker sends a sign of life after each step, at least every half second.
                ("stall_seconds", Some(self.stall_seconds), 3..=DAY_SECONDS),
                ("context_length", self.context_length.map(u64::from), 1..=1 << 24),
            ],
        )?;
        if self.worker_memory.is_some_and(|size| size.as_u64() > 0 && size < WORKER_MEMORY_MIN) {
            return Err(InvalidSetting::new(format!(
                "node.worker_memory must be at least {WORKER_MEMORY_MIN}, of which a worker reserves 1 GiB when it \
                 starts; or 0 for no limit"
            )));
        }
        Ok(())
    }

    /// Time that a load may take.
    #[must_use]
    pub fn load_timeout(&self) -> Duration {
        Duration::from_secs(self.load_seconds)
    }

    /// Time that a worker with runs may be silent.
    #[must_use]
    pub fn stall_timeout(&self) -> Duration {
        Duration::from_secs(self.stall_seconds)
    }

    /// Time that a run may wait for its turn.
    #[must_use]
    pub fn queue_timeout(&self) -> Duration {
        Duration::from_secs(self.queue_seconds)
    }

    /// Time after its last run that a model leaves memory, if it does.
    #[must_use]
    pub fn idle_timeout(&self) -> Option<Duration> {
        self.idle_seconds.map(Duration::from_secs)
    }
}
