//! The disk usage of the model folder, and the policy that removes models.
//!
//! [`policy`] decides what to remove, without I/O. [`Survey`] reads the folder, [`LastUsed`] stores the times of models'
//! last use, and [`StorageManager`] combines them for a node.

pub mod last_used;
pub mod policy;
mod remove;
mod survey;

use std::{
    path::{Path, PathBuf},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use hearth_domain::Timestamp;

use crate::model_files::{ModelFile, ModelFiles};
pub use last_used::LastUsed;
pub use policy::{Keep, Plan, Policy};
pub use remove::{RemoveError, Removed, remove_model};
pub use survey::{Entry, Survey};

/// Time between two applications of a node's policy.
pub const POLICY_INTERVAL: Duration = Duration::from_secs(60 * 60);

/// Keeps a node's model folder within its policy. Clones share their state.
#[derive(Debug, Clone)]
pub struct StorageManager {
    folder: Arc<Path>,
    policy: Policy,
    last_used: Arc<Mutex<LastUsed>>,
    /// Locked while files of the folder are changed.
    folder_lock: Arc<Mutex<()>>,
}

/// The result of applying a policy.
#[derive(Debug, Default)]
pub struct Outcome {
    /// The plan.
    pub plan: Plan,
    /// Files that couldn't be removed.
    pub failures: Vec<RemoveError>,
}

impl StorageManager {
    /// Creates a manager of `folder`, and reads the times of the last use of its models.
    #[must_use]
    pub fn new(folder: &Path, policy: Policy) -> Self {
        let last_used = Arc::new(Mutex::new(LastUsed::read(folder)));
        Self { folder: folder.into(), policy, last_used, folder_lock: Arc::default() }
    }

    /// Records that a model is used now, in memory only, so it can be called for every run.
    pub fn record_use(&self, model: &str) {
        lock(&self.last_used).record(model, Timestamp::now());
    }

    /// Writes the times of last use. It waits for the disk.
    pub fn save(&self) {
        let _lock = lock(&self.folder_lock);
        self.save_last_used();
    }

    fn save_last_used(&self) {
        // Saves a copy, so that `record_use` doesn't wait for the disk.
        let mut copy = lock(&self.last_used).clone();
        match copy.save() {
            Ok(()) => lock(&self.last_used).mark_saved(&copy),
            Err(error) => {
                tracing::warn!(%error, "the times of models' last use can't be written to the model folder");
            }
        }
    }

    /// Removes one model. It waits for the disk.
    ///
    /// # Errors
    /// As [`remove_model`].
    pub fn remove(&self, model: &ModelFile) -> Result<Removed, RemoveError> {
        let _lock = lock(&self.folder_lock);
        remove_model(&self.folder, model)
    }

    /// Removes models by the policy, and writes the times of last use. It waits for the disk.
    ///
    /// `models` is the result of the latest scan. `keep` returns the reason why a model must not be removed: it is a
    /// default model, comes with the program, is in memory, or has waiting runs.
    pub fn apply(&self, models: &ModelFiles, keep: impl Fn(&str) -> Option<Keep>) -> Outcome {
        let now = Timestamp::now();
        let _lock = lock(&self.folder_lock);
        lock(&self.last_used).remove_expired(|model| models.contains_key(model), now);
        self.save_last_used();
        if self.policy.is_unbounded() {
            return Outcome::default();
        }
        let last_used = lock(&self.last_used).clone();
        let survey = Survey::of(&self.folder, models, &last_used, keep, now);
        let plan = policy::plan(&survey.items(), survey.other_bytes, &self.policy, now);
        let failures = execute(&self.folder, &survey, &plan);
        if plan.over_limit > 0 {
            let bytes = plan.over_limit;
            tracing::warn!(bytes, "the model folder is over its limit, and no further model may be removed");
        }
        Outcome { plan, failures }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Carries out `plan` for the entries of `survey` in `folder`. A file that can't be removed doesn't stop the others.
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
            tracing::error!(id, %error, "a file can't be removed by the policy of the model folder");
        }
        failures.extend(failed);
    }
    failures
}

/// Returns the free bytes on the disk of `folder`, which need not exist yet; `None` if the system doesn't report them.
#[must_use]
pub fn free_bytes(folder: &Path) -> Option<u64> {
    let existing = folder.ancestors().find(|folder| folder.is_dir())?;
    fs4::available_space(existing).ok()
}

#[cfg(test)]
mod tests;
