//! What is known of providers' models: the context, what they take and make, and what they cost.
//!
//! The facts lie in `models.json`, beside the page that each vendor's are from. An operator adds to them and
//! changes them ([`Override`]). A model that isn't in it can be asked as well; then less is known of it.

mod file;
mod overrides;
mod pattern;

use std::{
    borrow::Cow,
    collections::BTreeMap,
    fmt,
    sync::{Arc, LazyLock},
};

use hearth_domain::Facts;

use crate::{Defaults, discovery::Listed};

pub use file::{CatalogFile, FileError};
pub use overrides::{Override, OverrideError};

use overrides::Overrides;

/// The facts that come with the program.
const BUILTIN: &str = include_str!("models.json");

static FILE: LazyLock<CatalogFile> = LazyLock::new(|| {
    #[expect(clippy::expect_used, reason = "the file is a part of the program, and a test reads it")]
    CatalogFile::parse(BUILTIN).expect("models.json is whole")
});

/// What is known of providers' models. Clones share it.
#[derive(Debug, Clone, Default)]
pub struct Catalog {
    overrides: Arc<Overrides>,
}

impl Catalog {
    /// The facts that come with the program.
    #[must_use]
    pub fn builtin() -> Self {
        Self::default()
    }

    /// The same with an operator's changes, each under `PROVIDER:MODEL`; a `*` in the model's name stands for
    /// anything. The provider is named as it is set up.
    ///
    /// # Errors
    /// The first change that can't be.
    pub fn with(changes: &BTreeMap<String, Override>) -> Result<Self, OverrideError> {
        Ok(Self { overrides: Arc::new(Overrides::new(changes, &FILE)?) })
    }

    /// What is known of a model of the provider that an operator calls `provider`, whose API is of `kind`.
    #[must_use]
    pub fn facts(&self, provider: &str, kind: &str, model: &str) -> Option<Cow<'_, Facts>> {
        self.overrides.apply(provider, model, FILE.facts(kind, model))
    }

    /// What is known of a model that a provider lists: what the list tells is put over the catalog's facts, and
    /// the operator's word over both.
    #[must_use]
    pub fn facts_of(&self, provider: &str, kind: &str, listed: &Listed) -> Facts {
        let known = FILE.facts(kind, &listed.id).map(Cow::into_owned).unwrap_or_default();
        let known = Cow::Owned(listed.told.over(known));
        self.overrides.apply(provider, &listed.id, Some(known)).unwrap_or_default().into_owned()
    }

    /// The models of a provider that are known by their whole names, in the order of the catalog: a vendor's
    /// present ones come first.
    #[must_use]
    pub fn models_of(&self, provider: &str, kind: &str) -> Vec<(String, Cow<'_, Facts>)> {
        let own = self.named_by_operator(provider);
        let own = own.filter(|name| !FILE.names_of(kind).any(|known| known == *name));
        let names: Vec<&str> = FILE.names_of(kind).chain(own).collect();
        names
            .into_iter()
            .filter_map(|name| Some((name.to_owned(), self.facts(provider, kind, name)?)))
            .collect()
    }

    /// What a model is asked with where a request doesn't say.
    #[must_use]
    pub fn defaults(&self, provider: &str, model: &str) -> Defaults {
        self.overrides.defaults(provider, model)
    }

    /// What is said so of all models, for who compares.
    #[must_use]
    pub fn all_defaults(&self) -> impl fmt::Debug {
        self.overrides.all_defaults().collect::<Vec<_>>()
    }

    /// The whole names of a provider's models that the operator has said something of.
    pub fn named_by_operator<'a>(&'a self, provider: &'a str) -> impl Iterator<Item = &'a str> {
        self.overrides.names_of(provider)
    }

    /// Whether a vendor lists a model that no route here can ask, such as one that transcribes speech.
    #[must_use]
    pub fn is_unserved(&self, kind: &str, model: &str) -> bool {
        FILE.is_unserved(kind, model)
    }
}

#[cfg(test)]
mod tests;
