//! The default model: the file or the id of the settings, or the tiny model in this binary.

use std::{fs, path::PathBuf, time::Duration};

use anyhow::{Context as _, Result};
use hearth_domain::RuntimeState;
use hearth_files::{Access, write_atomically};
use hearth_node::{Node, model_files};

use crate::settings::Settings;
pub(crate) use crate::settings::TINY_ID;

/// The embedded model, of about a megabyte, with which the first start needs no network.
pub(crate) const TINY: &[u8] = include_bytes!("../../../models/tiny-chat/tiny-chat.gguf");

/// Interval of checks whether the default model is loaded.
const LOAD_POLL_INTERVAL: Duration = Duration::from_millis(50);

/// The model that serves requests which name none.
#[derive(Debug, Clone)]
pub(crate) struct DefaultModel {
    /// Its id.
    pub(crate) id: String,
    /// Its file, if it isn't in the model folder.
    pub(crate) extra: Vec<PathBuf>,
}

/// Creates the model folder, writes the embedded model into it, and finds the default model.
pub(crate) fn prepare(settings: &Settings) -> Result<DefaultModel> {
    let folder = settings.models_folder();
    fs::create_dir_all(&folder).with_context(|| format!("{} can't be created", folder.display()))?;
    let tiny = folder.join(format!("{TINY_ID}.gguf"));
    if fs::read(&tiny).ok().as_deref() != Some(TINY) {
        write_atomically(&tiny, TINY, Access::Umask)
            .with_context(|| format!("{} can't be written", tiny.display()))?;
    }
    let Some(path) = &settings.model else {
        return Ok(DefaultModel { id: TINY_ID.to_owned(), extra: Vec::new() });
    };
    if !path.is_file()
        && let Some(id) = path.to_str()
        && model_files::ModelScanner::new(folder.clone(), Vec::new()).scan().contains_key(id)
    {
        return Ok(DefaultModel { id: id.to_owned(), extra: Vec::new() });
    }
    let failed = || {
        let (path, folder) = (path.display(), folder.display());
        format!("the model file {path} can't be read, and no model in {folder} has that id")
    };
    let path = path.canonicalize().with_context(failed)?;
    hearth_node::gguf::Header::read(&path)
        .with_context(|| format!("the model file {} can't be used", path.display()))?;
    // The id of a file in the folder follows from its path there.
    let extra = if path.starts_with(folder.canonicalize()?) { Vec::new() } else { vec![path.clone()] };
    Ok(DefaultModel { id: model_files::model_id(&path), extra })
}

/// Waits until the default model is loaded, and calls `progress` with the percentage. Returns the reason if it can't be
/// loaded.
pub(crate) async fn wait_until_loaded(node: &Node, progress: impl Fn(u64)) -> Option<String> {
    loop {
        let Ok(status) = node.status().await else { return None };
        let default = status.models.into_iter().find(|model| model.runtime.default);
        match default.map(|model| model.runtime) {
            None => return Some("its file is gone".to_owned()),
            Some(runtime) => match runtime.state {
                RuntimeState::Loaded | RuntimeState::Busy => return None,
                RuntimeState::Failed => return Some(runtime.error.unwrap_or_default()),
                RuntimeState::Downloading | RuntimeState::Loading | RuntimeState::Unloaded => {
                    progress((runtime.progress.unwrap_or(0.0) * 100.0) as u64);
                }
            },
        }
        tokio::time::sleep(LOAD_POLL_INTERVAL).await;
    }
}
