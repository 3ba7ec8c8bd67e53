//! Providers as an operator sets them up.

use std::time::Duration;

use hearth_domain::Secret;
use reqwest::Url;
use serde::{Deserialize, Serialize};

use crate::{
    Defaults, Vendor,
    dialect::Dialect,
    http::{Endpoint, Timeouts},
    vendor,
};

/// The name that nodes go by.
pub const LOCAL: &str = "local";

/// An API that a vendor has beside its usual one, for text.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Api {
    /// OpenAI's responses.
    Responses,
}

/// A provider's settings.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct ProviderConfig {
    /// Whose API it is; the provider's own name if absent.
    pub kind: Option<String>,
    /// Which of its APIs to speak; the usual one if absent.
    pub api: Option<Api>,
    /// Where it is; the vendor's address if absent.
    pub base_url: Option<String>,
    /// What opens it.
    pub api_key: Option<Secret>,
    /// The models that are its own when they are asked for without its name.
    pub models: Vec<String>,
    /// Seconds until an answer must begin; an image or a mesh comes whole, and must be there.
    pub first_byte_seconds: Option<u64>,
    /// Seconds that an answer may be silent.
    pub between_bytes_seconds: Option<u64>,
    /// Seconds that an answer may take.
    pub whole_seconds: Option<u64>,
    /// The temperature of texts whose requests say none, 0 to 2.
    pub temperature: Option<f32>,
    /// How many tokens a text may have whose request doesn't say, at least 1.
    pub max_tokens: Option<u32>,
    /// Instructions for conversations that have none.
    pub system_prompt: Option<String>,
}

/// Settings that no provider can have.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("providers.{provider}{field}: {problem}")]
pub struct ConfigError {
    /// The provider's name.
    pub provider: String,
    /// The field at fault, with a dot before it; empty for all of it.
    pub field: &'static str,
    /// What is wrong, and what to do.
    pub problem: String,
}

impl ProviderConfig {
    /// Whose API it is.
    ///
    /// # Errors
    /// If there is no such kind.
    pub fn vendor(&self, name: &str) -> Result<&'static Vendor, ConfigError> {
        let kind = self.kind.as_deref().unwrap_or(name);
        vendor::of_kind(kind).ok_or_else(|| {
            let kinds: Vec<&str> = vendor::ALL.iter().map(|vendor| vendor.kind).collect();
            let problem = format!("{kind:?} is no kind of provider; it can be {}", kinds.join(", "));
            ConfigError { provider: name.to_owned(), field: ".kind", problem }
        })
    }

    /// What its models are asked with where a request doesn't say.
    #[must_use]
    pub fn defaults(&self) -> Defaults {
        Defaults {
            temperature: self.temperature,
            max_tokens: self.max_tokens,
            system_prompt: self.system_prompt.clone(),
        }
    }

    /// Where it is and what opens it; `key` is for a provider whose settings have none.
    ///
    /// # Errors
    /// The first setting at fault.
    pub fn endpoint(&self, name: &str, key: Option<Secret>) -> Result<Endpoint, ConfigError> {
        let error = |field, problem: String| ConfigError { provider: name.to_owned(), field, problem };
        let named = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
        if name == LOCAL || name.is_empty() || name.len() > 64 || !name.chars().all(named) {
            let problem = "a provider's name is 1 to 64 letters, digits, dashes, dots and underscores, and not \"local\"";
            return Err(error("", problem.to_owned()));
        }
        let vendor = self.vendor(name)?;
        if let Some((field, problem)) = self.defaults().fault() {
            return Err(error(field, problem.to_owned()));
        }
        let base_url = self.base_url.as_deref().or(vendor.base_url).ok_or_else(|| {
            error(".base_url", format!("{} has an address for each customer; set it", vendor.title))
        })?;
        let url =
            Url::parse(base_url).map_err(|reason| error(".base_url", format!("it is no URL: {reason}")))?;
        if !matches!(url.scheme(), "http" | "https") || !url.username().is_empty() || url.password().is_some()
        {
            let problem = "it must begin with http:// or https://, and have no user and password";
            return Err(error(".base_url", problem.to_owned()));
        }
        let dialect = match self.api {
            Some(Api::Responses) if !vendor.has_responses() => {
                return Err(error(".api", format!("{} has no responses API; leave it out", vendor.title)));
            }
            Some(Api::Responses) => Dialect::OpenAiResponses,
            None => vendor.dialect,
        };
        let defaults = Timeouts::default();
        let seconds = |field, value: Option<u64>, default: Duration| match value {
            Some(0) => Err(error(field, "it must be at least 1".to_owned())),
            Some(seconds) => Ok(Duration::from_secs(seconds)),
            None => Ok(default),
        };
        Ok(Endpoint {
            name: name.to_owned(),
            vendor,
            dialect,
            base_url: base_url.trim_end_matches('/').to_owned(),
            key: self.api_key.clone().or(key),
            timeouts: Timeouts {
                first_byte: seconds(".first_byte_seconds", self.first_byte_seconds, defaults.first_byte)?,
                between_bytes: seconds(
                    ".between_bytes_seconds",
                    self.between_bytes_seconds,
                    defaults.between_bytes,
                )?,
                made: seconds(".first_byte_seconds", self.first_byte_seconds, defaults.made)?,
                whole: seconds(".whole_seconds", self.whole_seconds, defaults.whole)?,
            },
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config(toml: &str) -> ProviderConfig {
        serde_json::from_str(toml).unwrap()
    }

    #[test]
    fn a_name_alone_is_enough_for_a_vendor() {
        let endpoint = config("{}").endpoint("openai", Some(Secret::new("sk"))).unwrap();
        assert_eq!(endpoint.base_url, "https://api.openai.com/v1");
        assert_eq!(endpoint.key, Some(Secret::new("sk")));
        let own = config(
            r#"{"kind": "openai_compatible", "base_url": "http://10.0.0.2:8000/v1/", "api_key": "k"}"#,
        );
        let endpoint = own.endpoint("rig", Some(Secret::new("other"))).unwrap();
        assert_eq!(
            (endpoint.base_url.as_str(), endpoint.key),
            ("http://10.0.0.2:8000/v1", Some(Secret::new("k")))
        );
    }

    #[test]
    fn responses_are_spoken_where_they_are_asked_for() {
        for (settings, dialect) in [
            ("{}", vendor::of_kind("openai").unwrap().dialect),
            (r#"{"api": "responses"}"#, Dialect::OpenAiResponses),
        ] {
            assert_eq!(config(settings).endpoint("openai", None).unwrap().dialect, dialect, "{settings}");
        }
    }

    #[test]
    fn what_is_wrong_is_named() {
        let cases = [
            ("rig", "{}", ".kind"),
            ("azure", "{}", ".base_url"),
            ("openai", r#"{"base_url": "file:///etc"}"#, ".base_url"),
            ("openai", r#"{"base_url": "https://user:pass@x"}"#, ".base_url"),
            ("openai", r#"{"whole_seconds": 0}"#, ".whole_seconds"),
            ("openai", r#"{"temperature": 3}"#, ".temperature"),
            ("openai", r#"{"max_tokens": 0}"#, ".max_tokens"),
            ("openai", r#"{"system_prompt": ""}"#, ".system_prompt"),
            ("anthropic", r#"{"api": "responses"}"#, ".api"),
            ("local", r#"{"kind": "openai"}"#, ""),
            ("a:b", r#"{"kind": "openai"}"#, ""),
        ];
        for (name, toml, field) in cases {
            let error = config(toml).endpoint(name, None).unwrap_err();
            assert_eq!(error.field, field, "{name} {toml}: {error}");
            assert!(!error.to_string().contains("pass@"), "{error}");
        }
    }
}
