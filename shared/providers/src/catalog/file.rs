//! The catalog's file.

use std::{borrow::Cow, collections::BTreeMap};

use hearth_domain::{Capability, Facts, Input, Modality, Price, Tier};
use serde::Deserialize;

use super::pattern::Pattern;

/// The version of its form.
const VERSION: u32 = 1;

/// A catalog that can't be read.
#[derive(Debug, thiserror::Error)]
pub enum FileError {
    /// It has another form.
    #[error("the catalog can't be read: {0}")]
    Form(#[from] serde_json::Error),
    /// It is of another version.
    #[error("the catalog has version {0}, and {VERSION} is read")]
    Version(u32),
    /// It names a vendor that it doesn't have.
    #[error("the catalog has no vendor {0:?}")]
    Vendor(String),
}

/// A catalog.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CatalogFile {
    version: u32,
    /// The month in which the facts were gathered, such as `2026-02`.
    pub as_of: String,
    vendors: BTreeMap<String, Models>,
}

/// A vendor's models.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Models {
    /// The page that the prices are from.
    source: String,
    /// Whose models it has beside its own.
    #[serde(default)]
    like: Vec<Like>,
    /// What it lists that no route here can ask.
    #[serde(default)]
    unserved: Vec<Pattern>,
    models: Vec<Entry>,
}

/// Another vendor's models, under their names with something before them.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Like {
    prefix: String,
    vendor: String,
    /// Whether they cost the same.
    #[serde(default = "yes")]
    priced: bool,
}

#[derive(Debug, Deserialize)]
#[serde(from = "Stated")]
struct Entry {
    names: Vec<Pattern>,
    facts: Facts,
}

/// Facts as they are written: what goes without saying is left out.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Stated {
    names: Vec<Pattern>,
    name: Option<String>,
    #[serde(default = "text")]
    modality: Modality,
    inputs: Option<Vec<Input>>,
    #[serde(default)]
    capabilities: Vec<Capability>,
    context_length: Option<u32>,
    max_output_tokens: Option<u32>,
    price: Option<Price>,
    #[serde(default)]
    tier: Tier,
}

impl CatalogFile {
    /// Reads one.
    ///
    /// # Errors
    /// If it has another form or version, or says of models that they are like those of nobody.
    pub fn parse(json: &str) -> Result<Self, FileError> {
        let file: Self = serde_json::from_str(json)?;
        if file.version != VERSION {
            return Err(FileError::Version(file.version));
        }
        let mut likes = file.vendors.values().flat_map(|models| &models.like);
        match likes.find(|like| !file.vendors.contains_key(&like.vendor)) {
            Some(like) => Err(FileError::Vendor(like.vendor.clone())),
            None => Ok(file),
        }
    }

    /// Each vendor's kind, and the page that its prices are from.
    pub fn sources(&self) -> impl Iterator<Item = (&str, &str)> {
        self.vendors.iter().map(|(kind, models)| (kind.as_str(), models.source.as_str()))
    }

    /// What is known of a vendor's model: by its own name, else by that of the vendor whose it is.
    pub(super) fn facts(&self, kind: &str, model: &str) -> Option<Cow<'_, Facts>> {
        let models = self.vendors.get(kind)?;
        if let Some(facts) = models.facts(model) {
            return Some(Cow::Borrowed(facts));
        }
        models.like.iter().find_map(|like| {
            let facts = self.vendors.get(&like.vendor)?.facts(model.strip_prefix(&like.prefix)?)?;
            Some(if like.priced {
                Cow::Borrowed(facts)
            } else {
                Cow::Owned(Facts { price: None, ..facts.clone() })
            })
        })
    }

    /// The whole names of a vendor's models; the first of each that has several.
    pub(super) fn names_of(&self, kind: &str) -> impl Iterator<Item = &str> {
        let entries = self.vendors.get(kind).into_iter().flat_map(|models| &models.models);
        entries.filter_map(|entry| entry.names.iter().find_map(Pattern::whole))
    }

    pub(super) fn is_unserved(&self, kind: &str, model: &str) -> bool {
        let models = self.vendors.get(kind);
        models.is_some_and(|models| models.unserved.iter().any(|pattern| pattern.fits(model)))
    }
}

impl Models {
    /// The facts under the name that says most of `model`'s.
    fn facts(&self, model: &str) -> Option<&Facts> {
        let fits =
            |entry: &Entry| entry.names.iter().filter(|name| name.fits(model)).map(Pattern::weight).max();
        let fitting = self.models.iter().filter_map(|entry| Some((fits(entry)?, &entry.facts)));
        fitting.max_by_key(|(weight, _)| *weight).map(|(_, facts)| facts)
    }
}

impl From<Stated> for Entry {
    fn from(stated: Stated) -> Self {
        let sees = stated.capabilities.contains(&Capability::Vision);
        let usual = || if sees { vec![Input::Text, Input::Image] } else { vec![Input::Text] };
        let facts = Facts {
            name: stated.name,
            modality: stated.modality,
            inputs: stated.inputs.unwrap_or_else(usual),
            capabilities: stated.capabilities,
            context_length: stated.context_length,
            max_output_tokens: stated.max_output_tokens,
            price: stated.price,
            tier: stated.tier,
        };
        Self { names: stated.names, facts }
    }
}

fn yes() -> bool {
    true
}

fn text() -> Modality {
    Modality::Text
}
