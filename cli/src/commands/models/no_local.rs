//! The models in this machine's folder, in a build without the engine: their files can't be read.

use std::path::{Path, PathBuf};

use hearth_wire::native::models::ModelRemoved;

use super::info::FileFacts;
use crate::{commands::without_engine::unavailable, settings::Settings};

/// Beginning of the error where a file would be read.
const NO_GATEWAY: &str =
    "no gateway answers; name one with --url or HEARTH_URL. A command on this machine's model files";

/// No models.
#[derive(Debug, Clone)]
pub(crate) struct LocalModels {
    /// A flag names the data folder; otherwise it is the one of the settings.
    pub(crate) is_named: bool,
}

impl LocalModels {
    pub(super) fn new(_: &Settings, is_named: bool) -> Self {
        Self { is_named }
    }

    pub(super) fn facts_of(&self, _: &str) -> anyhow::Result<FileFacts> {
        Err(unavailable(NO_GATEWAY))
    }

    pub(super) fn path_of(&self, _: &str) -> Option<PathBuf> {
        None
    }

    pub(super) fn remove(
        &self,
        _: &str,
        _: impl FnOnce(u64, &Path) -> anyhow::Result<bool>,
    ) -> anyhow::Result<Option<ModelRemoved>> {
        Err(unavailable(NO_GATEWAY))
    }
}
