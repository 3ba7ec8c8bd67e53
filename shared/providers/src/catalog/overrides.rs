//! What an operator says of models, beyond the catalog.

use std::{borrow::Cow, collections::BTreeMap};

use hearth_domain::{Capability, Facts, Input, Modality, Price, Tier, route::provider_and_model};
use serde::{Deserialize, Serialize};

use super::{CatalogFile, pattern::Pattern};
use crate::{Defaults, config::LOCAL};

/// Facts to put in place of those of the catalog, each as a whole.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Override {
    /// Another vendor's model of the catalog whose facts it has, as `KIND:MODEL`: for a deployment with a name
    /// of its own.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub like: Option<String>,
    /// Its makers' name for it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// What it makes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub modality: Option<Modality>,
    /// What it takes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub inputs: Option<Vec<Input>>,
    /// What else it can do.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub capabilities: Option<Vec<Capability>>,
    /// The tokens that prompt and completion may have together, at least 1.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub context_length: Option<u32>,
    /// The tokens that a completion may have, at least 1.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_output_tokens: Option<u32>,
    /// What it costs, in place of the whole price.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub price: Option<Price>,
    /// Whether it costs something.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tier: Option<Tier>,
    /// The temperature of texts whose requests say none, 0 to 2.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub temperature: Option<f32>,
    /// How many tokens a text may have whose request doesn't say, at least 1.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_tokens: Option<u32>,
    /// Instructions for conversations that have none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub system_prompt: Option<String>,
}

/// A change that can't be.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("models.\"{model}\"{field}: {problem}")]
pub struct OverrideError {
    /// Of which model.
    pub model: String,
    /// The field at fault, with a dot before it; empty for the model's name.
    pub field: &'static str,
    /// What is wrong, and what to do.
    pub problem: &'static str,
}

/// Everything that an operator has said.
#[derive(Debug, Default)]
pub(super) struct Overrides(Vec<Change>);

#[derive(Debug)]
struct Change {
    provider: String,
    model: Pattern,
    /// What the model that it is like has.
    base: Option<Facts>,
    said: Override,
}

impl Overrides {
    /// Checks what was said, against the catalog in `file`.
    pub(super) fn new(
        changes: &BTreeMap<String, Override>,
        file: &CatalogFile,
    ) -> Result<Self, OverrideError> {
        let checked = changes.iter().map(|(name, said)| check(name, said, file));
        let mut all: Vec<Change> = checked.collect::<Result<_, _>>()?;
        // What says more of a name comes later, and wins.
        all.sort_by_key(|change| change.model.weight());
        Ok(Self(all))
    }

    /// The facts with what was said of the model.
    pub(super) fn apply<'a>(
        &self,
        provider: &str,
        model: &str,
        mut facts: Option<Cow<'a, Facts>>,
    ) -> Option<Cow<'a, Facts>> {
        let fits = |change: &&Change| change.provider == provider && change.model.fits(model);
        for change in self.0.iter().filter(fits) {
            let before = change.base.clone().or_else(|| facts.map(Cow::into_owned)).unwrap_or_default();
            facts = Some(Cow::Owned(change.said.over(before)));
        }
        facts
    }

    /// What the model is asked with where a request doesn't say.
    pub(super) fn defaults(&self, provider: &str, model: &str) -> Defaults {
        let fits = |change: &&Change| change.provider == provider && change.model.fits(model);
        let said = self.0.iter().filter(fits).map(|change| change.said.defaults());
        said.fold(Defaults::default(), |before, said| said.over(before))
    }

    /// What all models are asked with, those that nothing was said of left out.
    pub(super) fn all_defaults(&self) -> impl Iterator<Item = (&str, &Pattern, Defaults)> {
        let said =
            self.0.iter().map(|change| (change.provider.as_str(), &change.model, change.said.defaults()));
        said.filter(|(_, _, defaults)| *defaults != Defaults::default())
    }

    /// The whole names of a provider's models of which something was said.
    pub(super) fn names_of<'a>(&'a self, provider: &'a str) -> impl Iterator<Item = &'a str> {
        let own = self.0.iter().filter(move |change| change.provider == provider);
        own.filter_map(|change| change.model.whole())
    }
}

impl Override {
    /// What the model is asked with where a request doesn't say.
    #[must_use]
    pub fn defaults(&self) -> Defaults {
        Defaults {
            temperature: self.temperature,
            max_tokens: self.max_tokens,
            system_prompt: self.system_prompt.clone(),
        }
    }

    /// `before`, with what was said.
    pub(super) fn over(&self, before: Facts) -> Facts {
        let said = self.clone();
        Facts {
            name: said.name.or(before.name),
            modality: said.modality.unwrap_or(before.modality),
            inputs: said.inputs.unwrap_or(before.inputs),
            capabilities: said.capabilities.unwrap_or(before.capabilities),
            context_length: said.context_length.or(before.context_length),
            max_output_tokens: said.max_output_tokens.or(before.max_output_tokens),
            price: said.price.or(before.price),
            tier: said.tier.unwrap_or(before.tier),
        }
    }
}

fn check(name: &str, said: &Override, file: &CatalogFile) -> Result<Change, OverrideError> {
    let error = |field, problem| OverrideError { model: name.to_owned(), field, problem };
    let (provider, model) =
        provider_and_model(name).ok_or_else(|| error("", "name it as \"PROVIDER:MODEL\""))?;
    if provider == LOCAL {
        return Err(error("", "a local model's facts are in its file"));
    }
    let base = match &said.like {
        Some(like) => {
            let found = provider_and_model(like).and_then(|(kind, model)| file.facts(kind, model));
            let found = found.ok_or_else(|| {
                error(".like", "the catalog has no such model; name one as \"openai:gpt-4o\"")
            })?;
            Some(found.into_owned())
        }
        None => None,
    };
    if said.context_length == Some(0) {
        return Err(error(".context_length", "it must be at least 1"));
    }
    if said.max_output_tokens == Some(0) {
        return Err(error(".max_output_tokens", "it must be at least 1"));
    }
    if let Some((field, problem)) = said.defaults().fault() {
        return Err(error(field, problem));
    }
    if let Some(price) = &said.price {
        if price.input.is_none() && price.output.is_none() && price.image.is_none() {
            return Err(error(".price", "it has neither input, output nor image"));
        }
        // A price for long prompts alone leaves short ones without.
        if price.long.is_some() && (price.input.is_none() || price.output.is_none()) {
            return Err(error(".price.long", "input and output must have a price too"));
        }
    }
    Ok(Change { provider: provider.to_owned(), model: Pattern::new(model), base, said: said.clone() })
}
