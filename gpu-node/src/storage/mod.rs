//! The model folder's room: what takes it, and what goes when a policy says so.
//!
//! [`policy`] decides, purely. [`Survey`] looks at the folder, [`LastUsed`] remembers when a model was
//! used, and [`Keeper`] puts them together for a node.

pub mod last_used;
pub mod policy;
mod remove;
mod survey;

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use hearth_domain::Timestamp;

use crate::catalog::ModelFile;
pub use last_used::LastUsed;
pub use policy::{Keep, Plan, Policy};
pub use remove::{RemoveError, Removed, remove_model};
pub use survey::{Entry, Survey};

/// How often a node applies its policy.
pub const INTERVAL: Duration = Duration::from_secs(60 * 60);

/// Keeps a node's model folder within its policy. Clones share their state.
#[derive(Debug, Clone)]
pub struct Keeper {
    folder: Arc<Path>,
    policy: Policy,
    used: Arc<Mutex<LastUsed>>,
    /// Held by whoever changes the folder.
    disk: Arc<Mutex<()>>,
}

/// What came of applying a policy.
#[derive(Debug, Default)]
pub struct Outcome {
    /// What was to go.
    pub plan: Plan,
    /// What could not be removed.
    pub failures: Vec<RemoveError>,
}

impl Keeper {
    /// A keeper of `folder`. Reads when its models were used last.
    #[must_use]
    pub fn new(folder: &Path, policy: Policy) -> Self {
        let used = Arc::new(Mutex::new(LastUsed::read(folder)));
        Self { folder: folder.into(), policy, used, disk: Arc::default() }
    }

    /// Notes that a model is in use now. Only memory is touched: call it for every run.
    pub fn note_use(&self, model: &str) {
        held(&self.used).note(model, Timestamp::now());
    }

    /// Writes down when models were used. It waits for the disk.
    pub fn save(&self) {
        let _disk = held(&self.disk);
        self.write_down();
    }

    fn write_down(&self) {
        // On a copy: nobody who notes a use waits for the disk.
        let mut used = held(&self.used).clone();
        match used.save() {
            Ok(()) => held(&self.used).saved(&used),
            Err(error) => {
                tracing::warn!(%error, "when models were used last can't be written to the model folder");
            }
        }
    }

    /// Removes one model. It waits for the disk.
    ///
    /// # Errors
    /// As [`remove_model`].
    pub fn remove(&self, model: &ModelFile) -> Result<Removed, RemoveError> {
        let _disk = held(&self.disk);
        remove_model(&self.folder, model)
    }

    /// Removes what the policy says, and writes down when models were used. It waits for the disk.
    ///
    /// `models` is the catalog's latest scan. `keep` says of a model's id whether it stays: the default
    /// model, pinned ones, the embedded one, and every model that is loaded, is being loaded, or has a
    /// run waiting for it.
    pub fn apply(
        &self,
        models: &BTreeMap<String, ModelFile>,
        keep: impl Fn(&str) -> Option<Keep>,
    ) -> Outcome {
        let now = Timestamp::now();
        let _disk = held(&self.disk);
        held(&self.used).forget_gone(|model| models.contains_key(model), now);
        self.write_down();
        if self.policy.is_unbounded() {
            return Outcome::default();
        }
        let used = held(&self.used).clone();
        let survey = Survey::of(&self.folder, models, &used, keep, now);
        let plan = policy::plan(&survey.items(), survey.other_bytes, &self.policy, now);
        let failures = execute(&self.folder, &survey, &plan);
        if plan.over_limit > 0 {
            let bytes = plan.over_limit;
            tracing::warn!(bytes, "the model folder is over its limit, and nothing more may be removed");
        }
        Outcome { plan, failures }
    }
}

fn held<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Removes what `plan` says, of what `survey` found in `folder`. What fails doesn't keep the rest.
#[must_use]
pub fn execute(folder: &Path, survey: &Survey, plan: &Plan) -> Vec<RemoveError> {
    let mut failures = Vec::new();
    for removal in &plan.removals {
        let files: Vec<PathBuf> = survey
            .entries
            .iter()
            .filter(|entry| entry.item.id == removal.id && entry.item.keep.is_none())
            .flat_map(|entry| entry.files.iter().cloned())
            .collect();
        let failed = remove::remove(folder, &removal.id, &files);
        let (id, bytes, reason) = (&removal.id, removal.bytes, removal.reason);
        if failed.is_empty() {
            tracing::info!(id, bytes, ?reason, "removed from the model folder");
        }
        for error in &failed {
            tracing::error!(id, %error, "the model folder's policy can't be carried out");
        }
        failures.extend(failed);
    }
    failures
}

/// The bytes that a new file in `folder` could take; `None` if the system doesn't tell.
#[must_use]
pub fn free_bytes(folder: &Path) -> Option<u64> {
    let there = folder.ancestors().find(|folder| folder.is_dir())?;
    fs4::available_space(there).ok()
}

#[cfg(test)]
mod tests;
