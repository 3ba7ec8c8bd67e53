//! Settings of routing, checked against the vendors and the table of models.

use std::{collections::BTreeMap, iter};

use hearth_domain::route::provider_and_model;
use hearth_providers::{
    Endpoint, ModelInfoTable, ProviderSettings,
    config::{ConfigError as ProviderError, LOCAL},
    model_info::OverrideError,
    vendor,
};
pub use hearth_settings::{Alias, Rule, SelectionSettings, Target};
use hearth_settings::{ModelOverride, RoutingDocument, Settings};

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
    /// The operator's changes of the table of vendors' models.
    pub models: BTreeMap<String, ModelOverride>,
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
        check_providers(&settings.providers)?;
        Ok(Self {
            providers: settings.providers.clone(),
            aliases: settings.aliases.clone(),
            fallbacks: settings.fallbacks.clone(),
            selection: settings.selection.clone(),
            models: settings.models.clone(),
            model_info: ModelInfoTable::with_overrides(&settings.models)?,
        })
    }

    /// This routing with a document over it: a provider, an alias, a list of fallbacks, an override of a model and a
    /// setting of the selection that the document has replaces the one of the same name as a whole. The others stay.
    ///
    /// # Errors
    /// The first setting of a provider or a model that is invalid.
    pub fn with_document(&self, document: &RoutingDocument) -> Result<Self, RoutingError> {
        check_providers(&document.providers)?;
        let mut routing = self.clone();
        for (name, provider) in &document.providers {
            let own_key = self.providers.get(name).filter(|own| is_same_address(name, own, provider));
            let api_key = own_key.and_then(|own| own.api_key.clone());
            routing.providers.insert(name.clone(), ProviderSettings { api_key, ..provider.clone() });
        }
        routing.aliases.extend(document.aliases.clone());
        routing.fallbacks.extend(document.fallbacks.clone());
        document.selection.apply(&mut routing.selection);
        routing.models.extend(document.models.clone());
        if !document.models.is_empty() {
            routing.model_info = ModelInfoTable::with_overrides(&routing.models)?;
        }
        Ok(routing)
    }

    /// The names in a document that no model may answer to: those of providers which neither these settings nor the
    /// vendors have. Models of nodes come and go, and may have such a name.
    pub(crate) fn warnings(&self, document: &RoutingDocument) -> Vec<String> {
        let aliases = document.aliases.iter().map(|(name, alias)| {
            let models = alias.targets.iter().map(|target| target.model.as_str()).collect::<Vec<_>>();
            (format!("aliases.{name}"), models)
        });
        let fallbacks = document.fallbacks.iter().map(|(name, models)| {
            let models = iter::once(name).chain(models).map(String::as_str).collect();
            (format!("fallbacks.{name:?}"), models)
        });
        let mut warnings = Vec::new();
        for (setting, models) in aliases.chain(fallbacks) {
            for model in models {
                let Some((provider, _)) = provider_and_model(model) else { continue };
                let is_known = provider == LOCAL
                    || self.providers.contains_key(provider)
                    || self.aliases.contains_key(model)
                    || vendor::of_kind(provider).is_some();
                if !is_known {
                    warnings.push(format!(
                        "{setting}: no provider {provider:?} is configured, so {model} serves only if a node has a model of \
                         this name"
                    ));
                }
            }
        }
        warnings
    }
}

fn check_providers(providers: &BTreeMap<String, ProviderSettings>) -> Result<(), ProviderError> {
    providers.iter().try_for_each(|(name, provider)| Endpoint::new(name, provider, None).map(drop))
}

/// True if both settings of a provider send requests to the same API. The key of one isn't sent to another address.
pub(crate) fn is_same_address(name: &str, own: &ProviderSettings, other: &ProviderSettings) -> bool {
    let address = |settings: &ProviderSettings| {
        let endpoint = Endpoint::new(name, settings, None).ok()?;
        Some((endpoint.vendor.kind, endpoint.base_url))
    };
    address(own).is_some_and(|own| Some(own) == address(other))
}

#[cfg(test)]
mod tests {
    use hearth_domain::Strategy;
    use serde_json::json;

    use super::*;

    fn routing(json: serde_json::Value) -> Routing {
        Routing::new(&serde_json::from_value(json).unwrap()).unwrap()
    }

    #[test]
    fn document_replaces_names_and_leaves_the_others() {
        let own = routing(json!({
            "aliases": {"a": "own", "b": "own"},
            "selection": {"strategy": "cost", "intent_words": false},
            "models": {"openai:x": {"context_length": 1}, "openai:y": {"context_length": 1}},
        }));
        let document = json!({
            "aliases": {"b": ["stored"], "c": "stored"},
            "selection": {"strategy": "latency"},
            "models": {"openai:y": {"max_output_tokens": 2}},
        });
        let merged = own.with_document(&RoutingDocument::parse(&document).unwrap()).unwrap();
        let target = |name: &str| merged.aliases[name].targets[0].model.clone();
        assert_eq!([target("a"), target("b"), target("c")], ["own", "stored", "stored"]);
        assert_eq!((merged.selection.strategy, merged.selection.intent_words), (Strategy::Latency, false));
        let context = |model: &str| merged.model_info.info("openai", "openai", model).unwrap().context_length;
        assert_eq!((context("x"), context("y")), (Some(1), None));
    }

    #[test]
    fn names_of_unknown_providers_are_warned_of() {
        let document = json!({
            "providers": {"mine": {"kind": "openai_compatible", "base_url": "https://mine.example/v1"}},
            "aliases": {"a": ["nosuch:x", "mine:x", "openai:x", "local:x", "tiny-chat"], "b:c": "x"},
            "fallbacks": {"other:y": ["b:c"], "tiny-chat": ["third:z"]},
        });
        let document = RoutingDocument::parse(&document).unwrap();
        let warnings = Routing::default().with_document(&document).unwrap().warnings(&document);
        assert_eq!(warnings.len(), 3, "{warnings:?}");
        for (warning, beginning) in warnings.iter().zip([
            "aliases.a: no provider \"nosuch\" is configured",
            "fallbacks.\"other:y\": no provider \"other\"",
            "fallbacks.\"tiny-chat\": no provider \"third\"",
        ]) {
            assert!(warning.starts_with(beginning), "{warning}");
        }
    }

    #[test]
    fn key_of_the_settings_goes_to_their_own_address_only() {
        let own = routing(json!({"providers": {"openai": {"api_key": "sk-own"}}}));
        for (provider, has_key) in [
            (json!({"models": ["gpt-5.1"]}), true),
            (json!({"base_url": "https://api.openai.com/v1/"}), true),
            (json!({"base_url": "https://elsewhere.example/v1"}), false),
            (json!({"kind": "openai_compatible", "base_url": "https://api.openai.com/v1"}), false),
        ] {
            let document = RoutingDocument::parse(&json!({"providers": {"openai": provider}})).unwrap();
            let merged = own.with_document(&document).unwrap();
            assert_eq!(merged.providers["openai"].api_key.is_some(), has_key, "{provider}");
        }
    }

    #[test]
    fn invalid_provider_or_model_is_named() {
        for (json, name) in [
            (json!({"providers": {"azure": {}}}), "providers.azure.base_url"),
            (
                json!({"providers": {"bedrock": {"base_url": "https://bedrock-runtime.REGION.amazonaws.com"}}}),
                "providers.bedrock.base_url: write a region",
            ),
            (
                json!({"providers": {"mine": {"kind": "openai_compatible"}}}),
                "providers.mine.base_url: an OpenAI-compatible server needs base_url",
            ),
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
