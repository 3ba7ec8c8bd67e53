//! Selects the backends when the node starts, and retests them after a crash that they may have caused.
//!
//! Both run in a task of their own. Models that are to be loaded meanwhile wait.

use std::time::Instant;

use super::{actor::Actor, backends::WaitingModel, message::Message, models::ModelProcess};
use crate::backends::Selection;

/// Signals of a process that executes a broken kernel: SIGILL, SIGABRT, SIGBUS, SIGFPE, SIGSEGV.
const SUSPICIOUS_SIGNALS: [i32; 5] = [4, 6, if cfg!(target_os = "linux") { 7 } else { 10 }, 8, 11];

impl Actor {
    /// Starts to select the backends: by stored results if there are any and `retest` is false, else by tests.
    pub(super) fn select_backends(&mut self, retest: bool) {
        let (selector, inbox) = (self.backends.selector.clone(), self.inbox.clone());
        self.backends.selection = None;
        self.backends.task = Some(tokio::spawn(async move {
            let selection = if retest { selector.retest().await } else { selector.select().await };
            let _ = inbox.send(Message::BackendsSelected(Box::new(selection))).await;
        }));
    }

    /// Has a model wait if the backends aren't selected yet. Returns whether it waits.
    pub(super) fn waits_for_backends(&mut self, model: &str) -> bool {
        if self.backends.failed_long_ago() {
            self.select_backends(true);
        }
        self.wait_for_selection(model, None)
    }

    /// Has a model whose load crashed its worker wait for a retest of its backends, if one is going on; otherwise the
    /// model has caused the crash. Returns whether it waits.
    pub(super) fn waits_after_crash(&mut self, model: &str, reason: &str) -> bool {
        self.wait_for_selection(model, Some(reason.to_owned()))
    }

    fn wait_for_selection(&mut self, model: &str, crash: Option<String>) -> bool {
        let waits = self.backends.selection.is_none();
        if waits {
            self.backends.add_waiting(model, crash);
            self.models.process(model).awaits_backends = true;
        }
        waits
    }

    /// Retests the backends of a worker that was ended by `signal`, if they may be the cause and were not retested
    /// recently.
    pub(super) fn suspect_backends(&mut self, signal: i32) {
        let Some(selection) = &self.backends.selection else { return };
        if !SUSPICIOUS_SIGNALS.contains(&signal) || selection.problem.is_some() {
            return;
        }
        let (libraries, names) = (selection.libraries.clone(), selection.names());
        if !self.backends.record_retest(&libraries) {
            return;
        }
        tracing::warn!(signal, backends = names, "a worker crashed; its backends are tested again");
        self.backends.libraries_before = libraries;
        self.select_backends(true);
    }

    /// Stores the selection, and loads the models that waited for it.
    pub(super) fn backends_selected(&mut self, selection: Selection) {
        let before = std::mem::take(&mut self.backends.libraries_before);
        let changed = !before.is_empty() && before != selection.libraries;
        tracing::info!(
            backends = selection.names(),
            known = selection.from_cache,
            changed,
            "backends are selected"
        );
        self.backends.selection = Some(selection);
        self.backends.selected_at = Instant::now();
        if changed {
            // The earlier backends have caused the crashes, not the models.
            self.models.processes().map(|(_, process)| process).for_each(ModelProcess::clear_failures);
        }
        for WaitingModel { model, crash } in std::mem::take(&mut self.backends.waiting) {
            self.models.process(&model).awaits_backends = false;
            match crash {
                // Its backends have passed: the model has caused the crash.
                Some(reason) if !changed => self.fail_model(&model, reason),
                _ => self.start(&model),
            }
        }
    }
}
