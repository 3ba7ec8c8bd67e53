//! The disk usage of the model folder: reported in the status, and kept within the operator's policy.

use std::{collections::HashMap, time::Instant};

use hearth_wire::{
    ApiError, ErrorCode,
    node::{NodeRemoved, NodeStorage},
};
use tokio::sync::oneshot;

use super::{actor::Actor, metrics, models};
use crate::{
    model_files::ModelFile,
    storage::{Keep, POLICY_INTERVAL, free_bytes},
};

impl Actor {
    /// The bytes that the model folder uses, and the free bytes of its disk.
    pub(super) fn storage_status(&self) -> NodeStorage {
        let used_bytes = self.models.bytes_in(&self.config.models);
        let free_bytes = free_bytes(&self.config.models);
        metrics::storage(used_bytes, free_bytes);
        NodeStorage { used_bytes, free_bytes, max_bytes: self.config.storage.max_bytes }
    }

    /// Applies the policy once in [`POLICY_INTERVAL`], on another thread.
    pub(super) fn apply_storage_policy(&mut self) {
        if self.storage_policy_applied_at.is_some_and(|at| at.elapsed() < POLICY_INTERVAL) {
            return;
        }
        self.storage_policy_applied_at = Some(Instant::now());
        let (storage, scanner, retained) =
            (self.storage.clone(), self.models.scanner(), self.retained_models());
        tokio::task::spawn_blocking(move || {
            let files = models::scan(&scanner);
            let outcome = storage.apply(&files, |model| retained.get(model).copied());
            metrics::models_removed(outcome.plan.removals.len());
        });
    }

    /// Unloads a model, and removes its files on another thread.
    pub(super) fn remove(&mut self, model: &str, reply: oneshot::Sender<Result<NodeRemoved, ApiError>>) {
        let file = match self.unload_for_removal(model) {
            Ok(file) => file,
            Err(error) => return drop(reply.send(Err(error))),
        };
        let storage = self.storage.clone();
        tokio::task::spawn_blocking(move || {
            let removed = storage.remove(&file).map_err(|error| {
                tracing::error!(model = file.id, %error, "a model can't be removed");
                conflict(format!("{} can't be removed: {}", file.id, error.reason))
            });
            let removed =
                removed.map(|result| NodeRemoved { freed_bytes: result.freed_bytes, link: result.link });
            let _ = reply.send(removed);
        });
    }

    /// Unloads a model that may be removed, and returns its file.
    fn unload_for_removal(&mut self, model: &str) -> Result<ModelFile, ApiError> {
        let file = self.models.file(model)?;
        if self.config.default_models.values().any(|id| id == model) {
            return Err(conflict(format!(
                "{model} is a default model; start Hearth with another one first (`hearth up --model ID`)"
            )));
        }
        if self.config.embedded_model.as_deref() == Some(model) {
            return Err(conflict(format!("{model} comes with Hearth, which would create it again")));
        }
        self.unload(model).map_err(|error| match error.code {
            ErrorCode::Conflict => {
                conflict(format!("{model} is in use; remove it when its requests have ended"))
            }
            _ => error,
        })?;
        Ok(file)
    }

    /// The models that the policy must not remove, with the reason.
    fn retained_models(&self) -> HashMap<String, Keep> {
        let in_use = self.models.in_use(|model| self.scheduler.run_counts(model) != (0, 0));
        let in_use = in_use.map(|model| (model, Keep::InUse));
        in_use.chain(self.config.default_models.values().map(|id| (id.clone(), Keep::Default))).collect()
    }
}

fn conflict(message: String) -> ApiError {
    ApiError::new(ErrorCode::Conflict, message).at("model")
}
