//! `/v1/cache`: cached answers.

use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

/// Cached answers of the caller to delete.
#[derive(Debug, Clone, Default, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub struct CacheQuery {
    /// Pattern of model names; `*` stands for any text. It is compared with the name in the request, with the model's
    /// own name, and with `provider:model`. Absent: all answers.
    #[param(example = "openai:*", min_length = 1, max_length = 256)]
    pub pattern: Option<String>,
}

/// Result of a deletion.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct CacheDeleted {
    /// Number of deleted answers.
    pub deleted: usize,
}

/// Statistics of the cache in the process that answers, since its start.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct CacheStats {
    /// True if the cache is enabled.
    pub enabled: bool,
    /// Requests answered from the cache.
    pub hits: u64,
    /// Cacheable requests that a model answered.
    pub misses: u64,
    /// Share of hits, 0 to 1; null before the first request.
    pub hit_rate: Option<f64>,
    /// Answers in memory.
    pub entries: u64,
    /// Memory used, in bytes.
    pub bytes: u64,
    /// Memory limit, in bytes.
    pub memory_bytes: u64,
    /// Lifetime of an answer in seconds.
    pub ttl_seconds: u64,
    /// True if users share their answers.
    pub shared: bool,
}
