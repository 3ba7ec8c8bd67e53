//! The models in this machine's folder, read without a gateway.

use std::{
    fs,
    path::{Path, PathBuf},
};

use hearth_domain::Modality;
use hearth_node::{
    context,
    gguf::Header,
    memory::{self, ContextSize},
    model_files::{ModelFile, ModelScanner},
    storage,
};
use hearth_wire::native::models::ModelRemoved;

use super::info::FileFacts;
use crate::{home::model_folder::ModelFolder, settings::Settings};

/// Smallest similarity of an id that is suggested in place of a missing one.
const SUGGESTION_MIN_SIMILARITY: f64 = 0.75;

/// The model folder, with the settings that determine the memory of a model.
#[derive(Debug, Clone)]
pub(crate) struct LocalModels {
    /// The folder.
    pub(crate) folder: ModelFolder,
    /// `node.context_length`.
    pub(crate) context_length: Option<u32>,
    /// `node.slots`.
    pub(crate) slots: u32,
    /// A flag names the data folder; otherwise it is the one of the settings.
    pub(crate) is_named: bool,
}

impl LocalModels {
    /// The models of the settings' folder. `is_named`: a flag names the data folder.
    pub(super) fn new(settings: &Settings, is_named: bool) -> Self {
        Self {
            folder: ModelFolder::new(settings),
            context_length: settings.node.context_length,
            slots: u32::try_from(settings.node.slots).unwrap_or(u32::MAX),
            is_named,
        }
    }

    /// Reads the facts from the file of a model.
    ///
    /// # Errors
    /// As of [`Self::find`].
    pub(super) fn facts_of(&self, id: &str) -> anyhow::Result<FileFacts> {
        Ok(self.facts(&self.find(id)?))
    }

    /// The path of a model's file.
    pub(super) fn path_of(&self, id: &str) -> Option<PathBuf> {
        self.find(id).ok().map(|model| model.path)
    }

    /// Removes the file of a model, unless a gateway uses it or `confirm`, called with its size and path, refuses.
    ///
    /// # Errors
    /// There is no such model, it can't be removed, or a gateway runs.
    pub(super) fn remove(
        &self,
        id: &str,
        confirm: impl FnOnce(u64, &Path) -> anyhow::Result<bool>,
    ) -> anyhow::Result<Option<ModelRemoved>> {
        self.folder.refuse_while_served("no gateway answers at the usual address")?;
        let model = self.find(id)?;
        self.check_removable(id)?;
        if !confirm(model.size_bytes, &model.path)? {
            return Ok(None);
        }
        let removed = storage::remove_model(&self.folder.path, &model)?;
        let (freed_bytes, link) = (removed.freed_bytes, removed.link);
        Ok(Some(ModelRemoved { model: id.to_owned(), removed: true, freed_bytes, link, registration: false }))
    }

    /// Finds the file of a model.
    ///
    /// # Errors
    /// There is no such model; the error names the most similar id.
    fn find(&self, id: &str) -> anyhow::Result<ModelFile> {
        let mut models = ModelScanner::new(self.folder.path.clone(), Vec::new()).scan();
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

    /// Reads the facts from a model's file.
    fn facts(&self, model: &ModelFile) -> FileFacts {
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
        let size = match model.description.modality {
            Modality::Embedding => ContextSize::for_embedding(context_length),
            _ => ContextSize::for_text(context_length, self.slots),
        };
        FileFacts {
            link_to: fs::read_link(&model.path).ok(),
            path: model.path.clone(),
            parts: model.parts.len(),
            size_bytes: model.size_bytes,
            makes: model.description.modality.as_str(),
            architecture: model.description.architecture.clone(),
            parameters: parameters.filter(|count| *count > 0),
            quantisation: model.description.version.clone(),
            made_for_context: model.description.context_length,
            context_length,
            capabilities: model.description.capabilities.clone(),
            memory_bytes: model.shape.as_ref().map(|shape| memory::predict(shape, &size).total()),
            source_url: header.as_ref().and_then(|header| text(header.source_url())),
            license: header.as_ref().and_then(|header| text(header.license())),
            repository: self.repository(model),
            problem: model.problem.clone(),
        }
    }

    /// The repository of a model: `hearth models pull` saves into a folder of the owner's and the repository's name.
    fn repository(&self, model: &ModelFile) -> Option<String> {
        let below = model.path.strip_prefix(&self.folder.path).ok()?;
        let mut segments = below.iter().filter_map(|segment| segment.to_str());
        let (owner, repository, _file) = (segments.next()?, segments.next()?, segments.next()?);
        Some(format!("{owner}/{repository}"))
    }

    /// Refuses to remove the embedded model, which the next start would write again, and the default model.
    fn check_removable(&self, id: &str) -> anyhow::Result<()> {
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
}
