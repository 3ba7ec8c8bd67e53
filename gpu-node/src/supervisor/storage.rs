//! The model folder's room: told in the status, kept within the operator's policy.

use std::{collections::HashMap, time::Instant};

use hearth_wire::node::NodeStorage;

use super::{actor::Actor, metrics};
use crate::storage::{INTERVAL, Keep, free_bytes};

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

    /// The models that aren't removed whatever the policy says, and why.
    fn stays(&self) -> HashMap<String, Keep> {
        let in_use = self.models.in_use(|model| self.scheduler.load_of(model) != (0, 0));
        let in_use = in_use.map(|model| (model, Keep::InUse));
        in_use.chain(self.config.default_models.values().map(|id| (id.clone(), Keep::Default))).collect()
    }
}
