//! The node's backends: chosen when it starts, and tested again after a crash that they may have caused.
//!
//! Both happen beside the actor's task. Models that are to be loaded meanwhile wait.

use std::{
    path::PathBuf,
    time::{Duration, Instant},
};

use hearth_wire::node::NodeBackend;
use tokio::task::JoinHandle;

use super::actor::{Actor, Message};
use crate::backends::{Selection, Selector};

/// How often the same backends are tested again. A model file that kills its workers would else have them tested
/// without end.
const RETEST_INTERVAL: Duration = Duration::from_secs(600);
/// How soon a load has backends tested again where none had passed.
const NONE_PASSED_INTERVAL: Duration = Duration::from_secs(60);

/// Signals that a broken kernel ends its process with: SIGILL, SIGABRT, SIGBUS, SIGFPE, SIGSEGV.
const SUSPICIOUS_SIGNALS: [i32; 5] = [4, 6, if cfg!(target_os = "linux") { 7 } else { 10 }, 8, 11];

/// What the node knows of its backends.
#[derive(Debug)]
pub(super) struct Backends {
    selector: Selector,
    /// What is in use; absent while it is chosen.
    selection: Option<Selection>,
    selected_at: Instant,
    /// What was in use before it was tested again.
    before: Vec<PathBuf>,
    /// Models to load when it is chosen.
    waiting: Vec<Waiting>,
    /// Which backends were tested again, and when.
    retested: Vec<(Vec<PathBuf>, Instant)>,
    task: Option<JoinHandle<()>>,
}

/// A model that is to be loaded.
#[derive(Debug)]
struct Waiting {
    model: String,
    /// How its load ended that is to blame on the backends or on the model.
    crash: Option<String>,
}

impl Backends {
    pub(super) fn new(selector: Selector) -> Self {
        let (waiting, retested) = (Vec::new(), Vec::new());
        let selected_at = Instant::now();
        Self { selector, selection: None, selected_at, before: Vec::new(), waiting, retested, task: None }
    }

    /// Every library and its result, for the node's status.
    pub(super) fn list(&self) -> Vec<NodeBackend> {
        self.selection.as_ref().map(|selection| selection.backends.clone()).unwrap_or_default()
    }

    /// What to load a model with now, or why that is impossible; `None` while it isn't known.
    pub(super) fn current(&self) -> Option<Result<&Selection, &str>> {
        let selection = self.selection.as_ref()?;
        Some(selection.problem.as_deref().map_or(Ok(selection), Err))
    }

    /// A model isn't to be loaded any more.
    pub(super) fn forget(&mut self, model: &str) {
        self.waiting.retain(|waiting| waiting.model != model);
    }

    fn failed_long_ago(&self) -> bool {
        let failed = self.selection.as_ref().is_some_and(|selection| selection.problem.is_some());
        failed && self.selected_at.elapsed() > NONE_PASSED_INTERVAL
    }
}

impl Drop for Backends {
    fn drop(&mut self) {
        // The child process of a test goes with the task.
        self.task.take().iter().for_each(JoinHandle::abort);
    }
}

impl Actor {
    /// Begins to choose the backends: by known results where there are some and `again` is false.
    pub(super) fn select_backends(&mut self, again: bool) {
        let (selector, inbox) = (self.backends.selector.clone(), self.inbox.clone());
        self.backends.selection = None;
        self.backends.task = Some(tokio::spawn(async move {
            let selection = if again { selector.test_again().await } else { selector.select().await };
            let _ = inbox.send(Message::BackendsSelected(Box::new(selection)));
        }));
    }

    /// Has a model wait until the backends are known, if they aren't. True if it waits.
    pub(super) fn wait_for_backends(&mut self, model: &str) -> bool {
        if self.backends.failed_long_ago() {
            self.select_backends(true);
        }
        let waits = self.backends.selection.is_none();
        if waits {
            self.wait(model, None);
        }
        waits
    }

    fn wait(&mut self, model: &str, crash: Option<String>) {
        self.backends.forget(model);
        self.backends.waiting.push(Waiting { model: model.to_owned(), crash });
        self.models.process(model).awaits_backends = true;
    }

    /// The load of `model` crashed its worker. Has the model wait if its backends are tested again; else it is to
    /// blame. True if it waits.
    pub(super) fn wait_after_crash(&mut self, model: &str, how: &str) -> bool {
        let waits = self.backends.selection.is_none();
        if waits {
            self.wait(model, Some(how.to_owned()));
        }
        waits
    }

    /// A worker was ended by `signal`: tests its backends again if they may be the cause, and were not tested
    /// lately.
    pub(super) fn suspect_backends(&mut self, signal: i32) {
        let Some(selection) = &self.backends.selection else { return };
        if !SUSPICIOUS_SIGNALS.contains(&signal) || selection.problem.is_some() {
            return;
        }
        let libraries = selection.libraries.clone();
        self.backends.retested.retain(|(_, at)| at.elapsed() < RETEST_INTERVAL);
        if self.backends.retested.iter().any(|(tested, _)| *tested == libraries) {
            return;
        }
        tracing::warn!(
            signal,
            backends = selection.names(),
            "a worker crashed; its backends are tested again"
        );
        self.backends.retested.push((libraries.clone(), Instant::now()));
        self.backends.before = libraries;
        self.select_backends(true);
    }

    /// The backends are chosen: what waited is loaded.
    pub(super) fn backends_selected(&mut self, selection: Selection) {
        let before = std::mem::take(&mut self.backends.before);
        let changed = !before.is_empty() && before != selection.libraries;
        tracing::info!(
            backends = selection.names(),
            known = selection.from_cache,
            changed,
            "backends are chosen"
        );
        self.backends.selection = Some(selection);
        self.backends.selected_at = Instant::now();
        if changed {
            // Their crashes had another cause.
            self.models.processes().for_each(|(_, process)| process.pardon());
        }
        for Waiting { model, crash } in std::mem::take(&mut self.backends.waiting) {
            self.models.process(&model).awaits_backends = false;
            match crash {
                // Its backends work: a file that kills its worker while it is read would do so again.
                Some(how) if !changed => self.give_up(&model, how),
                _ => self.start(&model),
            }
        }
    }
}
