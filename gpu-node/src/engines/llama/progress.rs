//! What a run has taken so far, over all its answers.

use std::time::Instant;

use hearth_domain::{FinishReason, Usage};

use super::slot::Slot;
use crate::frames::Timings;

/// A run, as far as it has come.
pub(super) struct Progress {
    /// When it came to the engine.
    pub(super) began: Instant,
    pub(super) choices: u32,
    pub(super) ended: u32,
    pub(super) usage: Usage,
    /// Why the first answer ended.
    pub(super) reason: Option<FinishReason>,
    pub(super) timings: Timings,
}

impl Progress {
    /// A run that begins, of so many answers.
    pub(super) fn new(choices: u32) -> Self {
        let (usage, timings) = (Usage::default(), Timings::default());
        Self { began: Instant::now(), choices, ended: 0, usage, reason: None, timings }
    }

    /// Counts what an answer took. The prompt counts once, with the first attempt at the first answer.
    pub(super) fn count(&mut self, slot: &Slot) {
        let tokens = |n: usize| u32::try_from(n).unwrap_or(u32::MAX);
        self.usage.completion_tokens += slot.generated;
        self.usage.reasoning_tokens += slot.thought();
        self.timings.decoded += slot.generated;
        self.timings.decode =
            self.timings.decode.max(slot.prefilled.map(|at| at.elapsed()).unwrap_or_default());
        if slot.choice == 0 && slot.is_first_attempt() {
            self.usage.prompt_tokens = tokens(slot.prompt.len());
            self.usage.cached_tokens = tokens(slot.reused);
            self.timings.prefilled = tokens(slot.prompt.len() - slot.reused);
            self.timings.prefill = slot.prefilled.map(|at| at - slot.began).unwrap_or_default();
        }
    }
}
