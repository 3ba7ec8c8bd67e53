//! The model folder of this machine.

use std::{
    fs::{File, TryLockError},
    path::PathBuf,
};

use hearth_node::{model_files::model_id, storage::Policy};

use super::model::TINY_ID;
use crate::settings::Settings;

/// The model folder, by the settings.
#[derive(Debug, Clone)]
pub(crate) struct ModelFolder {
    /// Its path.
    pub(crate) path: PathBuf,
    /// The file that a running gateway holds a lock on.
    pub(crate) lock: PathBuf,
    /// The model that serves requests which name none.
    pub(crate) default_model: String,
    /// The model that comes with the program.
    pub(crate) embedded_model: String,
    /// The limits of the folder.
    pub(crate) policy: Policy,
}

impl ModelFolder {
    /// Reads the settings of the folder.
    pub(crate) fn new(settings: &Settings) -> Self {
        let default_model = match &settings.model {
            None => TINY_ID.to_owned(),
            Some(file) if file.is_file() => model_id(file),
            Some(id) => id.display().to_string(),
        };
        Self {
            path: settings.models_folder(),
            lock: settings.data.join("lock"),
            default_model,
            embedded_model: TINY_ID.to_owned(),
            policy: settings.storage.into(),
        }
    }

    /// Fails if a gateway runs on this folder; `why` is the reason why it doesn't answer.
    pub(crate) fn refuse_while_served(&self, why: &str) -> anyhow::Result<()> {
        let runs = File::open(&self.lock)
            .is_ok_and(|lock| matches!(lock.try_lock_shared(), Err(TryLockError::WouldBlock)));
        anyhow::ensure!(
            !runs,
            "a running hearth uses this folder, and its models in memory are unknown: {why}\n\
             Add its address with --url, and a token with models:read in HEARTH_TOKEN; or stop it first"
        );
        Ok(())
    }
}
