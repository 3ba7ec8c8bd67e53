//! What the commands that look at this machine are told of the settings.

use anyhow::Result;
use hearth_node::{NodeConfig, catalog};

use crate::{
    client::{doctor::Subject, models::LocalModels, storage::ModelFolder},
    home::model::{TINY, TINY_ID},
    node::own_executable,
    settings::Settings,
};

/// The model folder, for `hearth storage`.
pub(crate) fn model_folder(settings: &Settings) -> ModelFolder {
    let default_model = match &settings.model {
        None => TINY_ID.to_owned(),
        Some(file) if file.is_file() => catalog::model_id(file),
        Some(id) => id.display().to_string(),
    };
    ModelFolder {
        path: settings.models_folder(),
        lock: settings.data.join("lock"),
        default_model,
        embedded_model: TINY_ID.to_owned(),
        policy: settings.storage.policy(),
    }
}

/// The models of this machine, for `hearth models`. `is_named`: a flag names the data folder.
pub(crate) fn local_models(settings: &Settings, is_named: bool) -> LocalModels {
    LocalModels {
        folder: model_folder(settings),
        context_length: settings.node.context_length,
        slots: u32::try_from(settings.node.slots).unwrap_or(u32::MAX),
        is_named,
    }
}

/// Everything that `hearth doctor` looks at. `url_given`: a flag or the environment says where the gateway is.
pub(crate) fn subject(settings: &Settings, url_given: bool) -> Result<Subject> {
    let executable = own_executable()?;
    let node = NodeConfig::new(settings.models_folder(), executable.clone());
    Ok(Subject {
        data: settings.data.clone(),
        host: settings.host,
        port: settings.port,
        threads: settings.node.threads.unwrap_or(node.threads),
        slots: u32::try_from(settings.node.slots).unwrap_or(u32::MAX),
        context_length: settings.node.context_length,
        gpu_layers: settings.node.gpu_layers,
        worker_sandbox: settings.node.worker_sandbox,
        default_model: settings.model.clone(),
        embedded_model: TINY_ID.to_owned(),
        embedded_file: TINY,
        policy: settings.storage.policy(),
        url_named: url_given || settings.url.is_some(),
        executable,
    })
}
