//! An operator's overrides of the built-in information on models.

use std::{borrow::Cow, collections::BTreeMap};

use hearth_domain::{ModelInfo, Pattern, route::provider_and_model};
use hearth_settings::ModelOverride;

use super::file::ModelInfoFile;
use crate::{config::LOCAL, defaults::Defaults};

/// An override that isn't valid.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("models.\"{model}\"{field}: {problem}")]
pub struct OverrideError {
    /// The model's name in the settings.
    pub model: String,
    /// The field at fault, with a dot before it; empty for the model's name.
    pub field: &'static str,
    /// The problem, and what to do about it.
    pub problem: &'static str,
}

/// All overrides of an operator, the most specific last.
#[derive(Debug, Default)]
pub(super) struct Overrides(Vec<Entry>);

#[derive(Debug)]
struct Entry {
    provider: String,
    model: Pattern,
    /// The information on the model in `like`.
    base: Option<ModelInfo>,
    settings: ModelOverride,
}

impl Overrides {
    /// Checks the overrides; `like` refers to models of `file`.
    pub(super) fn new(
        overrides: &BTreeMap<String, ModelOverride>,
        file: &ModelInfoFile,
    ) -> Result<Self, OverrideError> {
        let checked = overrides.iter().map(|(name, settings)| check(name, settings, file));
        let mut all: Vec<Entry> = checked.collect::<Result<_, _>>()?;
        // Later entries override earlier ones.
        all.sort_by_key(|entry| entry.model.specificity());
        Ok(Self(all))
    }

    /// Returns `info` with the overrides for the model.
    pub(super) fn apply<'a>(
        &self,
        provider: &str,
        model: &str,
        mut info: Option<Cow<'a, ModelInfo>>,
    ) -> Option<Cow<'a, ModelInfo>> {
        for entry in self.matching(provider, model) {
            let base = entry.base.clone().or_else(|| info.map(Cow::into_owned)).unwrap_or_default();
            info = Some(Cow::Owned(apply_override(&entry.settings, base)));
        }
        info
    }

    /// Returns the defaults of requests to the model.
    pub(super) fn defaults(&self, provider: &str, model: &str) -> Defaults {
        let defaults = self.matching(provider, model).map(|entry| Defaults::from(&entry.settings));
        defaults.fold(Defaults::default(), |general, specific| specific.or(general))
    }

    /// Iterates over the defaults of all models that have any.
    pub(super) fn all_defaults(&self) -> impl Iterator<Item = (&str, &Pattern, Defaults)> {
        let all = self.0.iter();
        let all = all.map(|entry| (entry.provider.as_str(), &entry.model, Defaults::from(&entry.settings)));
        all.filter(|(_, _, defaults)| *defaults != Defaults::default())
    }

    /// Iterates over the models of a provider that are named without a `*`.
    pub(super) fn names_of<'a>(&'a self, provider: &'a str) -> impl Iterator<Item = &'a str> {
        let own = self.0.iter().filter(move |entry| entry.provider == provider);
        own.filter_map(|entry| entry.model.exact_name())
    }

    fn matching<'a>(&'a self, provider: &'a str, model: &'a str) -> impl Iterator<Item = &'a Entry> {
        self.0.iter().filter(move |entry| entry.provider == provider && entry.model.matches(model))
    }
}

/// Replaces each fact of `base` that is set in `settings`.
pub(super) fn apply_override(settings: &ModelOverride, base: ModelInfo) -> ModelInfo {
    let settings = settings.clone();
    ModelInfo {
        name: settings.name.or(base.name),
        modality: settings.modality.unwrap_or(base.modality),
        inputs: settings.inputs.unwrap_or(base.inputs),
        capabilities: settings.capabilities.unwrap_or(base.capabilities),
        context_length: settings.context_length.or(base.context_length),
        max_output_tokens: settings.max_output_tokens.or(base.max_output_tokens),
        price: settings.price.or(base.price),
        tier: settings.tier.unwrap_or(base.tier),
    }
}

fn check(name: &str, settings: &ModelOverride, file: &ModelInfoFile) -> Result<Entry, OverrideError> {
    let error = |field, problem| OverrideError { model: name.to_owned(), field, problem };
    let (provider, model) =
        provider_and_model(name).ok_or_else(|| error("", "name it as \"PROVIDER:MODEL\""))?;
    if provider == LOCAL {
        return Err(error("", "the information on a local model is in its file"));
    }
    let base = match &settings.like {
        Some(like) => {
            let info = provider_and_model(like).and_then(|(kind, model)| file.info(kind, model));
            let info = info.ok_or_else(|| {
                error(".like", "the catalog has no such model; name one as \"openai:gpt-4o\"")
            })?;
            Some(info.into_owned())
        }
        None => None,
    };
    if settings.context_length == Some(0) {
        return Err(error(".context_length", "it must be at least 1"));
    }
    if settings.max_output_tokens == Some(0) {
        return Err(error(".max_output_tokens", "it must be at least 1"));
    }
    if let Some((field, problem)) = Defaults::from(settings).problem() {
        return Err(error(field, problem));
    }
    if let Some(price) = &settings.price {
        if price.input.is_none() && price.output.is_none() && price.image.is_none() {
            return Err(error(".price", "it has neither input, output nor image"));
        }
        // With a price for long prompts only, short ones would have none.
        if price.long.is_some() && (price.input.is_none() || price.output.is_none()) {
            return Err(error(".price.long", "input and output must have a price too"));
        }
    }
    let (provider, settings) = (provider.to_owned(), settings.clone());
    Ok(Entry { provider, model: Pattern::new(model), base, settings })
}
