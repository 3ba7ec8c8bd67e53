//! What a function is told by its environment, read whole before it takes a request.

use std::time::Duration;

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
    /// How long a link to an artifact works, if it is said.
    pub artifact_links: Option<Duration>,
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
        let private_nodes = match env("HEARTH_ALLOW_PRIVATE_NODES").as_deref() {
            None | Some("" | "false") => false,
            Some("true") => true,
            Some(_) => {
                return Err(ConfigError {
                    name: "HEARTH_ALLOW_PRIVATE_NODES",
                    problem: "must be true or false",
                });
            }
        };
        let artifact_links = match env("HEARTH_ARTIFACT_LINK_SECONDS").filter(|value| !value.is_empty()) {
            None => None,
            Some(text) => {
                let seconds = text.parse().ok().filter(|seconds| *seconds > 0).ok_or(ConfigError {
                    name: "HEARTH_ARTIFACT_LINK_SECONDS",
                    problem: "must be a number of seconds above 0",
                })?;
                Some(Duration::from_secs(seconds))
            }
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
            artifact_links,
        })
    }
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
                _ => "x",
            };
            Some(value.to_owned())
        };
        assert_eq!(FunctionConfig::from_env(all).unwrap().artifact_links, Some(Duration::from_secs(60)));
        assert!(FunctionConfig::from_env(all).unwrap().private_nodes);
        let without = |name: &str| all(name).filter(|_| name != "HEARTH_BUCKET");
        assert_eq!(FunctionConfig::from_env(without).unwrap_err().to_string(), "HEARTH_BUCKET must be set");
    }
}
