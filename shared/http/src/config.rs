//! What a function is told by its environment, read whole before it takes a request.

use std::collections::BTreeMap;

use hearth_providers::{Catalog, catalog::Override};
use hearth_store::Names;

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
    /// What is known of providers' models.
    pub catalog: Catalog,
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
        let catalog = match env("HEARTH_MODELS").filter(|json| !json.is_empty()) {
            Some(json) => catalog(&json).map_err(|problem| wrong("HEARTH_MODELS", &problem))?,
            None => Catalog::builtin(),
        };
        Ok(Self {
            names: Names {
                table: needed("HEARTH_TABLE")?,
                bucket: needed("HEARTH_BUCKET")?,
                secret: needed("HEARTH_SECRET")?,
                provider_keys: needed("HEARTH_PROVIDER_KEYS")?,
            },
            log_level: env("HEARTH_LOG_LEVEL").unwrap_or_else(|| "info".to_owned()),
            private_nodes,
            catalog,
        })
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
                "HEARTH_MODELS" => r#"{"openai:gpt-x": {"context_length": 7}}"#,
                _ => "x",
            };
            Some(value.to_owned())
        };
        assert!(FunctionConfig::from_env(all).unwrap().private_nodes);
        let catalog = FunctionConfig::from_env(all).unwrap().catalog;
        assert_eq!(catalog.facts("openai", "openai", "gpt-x").unwrap().context_length, Some(7));
        let wrong =
            |name: &str| if name == "HEARTH_MODELS" { Some("{\"x\": {}}".to_owned()) } else { all(name) };
        let error = FunctionConfig::from_env(wrong).unwrap_err().to_string();
        assert!(error.starts_with("HEARTH_MODELS has a model that can't be: models.\"x\""), "{error}");
        let without = |name: &str| all(name).filter(|_| name != "HEARTH_BUCKET");
        assert_eq!(FunctionConfig::from_env(without).unwrap_err().to_string(), "HEARTH_BUCKET must be set");
    }
}
