//! Information on providers' models: context length, inputs and outputs, capabilities, prices.
//!
//! It is built in, in `models.json`, with the page that each vendor's prices are from. An operator adds to it and changes
//! it ([`ModelOverride`]). A model that isn't in it can be used as well; then less is known of it.

mod file;
mod listed;
mod overrides;

use std::{
    borrow::Cow,
    collections::BTreeMap,
    fmt,
    sync::{Arc, LazyLock},
};

use hearth_domain::ModelInfo;
pub use hearth_settings::ModelOverride;

use crate::defaults::Defaults;

pub use file::{FileError, ModelInfoFile};
pub use listed::ListedModel;
pub use overrides::OverrideError;

use overrides::{Overrides, apply_override};

/// The built-in file.
const BUILTIN: &str = include_str!("models.json");

static FILE: LazyLock<ModelInfoFile> = LazyLock::new(|| {
    #[expect(clippy::expect_used, reason = "the file is part of the program, and a test parses it")]
    ModelInfoFile::parse(BUILTIN).expect("models.json is valid")
});

/// The information on all models: the built-in file with an operator's overrides. Clones share it.
#[derive(Debug, Clone, Default)]
pub struct ModelInfoTable {
    overrides: Arc<Overrides>,
}

impl ModelInfoTable {
    /// The built-in information.
    #[must_use]
    pub fn builtin() -> Self {
        Self::default()
    }

    /// The built-in information with overrides, each under `PROVIDER:MODEL`. A `*` in the model's name matches any text;
    /// the provider is named as in the settings.
    ///
    /// # Errors
    /// The first override that isn't valid.
    pub fn with_overrides(overrides: &BTreeMap<String, ModelOverride>) -> Result<Self, OverrideError> {
        Ok(Self { overrides: Arc::new(Overrides::new(overrides, &FILE)?) })
    }

    /// Returns the information on a model of the provider that the settings name `provider`, a vendor of `kind`.
    #[must_use]
    pub fn info(&self, provider: &str, kind: &str, model: &str) -> Option<Cow<'_, ModelInfo>> {
        self.overrides.apply(provider, model, FILE.info(kind, model))
    }

    /// Returns the information on a model that a provider lists: the list's facts override the file's, and the operator's
    /// override both.
    #[must_use]
    pub fn info_of_listed(&self, provider: &str, kind: &str, listed: &ListedModel) -> ModelInfo {
        let builtin = FILE.info(kind, &listed.id).map(Cow::into_owned).unwrap_or_default();
        let info = Cow::Owned(apply_override(&listed.info, builtin));
        self.overrides.apply(provider, &listed.id, Some(info)).unwrap_or_default().into_owned()
    }

    /// Returns the models of a provider that are named without a `*`, in the order of the file: current models first,
    /// then those that only the overrides name.
    #[must_use]
    pub fn models_of(&self, provider: &str, kind: &str) -> Vec<(String, Cow<'_, ModelInfo>)> {
        let overridden = self.overridden_models(provider);
        let added = overridden.filter(|name| !FILE.names_of(kind).any(|builtin| builtin == *name));
        let names: Vec<&str> = FILE.names_of(kind).chain(added).collect();
        names
            .into_iter()
            .filter_map(|name| Some((name.to_owned(), self.info(provider, kind, name)?)))
            .collect()
    }

    /// Returns whether the file or an override of the provider names `model` without a `*`. Such names are few, while
    /// clients may invent others.
    #[must_use]
    pub fn names_model(&self, provider: &str, model: &str) -> bool {
        FILE.names_model(model) || self.overridden_models(provider).any(|name| name == model)
    }

    /// Returns the operator's defaults for requests to a model.
    #[must_use]
    pub fn defaults(&self, provider: &str, model: &str) -> Defaults {
        self.overrides.defaults(provider, model)
    }

    /// Returns the operator's defaults of all models, in a form for comparison only.
    #[must_use]
    pub fn all_defaults(&self) -> impl fmt::Debug {
        self.overrides.all_defaults().collect::<Vec<_>>()
    }

    /// Returns the models of a provider that the overrides name without a `*`.
    pub fn overridden_models<'a>(&'a self, provider: &'a str) -> impl Iterator<Item = &'a str> {
        self.overrides.names_of(provider)
    }

    /// Returns whether a vendor lists a model that no route here supports, such as one for speech.
    #[must_use]
    pub fn is_unsupported(&self, kind: &str, model: &str) -> bool {
        FILE.is_unsupported(kind, model)
    }
}

#[cfg(test)]
mod tests;
