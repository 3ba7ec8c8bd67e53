//! The file of built-in information on models, `models.json`.

use std::{borrow::Cow, collections::BTreeMap};

use hearth_domain::{Capability, Input, Modality, ModelInfo, Pattern, Price, Tier};
use serde::Deserialize;

/// The version of the file's format.
const VERSION: u32 = 1;

/// Errors of a file of information on models.
#[derive(Debug, thiserror::Error)]
pub enum FileError {
    /// The file isn't JSON, or has another format.
    #[error("the information on models can't be read: {0}")]
    Format(#[from] serde_json::Error),
    /// The file has another version.
    #[error("the information on models has version {0}; supported is {VERSION}")]
    Version(u32),
    /// `like` names a vendor that isn't in the file.
    #[error("the information on models has no vendor {0:?}")]
    Vendor(String),
}

/// A file of information on models.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ModelInfoFile {
    version: u32,
    /// The month of the information, such as `2026-02`.
    pub as_of: String,
    vendors: BTreeMap<String, Models>,
}

/// A vendor's models.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Models {
    /// The page with the prices.
    source: String,
    /// Other vendors whose models it has too.
    #[serde(default)]
    like: Vec<Like>,
    /// Listed models that no route here supports.
    #[serde(default, rename = "unserved")]
    unsupported: Vec<Pattern>,
    models: Vec<Entry>,
}

/// Another vendor's models, under their names with a prefix.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Like {
    prefix: String,
    vendor: String,
    /// True if the prices are the same.
    #[serde(default = "yes")]
    priced: bool,
}

#[derive(Debug, Deserialize)]
#[serde(from = "FileEntry")]
struct Entry {
    names: Vec<Pattern>,
    info: ModelInfo,
}

/// An entry as the file has it, without the usual values.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct FileEntry {
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

impl ModelInfoFile {
    /// Parses a file.
    ///
    /// # Errors
    /// If it has another format or version, or refers to a vendor that it doesn't have.
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

    /// Iterates over the vendors' kinds and the pages with their prices.
    pub fn sources(&self) -> impl Iterator<Item = (&str, &str)> {
        self.vendors.iter().map(|(kind, models)| (kind.as_str(), models.source.as_str()))
    }

    /// Returns the information on a vendor's model: the vendor's own, else that of the vendor which it refers to.
    pub(super) fn info(&self, kind: &str, model: &str) -> Option<Cow<'_, ModelInfo>> {
        let models = self.vendors.get(kind)?;
        if let Some(info) = models.info(model) {
            return Some(Cow::Borrowed(info));
        }
        models.like.iter().find_map(|like| {
            let info = self.vendors.get(&like.vendor)?.info(model.strip_prefix(&like.prefix)?)?;
            Some(if like.priced {
                Cow::Borrowed(info)
            } else {
                Cow::Owned(ModelInfo { price: None, ..info.clone() })
            })
        })
    }

    /// Iterates over a vendor's models: the first name without a `*` of each.
    pub(super) fn names_of(&self, kind: &str) -> impl Iterator<Item = &str> {
        let entries = self.vendors.get(kind).into_iter().flat_map(|models| &models.models);
        entries.filter_map(|entry| entry.names.iter().find_map(Pattern::exact_name))
    }

    /// Returns whether a model of any vendor is named without a `*`.
    pub(super) fn names_model(&self, model: &str) -> bool {
        self.vendors.values().any(|models| {
            let other =
                |like: &Like| Some((self.vendors.get(&like.vendor)?, model.strip_prefix(&like.prefix)?));
            models.names(model)
                || models.like.iter().filter_map(other).any(|(models, model)| models.names(model))
        })
    }

    pub(super) fn is_unsupported(&self, kind: &str, model: &str) -> bool {
        let models = self.vendors.get(kind);
        models.is_some_and(|models| models.unsupported.iter().any(|pattern| pattern.matches(model)))
    }
}

impl Models {
    /// Returns whether an entry names `model` without a `*`.
    fn names(&self, model: &str) -> bool {
        self.models.iter().flat_map(|entry| &entry.names).any(|name| name.exact_name() == Some(model))
    }

    /// Returns the information under the most specific pattern that matches `model`.
    fn info(&self, model: &str) -> Option<&ModelInfo> {
        let specificity = |entry: &Entry| {
            entry.names.iter().filter(|name| name.matches(model)).map(Pattern::specificity).max()
        };
        let matching = self.models.iter().filter_map(|entry| Some((specificity(entry)?, &entry.info)));
        matching.max_by_key(|(specificity, _)| *specificity).map(|(_, info)| info)
    }
}

impl From<FileEntry> for Entry {
    fn from(entry: FileEntry) -> Self {
        let has_vision = entry.capabilities.contains(&Capability::Vision);
        let usual_inputs = || if has_vision { vec![Input::Text, Input::Image] } else { vec![Input::Text] };
        let info = ModelInfo {
            name: entry.name,
            modality: entry.modality,
            inputs: entry.inputs.unwrap_or_else(usual_inputs),
            capabilities: entry.capabilities,
            context_length: entry.context_length,
            max_output_tokens: entry.max_output_tokens,
            price: entry.price,
            tier: entry.tier,
        };
        Self { names: entry.names, info }
    }
}

fn yes() -> bool {
    true
}

fn text() -> Modality {
    Modality::Text
}
