//! What a function is told by its environment, read whole before it takes a request.

use std::{collections::BTreeMap, time::Duration};

use hearth_gateway::{CacheSettings, Routing};
use hearth_providers::{Catalog, catalog::Override};
use hearth_store::Names;

/// The variable with routing as JSON.
const ROUTING: &str = "HEARTH_ROUTING";
/// The variable with what is known of models, as JSON.
const MODELS: &str = "HEARTH_MODELS";

/// A variable that is missing or can't be read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{name} {problem}")]
pub struct ConfigError {
    /// The variable.
    pub name: &'static str,
    /// What is wrong with it.
    pub problem: String,
}

/// A function's settings.
#[derive(Debug, Clone)]
pub struct FunctionConfig {
    /// What table, bucket and secret are called.
    pub names: Names,
    /// Which lines are logged.
    pub log_level: String,
    /// Whether nodes may have private addresses.
    pub private_nodes: bool,
    /// How long a link to an artifact works, if it is said.
    pub artifact_links: Option<Duration>,
    /// The most bytes of one answer, if it is set.
    pub answer_max_bytes: Option<u64>,
    /// Whom the gateway asks beside nodes, and how it chooses.
    pub routing: Routing,
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
        let needed =
            |name| env(name).filter(|value| !value.is_empty()).ok_or_else(|| wrong(name, "must be set"));
        let mut routing = match env(ROUTING).filter(|json| !json.is_empty()) {
            Some(json) => routing(&json).map_err(|problem| wrong(ROUTING, &problem))?,
            None => Routing::default(),
        };
        if let Some(json) = env(MODELS).filter(|json| !json.is_empty()) {
            routing.catalog = catalog(&json).map_err(|problem| wrong(MODELS, &problem))?;
        }
        Ok(Self {
            names: Names {
                table: needed("HEARTH_TABLE")?,
                bucket: needed("HEARTH_BUCKET")?,
                secret: needed("HEARTH_SECRET")?,
                provider_keys: needed("HEARTH_PROVIDER_KEYS")?,
            },
            log_level: env("HEARTH_LOG_LEVEL").unwrap_or_else(|| "info".to_owned()),
            private_nodes: flag(&env, "HEARTH_ALLOW_PRIVATE_NODES")?,
            artifact_links: artifact_links(&env)?,
            answer_max_bytes: answer_max_bytes(&env)?,
            routing,
            cache: cache(&env)?,
        })
    }
}

fn wrong(name: &'static str, problem: &str) -> ConfigError {
    ConfigError { name, problem: problem.to_owned() }
}

fn flag(env: &impl Fn(&str) -> Option<String>, name: &'static str) -> Result<bool, ConfigError> {
    match env(name).as_deref() {
        None | Some("" | "false") => Ok(false),
        Some("true") => Ok(true),
        Some(_) => Err(wrong(name, "must be true or false")),
    }
}

fn number(env: &impl Fn(&str) -> Option<String>, name: &'static str) -> Result<Option<u64>, ConfigError> {
    match env(name).filter(|value| !value.is_empty()) {
        None => Ok(None),
        Some(value) => value.parse().map(Some).map_err(|_| wrong(name, "must be a number")),
    }
}

fn artifact_links(env: &impl Fn(&str) -> Option<String>) -> Result<Option<Duration>, ConfigError> {
    const NAME: &str = "HEARTH_ARTIFACT_LINK_SECONDS";
    match number(env, NAME)? {
        Some(0) => Err(wrong(NAME, "must be at least 1")),
        seconds => Ok(seconds.map(Duration::from_secs)),
    }
}

fn answer_max_bytes(env: &impl Fn(&str) -> Option<String>) -> Result<Option<u64>, ConfigError> {
    const NAME: &str = "HEARTH_ANSWER_MAX_BYTES";
    match number(env, NAME)? {
        Some(bytes) if !(64 << 10..=1 << 30).contains(&bytes) => {
            Err(wrong(NAME, "must be 65536 to 1073741824"))
        }
        bytes => Ok(bytes),
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
            let (least, most) = range.into_inner();
            return Err(wrong(name, &format!("must be {least} to {most}, and is {value}")));
        }
    }
    Ok(settings)
}

/// Routing that is written as a JSON object.
fn routing(json: &str) -> Result<Routing, String> {
    let routing: Routing = serde_json::from_str(json).map_err(|error| format!("can't be read: {error}"))?;
    routing.check().map_err(|error| format!("can't be: {error}"))?;
    match routing.providers.iter().find(|(_, provider)| provider.api_key.is_some()) {
        // Whoever may look at a function sees its environment.
        Some((name, _)) => Err(format!("has a key for {name}; keep it with `hearth key set {name}`")),
        None => Ok(routing),
    }
}

/// The catalog with changes that are written as a JSON object.
fn catalog(json: &str) -> Result<Catalog, String> {
    let changes: BTreeMap<String, Override> =
        serde_json::from_str(json).map_err(|error| format!("can't be read: {error}"))?;
    Catalog::with(&changes).map_err(|error| format!("has a model that can't be: {error}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_missing_is_named() {
        let all = |name: &str| {
            let value = match name {
                "HEARTH_ALLOW_PRIVATE_NODES" => "true",
                "HEARTH_ARTIFACT_LINK_SECONDS" => "60",
                "HEARTH_ANSWER_MAX_BYTES" => "100000",
                ROUTING => r#"{"aliases": {"fast": ["groq:llama", "openai:gpt"]}}"#,
                MODELS => r#"{"openai:gpt-x": {"context_length": 7}}"#,
                name if name.starts_with("HEARTH_CACHE_") => return None,
                _ => "x",
            };
            Some(value.to_owned())
        };
        let config = FunctionConfig::from_env(all).unwrap();
        assert!(config.private_nodes && config.routing.aliases.contains_key("fast"));
        assert_eq!(config.cache, CacheSettings::default());
        let facts = config.routing.catalog.facts("openai", "openai", "gpt-x");
        assert_eq!(facts.unwrap().context_length, Some(7));
        assert_eq!(config.artifact_links, Some(Duration::from_secs(60)));
        let wrong = |name: &str| if name == MODELS { Some(r#"{"x": {}}"#.to_owned()) } else { all(name) };
        let error = FunctionConfig::from_env(wrong).unwrap_err().to_string();
        assert!(error.starts_with("HEARTH_MODELS has a model that can't be: models.\"x\""), "{error}");
        let without = |name: &str| all(name).filter(|_| name != "HEARTH_BUCKET");
        assert_eq!(FunctionConfig::from_env(without).unwrap_err().to_string(), "HEARTH_BUCKET must be set");
    }

    #[test]
    fn the_cache_is_set_up_by_numbers_in_their_ranges() {
        let with = |name: &'static str, value: &'static str| {
            FunctionConfig::from_env(move |asked: &str| match asked {
                "HEARTH_CACHE_ENABLED" => Some("true".to_owned()),
                asked if asked == name => Some(value.to_owned()),
                "HEARTH_TABLE" | "HEARTH_BUCKET" | "HEARTH_SECRET" | "HEARTH_PROVIDER_KEYS" => {
                    Some("x".to_owned())
                }
                _ => None,
            })
        };
        let cache = with("HEARTH_CACHE_TTL_SECONDS", "60").unwrap().cache;
        assert_eq!(cache, CacheSettings { enabled: true, ttl_seconds: 60, ..CacheSettings::default() });
        for (name, value, problem) in [
            ("HEARTH_CACHE_SHARED", "yes", "must be true or false"),
            ("HEARTH_CACHE_MEMORY_MB", "lots", "must be a number"),
            ("HEARTH_CACHE_TTL_SECONDS", "0", "must be 1 to 2592000, and is 0"),
            ("HEARTH_CACHE_MAX_ENTRY_KB", "99999", "must be 1 to 16384, and is 99999"),
        ] {
            assert_eq!(with(name, value).unwrap_err().to_string(), format!("{name} {problem}"));
        }
    }

    #[test]
    fn routing_that_cannot_be_is_refused_and_shows_no_key() {
        let refused = |json: &str| {
            let env = |name: &str| Some(if name == ROUTING { json } else { "true" }.to_owned());
            FunctionConfig::from_env(env).unwrap_err().to_string()
        };
        assert!(refused("{").starts_with("HEARTH_ROUTING can't be read"));
        assert!(refused(r#"{"aliases": {"a": []}}"#).contains("aliases.a"));
        let key = refused(r#"{"providers": {"openai": {"api_key": "sk-secret"}}}"#);
        assert!(key.contains("hearth key set openai") && !key.contains("sk-secret"), "{key}");
    }
}
