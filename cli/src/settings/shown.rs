//! The settings as they are shown, without secrets.

use hearth_domain::Secret;
use hearth_providers::ProviderConfig;
use serde_json::{Map, Value};

use super::Settings;

impl Settings {
    /// The settings as JSON; a secret only as being set, and null for what is not set.
    pub(super) fn to_json(&self) -> Value {
        let secret = |secret: &Option<Secret>| secret.as_ref().map(|_| "(set, not shown)");
        serde_json::json!({
            "data": self.data,
            "durability": self.durability,
            "host": self.host,
            "port": self.port,
            "model": self.model,
            "embedding_model": self.embedding_model,
            "artifact_link_seconds": self.artifact_link_seconds,
            "answer_max_bytes": self.answer_max_bytes.as_u64(),
            "log_level": self.log_level,
            "log_max_bytes": self.log_max_bytes.as_u64(),
            "log_max_files": self.log_max_files,
            "url": self.url,
            "token": secret(&self.token),
            "server": self.server.shown(),
            "node": {
                "slots": self.node.slots,
                "context_length": self.node.context_length,
                "parse_special_in_user_text": self.node.parse_special_in_user_text,
                "threads": self.node.threads,
                "queue_depth": self.node.queue_depth,
                "queue_total": self.node.queue_total,
                "queue_seconds": self.node.queue_seconds,
                "max_loaded_models": self.node.max_loaded_models,
                "memory": self.node.memory,
                "idle_seconds": self.node.idle_seconds,
                "load_seconds": self.node.load_seconds,
                "stall_seconds": self.node.stall_seconds,
                "gpu_layers": self.node.gpu_layers,
                "prefix_cache": self.node.prefix_cache.map(|size| size.as_u64()),
                "prefix_cache_on_disk": self.node.prefix_cache_on_disk,
                "worker_memory": self.node.worker_memory.map(|size| size.as_u64()),
                "worker_sandbox": self.node.worker_sandbox,
            },
            "providers": self.providers.iter().map(|(name, provider)| (name.clone(), shown(provider))).collect::<Map<_, _>>(),
            "aliases": self.aliases,
            "fallbacks": self.fallbacks,
            "selection": self.selection,
            "models": self.models,
            "cache": self.cache,
            "hub": {"url": self.hub.url, "token": secret(&self.hub.token)},
            "storage": {
                "max_bytes": self.storage.max_bytes.map(|size| size.as_u64()),
                "keep_days": self.storage.keep_days,
            },
        })
    }
}

/// A provider's settings, its key only as being set.
fn shown(provider: &ProviderConfig) -> Value {
    serde_json::json!({
        "kind": provider.kind,
        "api": provider.api,
        "base_url": provider.base_url,
        "api_key": provider.api_key.as_ref().map(|_| "(set, not shown)"),
        "models": provider.models,
        "first_byte_seconds": provider.first_byte_seconds,
        "between_bytes_seconds": provider.between_bytes_seconds,
        "whole_seconds": provider.whole_seconds,
        "temperature": provider.temperature,
        "max_tokens": provider.max_tokens,
        "system_prompt": provider.system_prompt,
    })
}
