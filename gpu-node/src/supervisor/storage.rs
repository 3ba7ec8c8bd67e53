//! The model folder's room: told in the status, kept within the operator's policy.

use std::{collections::HashMap, time::Instant};

use hearth_wire::{
    ApiError, ErrorCode,
    node::{NodeRemoved, NodeStorage},
};
use tokio::sync::oneshot;

use super::{actor::Actor, metrics};
use crate::{
    catalog::ModelFile,
    storage::{INTERVAL, Keep, free_bytes},
};

impl Actor {
    /// What the model folder takes, and what is free beside it.
    pub(super) fn storage(&self) -> NodeStorage {
        let used_bytes = self.models.bytes_in(&self.config.models);
        let free_bytes = free_bytes(&self.config.models);
        metrics::storage(used_bytes, free_bytes);
        NodeStorage { used_bytes, free_bytes, max_bytes: self.config.storage.max_bytes }
    }

    /// Applies the policy when it is time, on a thread of its own.
    pub(super) fn keep_storage(&mut self) {
        if self.storage_kept.is_some_and(|at| at.elapsed() < INTERVAL) {
            return;
        }
        self.storage_kept = Some(Instant::now());
        let (keeper, catalog, stays) = (self.keeper.clone(), self.models.catalog(), self.stays());
        tokio::task::spawn_blocking(move || {
            let files = super::models::scan(&catalog);
            let outcome = keeper.apply(&files, |model| stays.get(model).copied());
            metrics::files_removed(outcome.plan.removals.len());
        });
    }

    /// Removes a model's files, on a thread of its own. It leaves memory first.
    pub(super) fn remove(&mut self, model: &str, reply: oneshot::Sender<Result<NodeRemoved, ApiError>>) {
        let file = match self.removable(model) {
            Ok(file) => file,
            Err(error) => return drop(reply.send(Err(error))),
        };
        let keeper = self.keeper.clone();
        tokio::task::spawn_blocking(move || {
            let removed = keeper.remove(&file).map_err(|error| {
                tracing::error!(model = file.id, %error, "a model can't be removed");
                conflict(format!("{} can't be removed: {}", file.id, error.why))
            });
            let removed = removed.map(|done| NodeRemoved { freed_bytes: done.freed_bytes, link: done.link });
            let _ = reply.send(removed);
        });
    }

    /// The file of a model that may be removed, which has been told to leave memory.
    fn removable(&mut self, model: &str) -> Result<ModelFile, ApiError> {
        let file = self.models.file(model)?;
        if self.config.default_models.values().any(|id| id == model) {
            return Err(conflict(format!(
                "{model} is a default model; start Hearth with another one first (`hearth up --model ID`)"
            )));
        }
        if self.config.embedded_model.as_deref() == Some(model) {
            return Err(conflict(format!("{model} comes with Hearth, which would write it again")));
        }
        self.unload(model).map_err(|error| match error.code {
            ErrorCode::Conflict => {
                conflict(format!("{model} is in use; remove it when its requests have ended"))
            }
            _ => error,
        })?;
        Ok(file)
    }

    /// The models that aren't removed whatever the policy says, and why.
    fn stays(&self) -> HashMap<String, Keep> {
        let in_use = self.models.in_use(|model| self.scheduler.load_of(model) != (0, 0));
        let in_use = in_use.map(|model| (model, Keep::InUse));
        in_use.chain(self.config.default_models.values().map(|id| (id.clone(), Keep::Default))).collect()
    }
}

fn conflict(message: String) -> ApiError {
    ApiError::new(ErrorCode::Conflict, message).at("model")
}
