//! What a function is told by its environment, read whole before it takes a request.

use std::collections::BTreeMap;

use hearth_gateway::Routing;
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
    /// Whom the gateway asks beside nodes, and how it chooses.
    pub routing: Routing,
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
        let wrong = |name, problem: &str| ConfigError { name, problem: problem.to_owned() };
        let needed =
            |name| env(name).filter(|value| !value.is_empty()).ok_or_else(|| wrong(name, "must be set"));
        let private_nodes = match env("HEARTH_ALLOW_PRIVATE_NODES").as_deref() {
            None | Some("" | "false") => false,
            Some("true") => true,
            Some(_) => {
                return Err(wrong("HEARTH_ALLOW_PRIVATE_NODES", "must be true or false"));
            }
        };
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
            private_nodes,
            routing,
        })
    }
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
                ROUTING => r#"{"aliases": {"fast": ["groq:llama", "openai:gpt"]}}"#,
                MODELS => r#"{"openai:gpt-x": {"context_length": 7}}"#,
                _ => "x",
            };
            Some(value.to_owned())
        };
        let config = FunctionConfig::from_env(all).unwrap();
        assert!(config.private_nodes && config.routing.aliases.contains_key("fast"));
        let facts = config.routing.catalog.facts("openai", "openai", "gpt-x");
        assert_eq!(facts.unwrap().context_length, Some(7));
        let wrong = |name: &str| if name == MODELS { Some(r#"{"x": {}}"#.to_owned()) } else { all(name) };
        let error = FunctionConfig::from_env(wrong).unwrap_err().to_string();
        assert!(error.starts_with("HEARTH_MODELS has a model that can't be: models.\"x\""), "{error}");
        let without = |name: &str| all(name).filter(|_| name != "HEARTH_BUCKET");
        assert_eq!(FunctionConfig::from_env(without).unwrap_err().to_string(), "HEARTH_BUCKET must be set");
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
