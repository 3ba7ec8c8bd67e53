//! Settings of routing, checked against the vendors and the table of models.

use std::collections::BTreeMap;

use hearth_providers::{
    Endpoint, ModelInfoTable, ProviderSettings, config::ConfigError as ProviderError,
    model_info::OverrideError,
};
use hearth_settings::Settings;
pub use hearth_settings::{Alias, Rule, SelectionSettings, Target};

/// Model name that leaves the choice to the gateway.
pub(crate) const AUTO: &str = "auto";

/// The providers and models that the gateway may use, and the choice between them.
#[derive(Debug, Clone, Default)]
pub struct Routing {
    /// Providers, by the names that clients use for them.
    pub providers: BTreeMap<String, ProviderSettings>,
    /// Names that stand for models.
    pub aliases: BTreeMap<String, Alias>,
    /// Models to try in place of a model, or an alias, that can't serve.
    pub fallbacks: BTreeMap<String, Vec<String>>,
    /// The choice of a model where a request leaves it open.
    pub selection: SelectionSettings,
    /// The table of vendors' models, with the operator's changes.
    pub model_info: ModelInfoTable,
}

/// A setting of routing that is invalid. The message begins with the setting's name.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RoutingError {
    /// A provider.
    #[error(transparent)]
    Provider(#[from] ProviderError),
    /// A model.
    #[error(transparent)]
    Model(#[from] OverrideError),
}

impl Routing {
    /// Routing by these settings. Nothing is fetched.
    ///
    /// # Errors
    /// The first setting of a provider or a model that is invalid.
    pub fn new(settings: &Settings) -> Result<Self, RoutingError> {
        for (name, provider) in &settings.providers {
            Endpoint::new(name, provider, None)?;
        }
        Ok(Self {
            providers: settings.providers.clone(),
            aliases: settings.aliases.clone(),
            fallbacks: settings.fallbacks.clone(),
            selection: settings.selection.clone(),
            model_info: ModelInfoTable::with_overrides(&settings.models)?,
        })
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn invalid_provider_or_model_is_named() {
        for (json, name) in [
            (json!({"providers": {"azure": {}}}), "providers.azure.base_url"),
            (json!({"providers": {"openai": {"max_tokens": 0}}}), "providers.openai.max_tokens"),
            (json!({"models": {"gpt-5": {"context_length": 1}}}), "models.\"gpt-5\""),
            (
                json!({"models": {"openai:gpt-5.1": {"temperature": -1}}}),
                "models.\"openai:gpt-5.1\".temperature",
            ),
        ] {
            let settings: Settings = serde_json::from_value(json).unwrap();
            let error = Routing::new(&settings).unwrap_err().to_string();
            assert!(error.starts_with(name), "{error}");
        }
    }
}
