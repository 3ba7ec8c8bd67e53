//! Tokens and times of a run, summed over its answers.

use std::time::Instant;

use hearth_domain::{FinishReason, Usage};

use super::slot::Slot;
use crate::frames::Timings;

/// A run in progress.
pub(super) struct RunProgress {
    /// Time at which the engine's thread received the run.
    pub(super) started_at: Instant,
    pub(super) choices: u32,
    pub(super) ended_choices: u32,
    pub(super) usage: Usage,
    /// Finish reason of the first answer, which is the run's.
    pub(super) reason: Option<FinishReason>,
    pub(super) timings: Timings,
}

impl RunProgress {
    /// Progress of a new run with `choices` answers.
    pub(super) fn new(choices: u32) -> Self {
        let (usage, timings) = (Usage::default(), Timings::default());
        Self { started_at: Instant::now(), choices, ended_choices: 0, usage, reason: None, timings }
    }

    /// Adds an answer's tokens and times. The prompt counts once, with the first attempt at the first answer.
    pub(super) fn add(&mut self, slot: &Slot) {
        let tokens = |n: usize| u32::try_from(n).unwrap_or(u32::MAX);
        self.usage.completion_tokens += slot.generated_tokens;
        self.usage.reasoning_tokens += slot.reasoning_tokens();
        self.timings.decoded += slot.generated_tokens;
        self.timings.decode =
            self.timings.decode.max(slot.prefilled_at.map(|at| at.elapsed()).unwrap_or_default());
        if slot.choice == 0 && slot.is_first_attempt() {
            self.usage.prompt_tokens = tokens(slot.prompt.len());
            self.usage.cached_tokens = tokens(slot.cached_tokens);
            self.timings.prefilled = tokens(slot.prompt.len() - slot.cached_tokens);
            self.timings.prefill = slot.prefilled_at.map(|at| at - slot.started_at).unwrap_or_default();
        }
    }
}
