//! `/v1/cache`: the answers that are kept.

use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

/// Which of the caller's kept answers to delete.
#[derive(Debug, Clone, Default, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub struct CacheQuery {
    /// Those of the models of these names; `*` stands for any text. A model goes by the name that was asked for,
    /// by its own, and by that with its provider's and a colon before it. Absent: all.
    #[param(example = "openai:*")]
    pub pattern: Option<String>,
}

/// What was deleted.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct CacheDeleted {
    /// How many answers.
    pub deleted: usize,
}

/// How the cache does, in the process that answers, since it was started.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct CacheStats {
    /// Whether there is one.
    pub enabled: bool,
    /// Requests that were answered from it.
    pub hits: u64,
    /// Requests that might have been, and were answered by a model.
    pub misses: u64,
    /// Hits among both, 0 to 1; null before the first.
    pub hit_rate: Option<f64>,
    /// Answers in memory.
    pub entries: u64,
    /// What they take, in bytes.
    pub bytes: u64,
    /// What they may take, in bytes.
    pub memory_bytes: u64,
    /// Seconds that an answer is kept.
    pub ttl_seconds: u64,
    /// Whether users share their answers.
    pub shared: bool,
}
