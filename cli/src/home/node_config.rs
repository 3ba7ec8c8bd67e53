//! The configuration of the node in this process.

use std::path::PathBuf;

use anyhow::{Context as _, Result};
use hearth_domain::Modality;
use hearth_node::{NodeConfig, downloads::DownloadOptions};

use super::model::{self, DefaultModel};
use crate::settings::{self, Settings};

/// Configures a node by the settings, with its default model and the files beside its folder.
pub(crate) fn node_config(settings: &Settings, default: DefaultModel) -> Result<NodeConfig> {
    let mut config = NodeConfig::new(settings.models_folder(), own_executable()?);
    config.default_models.insert(Modality::Text, default.id);
    if let Some(id) = &settings.embedding_model {
        config.default_models.insert(Modality::Embedding, id.clone());
    }
    config.embedded_model = Some(model::TINY_ID.to_owned());
    config.extra_models = default.extra;
    config.backends.cache = settings.data.join("backends.json");
    config.storage = settings.storage.into();
    config.downloads = DownloadOptions::new(settings.models_folder(), &settings.hub, &settings.downloads);
    config.settings = settings.node.clone();
    config.worker_environment = settings::worker_environment();
    config.backends.environment.clone_from(&config.worker_environment);
    Ok(config)
}

/// The path from which this program can be started again. On Linux it stays valid when the file is replaced.
pub(crate) fn own_executable() -> Result<PathBuf> {
    let running = PathBuf::from("/proc/self/exe");
    if running.exists() {
        return Ok(running);
    }
    if let Ok(path) = std::env::current_exe() {
        return Ok(path);
    }
    // Without /proc, follow the shell: the program was started by a path, or by a name in PATH.
    let called = std::env::args_os().next().map(PathBuf::from).unwrap_or_default();
    let path = if called.components().count() > 1 { Some(called) } else { settings::find_program(&called) };
    path.and_then(|path| path.canonicalize().ok()).context(
        "the file of this program can't be found, since /proc isn't mounted; start it by its whole path",
    )
}
