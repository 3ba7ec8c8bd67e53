//! The scheduler's limits.

use std::time::Duration;

use hearth_settings::NodeSettings;

/// Limits of the scheduler.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Maximum number of models in memory.
    pub loaded_models: usize,
    /// Slots of each model.
    pub slots: usize,
    /// Maximum number of runs that wait for one model.
    pub queue_depth: usize,
    /// Maximum number of runs that wait for all models together.
    pub queue_total: usize,
    /// Bytes of memory for all models together; `None` for no limit.
    pub memory_bytes: Option<u64>,
    /// Time for which loaded models continue while another one waits for memory.
    pub turn: Duration,
    /// Waiting time after which a run is equal to new runs of the next higher priority.
    pub ageing: Duration,
    /// Time after which an unused model is stopped; `None` for never.
    pub idle_timeout: Option<Duration>,
}

impl From<&NodeSettings> for Limits {
    fn from(settings: &NodeSettings) -> Self {
        Self {
            loaded_models: settings.max_loaded_models,
            slots: settings.slots,
            queue_depth: settings.queue_depth,
            queue_total: settings.queue_total,
            memory_bytes: settings.memory,
            turn: Duration::from_secs(30),
            ageing: Duration::from_secs(60),
            idle_timeout: settings.idle_timeout(),
        }
    }
}
