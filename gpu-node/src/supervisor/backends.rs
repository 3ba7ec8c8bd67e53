//! The node's backends, and the models that wait until they are selected.

use std::{
    path::PathBuf,
    time::{Duration, Instant},
};

use hearth_wire::node::NodeBackend;
use tokio::task::JoinHandle;

use crate::backends::{Selection, Selector};

/// Minimum time between two retests of the same backends, so that a model file that crashes its workers doesn't cause
/// endless tests.
const RETEST_INTERVAL: Duration = Duration::from_secs(600);
/// Minimum time between two tests if no backend has passed.
const NONE_PASSED_INTERVAL: Duration = Duration::from_secs(60);

/// The selected backends, and the models that wait for the selection.
#[derive(Debug)]
pub(super) struct Backends {
    pub(super) selector: Selector,
    /// The current selection; `None` while backends are tested.
    pub(super) selection: Option<Selection>,
    pub(super) selected_at: Instant,
    /// The libraries that were selected before a retest.
    pub(super) libraries_before: Vec<PathBuf>,
    /// Models to load after the selection.
    pub(super) waiting: Vec<WaitingModel>,
    /// Libraries that were retested, with the times.
    retested: Vec<(Vec<PathBuf>, Instant)>,
    pub(super) task: Option<JoinHandle<()>>,
}

/// A model that waits for the selection.
#[derive(Debug)]
pub(super) struct WaitingModel {
    pub(super) model: String,
    /// The reason for a crash during its load, which the backends or the model have caused.
    pub(super) crash: Option<String>,
}

impl Backends {
    pub(super) fn new(selector: Selector) -> Self {
        Self {
            selector,
            selection: None,
            selected_at: Instant::now(),
            libraries_before: Vec::new(),
            waiting: Vec::new(),
            retested: Vec::new(),
            task: None,
        }
    }

    /// Every library and its test result, for the node's status.
    pub(super) fn list(&self) -> Vec<NodeBackend> {
        self.selection.as_ref().map(|selection| selection.backends.clone()).unwrap_or_default()
    }

    /// The current selection, or the reason why no backend can be used; `None` while backends are tested.
    pub(super) fn current(&self) -> Option<Result<&Selection, &str>> {
        let selection = self.selection.as_ref()?;
        Some(selection.problem.as_deref().map_or(Ok(selection), Err))
    }

    /// Adds a model to those that wait for the selection.
    pub(super) fn add_waiting(&mut self, model: &str, crash: Option<String>) {
        self.remove_waiting(model);
        self.waiting.push(WaitingModel { model: model.to_owned(), crash });
    }

    /// Removes a model from those that wait for the selection.
    pub(super) fn remove_waiting(&mut self, model: &str) {
        self.waiting.retain(|waiting| waiting.model != model);
    }

    /// Records a retest of `libraries` now. Returns false if they were retested within [`RETEST_INTERVAL`].
    pub(super) fn record_retest(&mut self, libraries: &[PathBuf]) -> bool {
        self.retested.retain(|(_, at)| at.elapsed() < RETEST_INTERVAL);
        if self.retested.iter().any(|(tested, _)| tested == libraries) {
            return false;
        }
        self.retested.push((libraries.to_vec(), Instant::now()));
        true
    }

    /// Returns whether no backend has passed, and the test was longer ago than [`NONE_PASSED_INTERVAL`].
    pub(super) fn failed_long_ago(&self) -> bool {
        let failed = self.selection.as_ref().is_some_and(|selection| selection.problem.is_some());
        failed && self.selected_at.elapsed() > NONE_PASSED_INTERVAL
    }
}

impl Drop for Backends {
    fn drop(&mut self) {
        // Aborting the task kills the child process of its test.
        self.task.take().iter().for_each(JoinHandle::abort);
    }
}
