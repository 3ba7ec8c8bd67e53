//! The models of this machine's folder, which need no gateway to be looked at.

use std::{fs, path::PathBuf};

use hearth_domain::{Capability, Modality};
use hearth_node::{
    catalog::{Catalog, ModelFile},
    context,
    gguf::Header,
    memory::{self, ContextSize},
    storage::{self, Removed},
};
use serde::Serialize;

use crate::client::storage::ModelFolder;

/// The least similarity of an id that is suggested in place of one that is not there.
const SUGGESTION_MIN_SIMILARITY: f64 = 0.75;

/// The model folder, with the settings that say what a model will take.
#[derive(Debug, Clone)]
pub struct LocalModels {
    /// The folder.
    pub folder: ModelFolder,
    /// `node.context_length`.
    pub context_length: Option<u32>,
    /// `node.slots`.
    pub slots: u32,
    /// The folder was named by a flag or a setting; otherwise it is the default one.
    pub is_named: bool,
}

/// What a model's file tells.
#[derive(Debug, Clone, Serialize)]
pub(super) struct FileFacts {
    pub(super) path: PathBuf,
    /// Where a link leads.
    pub(super) link_to: Option<PathBuf>,
    /// How many files it has.
    pub(super) parts: usize,
    pub(super) size_bytes: u64,
    pub(super) makes: &'static str,
    pub(super) architecture: Option<String>,
    pub(super) parameters: Option<u64>,
    pub(super) quantisation: Option<String>,
    /// The context that it was made for, in tokens.
    pub(super) made_for_context: Option<u32>,
    /// The context that it gets by the settings.
    pub(super) context_length: u32,
    pub(super) capabilities: Vec<Capability>,
    /// What it is expected to take in memory, in bytes.
    pub(super) memory_bytes: Option<u64>,
    /// Its makers' page.
    pub(super) source_url: Option<String>,
    /// The repository that it was pulled from, by its folder.
    pub(super) repository: Option<String>,
    pub(super) license: Option<String>,
    /// Why it can't be used.
    pub(super) problem: Option<String>,
}

impl LocalModels {
    /// The file of a model.
    ///
    /// # Errors
    /// There is no such model; the error names the one that is most like it.
    pub(super) fn find(&self, id: &str) -> anyhow::Result<ModelFile> {
        let mut models = Catalog::new(self.folder.path.clone(), Vec::new()).scan();
        models.remove(id).ok_or_else(|| {
            let scored = models
                .keys()
                .map(|other| (strsim::jaro_winkler(&id.to_lowercase(), &other.to_lowercase()), other));
            let best = scored.max_by(|(a, _), (b, _)| a.total_cmp(b));
            let hint = match best.filter(|(score, _)| *score >= SUGGESTION_MIN_SIMILARITY) {
                Some((_, near)) => format!("did you mean {near}?"),
                None => "`hearth storage` shows those that are there".to_owned(),
            };
            anyhow::anyhow!("there is no model {id:?} in {}; {hint}", self.folder.path.display())
        })
    }

    /// What the file of a model tells.
    pub(super) fn facts(&self, model: &ModelFile) -> FileFacts {
        let header = Header::read(&model.path).ok();
        let text = |value: Option<&str>| value.map(str::to_owned);
        let parameters = header.as_ref().map(|first| {
            let others = model.parts.iter().filter(|part| **part != model.path);
            others
                .filter_map(|part| Header::read(part).ok())
                .fold(first.parameters(), |sum, part| sum.saturating_add(part.parameters()))
        });
        let memory = memory::available().map(|memory| memory.available);
        let context_length = context::length(model, self.context_length, self.slots, memory);
        let size = match model.modality {
            Modality::Embedding => ContextSize::for_embedding(context_length),
            _ => ContextSize::for_text(context_length, self.slots),
        };
        FileFacts {
            link_to: fs::read_link(&model.path).ok(),
            path: model.path.clone(),
            parts: model.parts.len(),
            size_bytes: model.size_bytes,
            makes: model.modality.as_str(),
            architecture: model.architecture.clone(),
            parameters: parameters.filter(|count| *count > 0),
            quantisation: model.version.clone(),
            made_for_context: model.context_length,
            context_length,
            capabilities: model.capabilities.clone(),
            memory_bytes: model.shape.as_ref().map(|shape| memory::predict(shape, &size).total()),
            source_url: header.as_ref().and_then(|header| text(header.source_url())),
            license: header.as_ref().and_then(|header| text(header.license())),
            repository: self.repository(model),
            problem: model.problem.clone(),
        }
    }

    /// `hearth models pull` saves into a folder of the owner's and the repository's name.
    fn repository(&self, model: &ModelFile) -> Option<String> {
        let below = model.path.strip_prefix(&self.folder.path).ok()?;
        let mut segments = below.iter().filter_map(|segment| segment.to_str());
        let (owner, repository, _file) = (segments.next()?, segments.next()?, segments.next()?);
        Some(format!("{owner}/{repository}"))
    }

    /// Refuses what would come back, or would be missed at the next start.
    pub(super) fn check_removable(&self, id: &str) -> anyhow::Result<()> {
        anyhow::ensure!(
            id != self.folder.embedded_model,
            "{id} comes with Hearth, which writes it again at each start"
        );
        anyhow::ensure!(
            id != self.folder.default_model,
            "{id} is the default model: name another as `model` in the settings first"
        );
        Ok(())
    }

    /// Removes a model's file.
    pub(super) fn remove(&self, model: &ModelFile) -> anyhow::Result<Removed> {
        Ok(storage::remove_model(&self.folder.path, model)?)
    }
}
