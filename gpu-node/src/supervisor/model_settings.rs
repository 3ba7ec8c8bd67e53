//! Settings of models by the registry of the node's organisation, which the gateway sends.
//!
//! They are stored in the model folder, so that a node has them when it starts without its gateway. Idle timeouts and pins apply
//! at once; a context, GPU layers and slots when the model is loaded next.

use std::{collections::BTreeSet, fs, io, path::Path, time::Duration};

use hearth_domain::Timestamp;
use hearth_files::{Access, write_atomically};
use hearth_wire::{ApiError, ErrorCode, node::NodeModelSettings};

use super::{actor::Actor, message::Reply};
use crate::config::NodeConfig;

/// The file's name in the model folder.
const FILE_NAME: &str = "model-settings.json";
/// Limit of the number of models with settings, and of files.
const SETTINGS_MAX_COUNT: usize = 1000;

/// Reads the settings that were stored last into the configuration.
pub(super) fn restore(config: &mut NodeConfig) {
    let path = config.models.join(FILE_NAME);
    let settings = match fs::read(&path) {
        Ok(bytes) => serde_json::from_slice(&bytes).map_err(|error| error.to_string()),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(NodeModelSettings::default()),
        Err(error) => Err(error.to_string()),
    };
    let mut settings = settings.and_then(|settings| match check(&settings) {
        Ok(()) => Ok(settings),
        Err(error) => Err(error.message),
    });
    if let Ok(settings) = &mut settings
        && !config.takes_files
    {
        settings.files.clear();
    }
    config.model_settings = settings.unwrap_or_else(|error| {
        tracing::warn!(path = %path.display(), error, "the settings of models can't be read; the gateway sends them again");
        NodeModelSettings::default()
    });
}

/// Checks settings from the gateway.
fn check(settings: &NodeModelSettings) -> Result<(), ApiError> {
    if settings.models.len().max(settings.files.len()) > SETTINGS_MAX_COUNT {
        let message = format!("a node takes settings of at most {SETTINGS_MAX_COUNT} models");
        return Err(ApiError::invalid("models", message));
    }
    for (model, lifecycle) in &settings.models {
        if let Some((field, range)) = lifecycle.problem() {
            let message = format!("{field} of {model} must be {range}");
            return Err(ApiError::invalid(format!("models.{model}.{field}"), message));
        }
    }
    Ok(())
}

/// True for settings that a gateway's process has read before those of `present`. A time in the future doesn't count: the clock of
/// a gateway was wrong.
fn is_older(settings: &NodeModelSettings, present: &NodeModelSettings) -> bool {
    let now = Timestamp::now();
    present.read_at.is_some_and(|present| present <= now && settings.read_at.is_none_or(|at| at < present))
}

fn store(folder: &Path, settings: &NodeModelSettings) -> io::Result<()> {
    write_atomically(&folder.join(FILE_NAME), &serde_json::to_vec_pretty(settings)?, Access::Umask)
}

impl Actor {
    /// Replaces the settings, and answers when they are stored.
    pub(super) fn configure(&mut self, mut settings: NodeModelSettings, reply: Reply<Result<(), ApiError>>) {
        if let Err(error) = check(&settings) {
            drop(reply.send(Err(error)));
            return;
        }
        if is_older(&settings, &self.config.model_settings) {
            let message = "the node has newer settings of models";
            drop(reply.send(Err(ApiError::new(ErrorCode::Conflict, message))));
            return;
        }
        if !self.config.takes_files {
            settings.files.clear();
        }
        let before = std::mem::replace(&mut self.config.model_settings, settings.clone());
        if before.files != settings.files {
            self.models.set_registered_files(self.config.registered_files());
        }
        let models: BTreeSet<&String> = before.models.keys().chain(settings.models.keys()).collect();
        for model in models {
            if before.models.get(model) != settings.models.get(model) {
                self.apply_settings_of(model);
            }
        }
        let folder = self.config.models.clone();
        tokio::task::spawn_blocking(move || {
            let result = store(&folder, &settings).map_err(|error| {
                tracing::error!(%error, "the settings of models can't be stored");
                ApiError::new(ErrorCode::Internal, "the node can't store the settings of models")
            });
            let _ = reply.send(result);
        });
    }

    /// Applies the stored settings when the node starts.
    pub(super) fn apply_model_settings(&mut self) {
        let models: Vec<String> = self.config.model_settings.models.keys().cloned().collect();
        models.iter().for_each(|model| self.apply_settings_of(model));
    }

    fn apply_settings_of(&mut self, model: &str) {
        let lifecycle = self.config.lifecycle(model);
        let idle_timeout = lifecycle.idle_seconds.map(Duration::from_secs);
        let effects = self.scheduler.set_idle_timeout(self.now(), model, idle_timeout);
        self.apply(effects);
        let is_default = self.config.default_models.values().any(|id| id == model);
        let effects = match lifecycle.pin || is_default {
            true => self.scheduler.pin(self.now(), model),
            false => self.scheduler.unpin(self.now(), model),
        };
        self.apply(effects);
        if lifecycle.pin
            && self.models.has_file(model)
            && let Err(error) = self.load(model)
        {
            tracing::warn!(model, %error, "a pinned model can't be loaded");
        }
    }
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use hearth_domain::ModelLifecycle;

    use super::*;

    #[test]
    fn stored_settings_are_read_again_and_damaged_ones_are_ignored() {
        let folder = tempfile::tempdir().unwrap();
        let lifecycle = ModelLifecycle { pin: true, slots: Some(2), ..ModelLifecycle::default() };
        let settings = NodeModelSettings {
            models: [("a".to_owned(), lifecycle)].into(),
            files: vec!["/b.gguf".to_owned()],
            read_at: None,
        };
        let restored = |takes_files| {
            let mut config = NodeConfig::new(folder.path().to_owned(), PathBuf::new());
            config.takes_files = takes_files;
            restore(&mut config);
            config.model_settings
        };
        assert!(restored(true).is_empty());
        store(folder.path(), &settings).unwrap();
        assert_eq!(restored(true), settings);
        assert_eq!(restored(false), NodeModelSettings { files: Vec::new(), ..settings.clone() });
        for damaged in ["{", r#"{"models":{"a":{"slots":0}}}"#] {
            fs::write(folder.path().join(FILE_NAME), damaged).unwrap();
            assert!(restored(true).is_empty(), "{damaged}");
        }
    }

    #[test]
    fn settings_of_an_earlier_time_are_older() {
        let at = |seconds: i64| NodeModelSettings {
            read_at: Some(Timestamp::from_unix(seconds)),
            ..NodeModelSettings::default()
        };
        let (early, late, without) = (at(1_000), at(2_000), NodeModelSettings::default());
        assert!(is_older(&early, &late) && is_older(&without, &late));
        assert!(!is_older(&late, &early) && !is_older(&late, &late) && !is_older(&early, &without));
        assert!(!is_older(&late, &at(4_000_000_000)));
    }
}
