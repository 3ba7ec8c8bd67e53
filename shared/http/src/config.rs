//! What a function is told by its environment, read whole before it takes a request.

use hearth_gateway::CacheSettings;
use hearth_store::Names;

/// A variable that is missing or can't be read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{name} {problem}")]
pub struct ConfigError {
    /// The variable.
    pub name: &'static str,
    /// What is wrong with it.
    pub problem: &'static str,
}

/// A function's settings.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FunctionConfig {
    /// What table, bucket and secret are called.
    pub names: Names,
    /// Which lines are logged.
    pub log_level: String,
    /// Whether nodes may have private addresses.
    pub private_nodes: bool,
    /// Whether answers are kept, and for how long.
    pub cache: CacheSettings,
}

impl FunctionConfig {
    /// From the process' environment.
    ///
    /// # Errors
    /// If a variable is missing or can't be read.
    #[expect(clippy::disallowed_methods, reason = "this is the functions' config module")]
    pub fn from_process() -> Result<Self, ConfigError> {
        Self::from_env(|name| std::env::var(name).ok())
    }

    /// From `env`, which gives a variable's value.
    ///
    /// # Errors
    /// If a variable is missing or can't be read.
    pub fn from_env(env: impl Fn(&str) -> Option<String>) -> Result<Self, ConfigError> {
        let needed = |name| {
            env(name).filter(|value| !value.is_empty()).ok_or(ConfigError { name, problem: "must be set" })
        };
        Ok(Self {
            names: Names {
                table: needed("HEARTH_TABLE")?,
                bucket: needed("HEARTH_BUCKET")?,
                secret: needed("HEARTH_SECRET")?,
                provider_keys: needed("HEARTH_PROVIDER_KEYS")?,
            },
            log_level: env("HEARTH_LOG_LEVEL").unwrap_or_else(|| "info".to_owned()),
            private_nodes: flag(&env, "HEARTH_ALLOW_PRIVATE_NODES")?,
            cache: cache(&env)?,
        })
    }
}

fn cache(env: &impl Fn(&str) -> Option<String>) -> Result<CacheSettings, ConfigError> {
    let defaults = CacheSettings::default();
    let settings = CacheSettings {
        enabled: flag(env, "HEARTH_CACHE_ENABLED")?,
        ttl_seconds: number(env, "HEARTH_CACHE_TTL_SECONDS")?.unwrap_or(defaults.ttl_seconds),
        memory_mb: number(env, "HEARTH_CACHE_MEMORY_MB")?.unwrap_or(defaults.memory_mb),
        max_entry_kb: number(env, "HEARTH_CACHE_MAX_ENTRY_KB")?.unwrap_or(defaults.max_entry_kb),
        shared: flag(env, "HEARTH_CACHE_SHARED")?,
    };
    let names = ["HEARTH_CACHE_TTL_SECONDS", "HEARTH_CACHE_MEMORY_MB", "HEARTH_CACHE_MAX_ENTRY_KB"];
    for (name, (_, value, range)) in names.into_iter().zip(settings.numbers()) {
        if !range.contains(&value) {
            return Err(ConfigError { name, problem: "is out of its range" });
        }
    }
    Ok(settings)
}

fn flag(env: &impl Fn(&str) -> Option<String>, name: &'static str) -> Result<bool, ConfigError> {
    match env(name).as_deref() {
        None | Some("" | "false") => Ok(false),
        Some("true") => Ok(true),
        Some(_) => Err(ConfigError { name, problem: "must be true or false" }),
    }
}

fn number(env: &impl Fn(&str) -> Option<String>, name: &'static str) -> Result<Option<u64>, ConfigError> {
    match env(name).filter(|value| !value.is_empty()) {
        None => Ok(None),
        Some(value) => value.parse().map(Some).map_err(|_| ConfigError { name, problem: "must be a number" }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_missing_is_named() {
        let all = |name: &str| match name {
            "HEARTH_ALLOW_PRIVATE_NODES" => Some("true".to_owned()),
            name if name.starts_with("HEARTH_CACHE_") => None,
            _ => Some("x".to_owned()),
        };
        let config = FunctionConfig::from_env(all).unwrap();
        assert!(config.private_nodes);
        assert_eq!(config.cache, CacheSettings::default());
        let without = |name: &str| all(name).filter(|_| name != "HEARTH_BUCKET");
        assert_eq!(FunctionConfig::from_env(without).unwrap_err().to_string(), "HEARTH_BUCKET must be set");
    }

    #[test]
    fn the_cache_is_set_up_by_numbers_in_their_ranges() {
        let with = |name: &'static str, value: &'static str| {
            FunctionConfig::from_env(move |asked: &str| match asked {
                "HEARTH_CACHE_ENABLED" => Some("true".to_owned()),
                asked if asked == name => Some(value.to_owned()),
                asked if asked.starts_with("HEARTH_CACHE_") || asked == "HEARTH_ALLOW_PRIVATE_NODES" => None,
                _ => Some("x".to_owned()),
            })
        };
        let cache = with("HEARTH_CACHE_TTL_SECONDS", "60").unwrap().cache;
        assert_eq!(cache, CacheSettings { enabled: true, ttl_seconds: 60, ..CacheSettings::default() });
        for (name, value, problem) in [
            ("HEARTH_CACHE_SHARED", "yes", "must be true or false"),
            ("HEARTH_CACHE_MEMORY_MB", "lots", "must be a number"),
            ("HEARTH_CACHE_TTL_SECONDS", "0", "is out of its range"),
            ("HEARTH_CACHE_MAX_ENTRY_KB", "99999999", "is out of its range"),
        ] {
            assert_eq!(with(name, value), Err(ConfigError { name, problem }));
        }
    }
}
