//! The ends of answers and runs.

use std::thread;

use hearth_domain::{FinishReason, RunId};
use hearth_wire::{ApiError, ErrorCode, RunEventBody};

use super::EngineLoop;
use crate::{
    engines::llama::{
        answer_attempt::FinishedAnswer,
        errors::engine_failure,
        slot::{AnswerEnd, Slot},
        work::Work,
    },
    frames::Report,
};

impl EngineLoop<'_> {
    /// Ends the slots with these indexes.
    pub(super) fn end_all(&mut self, mut ended: Vec<(usize, AnswerEnd)>) {
        // From the last, so that the indexes of the others stay valid.
        ended.sort_unstable_by_key(|(slot, _)| std::cmp::Reverse(*slot));
        let mut failed = Vec::new();
        for (index, end) in ended {
            let (run, param) = (self.slots[index].run, self.slots[index].grammar_param());
            match end {
                Ok(reason) => self.end(index, reason),
                Err(reason) => {
                    self.remove_slot(index);
                    failed.push((run, param, reason));
                }
            }
        }
        for (run, param, reason) in failed {
            tracing::warn!(%run, reason, "a run's grammar failed");
            self.fail(run, ApiError::invalid(param, grammar_failure(param, &reason)));
        }
    }

    /// Removes a slot and adds its tokens to its run. Its sequence's tokens stay in the cache.
    fn remove_slot(&mut self, index: usize) -> Slot {
        let slot = self.slots.remove(index);
        self.cache.release(slot.sequence);
        if let Some(progress) = self.runs.get_mut(&slot.run) {
            progress.add(&slot);
        }
        slot
    }

    /// Removes a slot. Its answer ends, or is checked against its schema on a thread of its own first.
    fn end(&mut self, index: usize, reason: FinishReason) {
        let slot = self.remove_slot(index);
        let run = slot.run;
        let answer = slot.into_finished(reason);
        if answer.needs_check() {
            let inbox = self.inbox.clone();
            let check = move || drop(inbox.send(Work::Checked(Box::new(answer.check()))));
            if let Err(error) = thread::Builder::new().name("check".to_owned()).spawn(check) {
                let reason = format!("no thread can be started to check its answer: {error}");
                self.fail(run, engine_failure(run, &reason));
            }
        } else {
            self.conclude(answer);
        }
    }

    /// Ends a checked answer, or generates it again.
    pub(super) fn conclude_checked(&mut self, answer: FinishedAnswer) {
        // The run may have been cancelled meanwhile.
        let Some(progress) = self.runs.get(&answer.attempt.run()) else { return };
        match answer.schema_retry(progress.started_at.elapsed()) {
            Some(attempt) => self.waiting.push_front(attempt),
            None => self.conclude(answer),
        }
    }

    /// Ends an answer; the last answer ends its run.
    fn conclude(&mut self, answer: FinishedAnswer) {
        let (run, choice, reason) = (answer.attempt.run(), answer.attempt.choice, answer.reason);
        for event in answer.into_events() {
            self.report(Report::Event { run, event });
        }
        let Some(progress) = self.runs.get_mut(&run) else { return };
        progress.ended_choices += 1;
        if choice == 0 {
            progress.reason = Some(reason);
        }
        let is_last = progress.ended_choices == progress.choices;
        if progress.choices > 1 {
            let event = RunEventBody::ChoiceDone { choice, finish_reason: reason };
            self.report(Report::Event { run, event });
        }
        if is_last {
            self.finish(run, reason);
        }
    }

    fn finish(&mut self, run: RunId, reason: FinishReason) {
        if let Some(progress) = self.runs.remove(&run) {
            let (usage, timings) = (progress.usage, progress.timings);
            let reason =
                if reason == FinishReason::Cancelled { reason } else { progress.reason.unwrap_or(reason) };
            self.report(Report::Finished { run, reason, usage, timings });
        }
    }

    pub(super) fn cancel(&mut self, run: RunId) {
        self.remove_answers(run);
        self.finish(run, FinishReason::Cancelled);
    }

    pub(super) fn fail(&mut self, run: RunId, error: ApiError) {
        self.remove_answers(run);
        if self.runs.remove(&run).is_some() {
            self.report(Report::Failed { run, error });
        }
    }

    /// Removes all answers of a run, waiting ones and those in slots.
    fn remove_answers(&mut self, run: RunId) {
        self.waiting.retain(|attempt| attempt.run() != run);
        while let Some(index) = self.slots.iter().position(|slot| slot.run == run) {
            self.remove_slot(index);
        }
    }

    /// Fails the youngest run: the context has no room left, though each run keeps to its part of it.
    pub(super) fn fail_youngest(&mut self) {
        if let Some(slot) = self.slots.last() {
            let run = slot.run;
            let message = "the model's context memory is full with other requests; try again later";
            self.fail(run, ApiError::new(ErrorCode::QueueFull, message));
        }
    }

    /// Fails all runs with slots and clears the cache, which can't be trusted after a failed decode.
    pub(super) fn fail_all(&mut self, reason: &str) {
        let runs: Vec<RunId> = self.slots.iter().map(|slot| slot.run).collect();
        for run in runs {
            self.fail(run, engine_failure(run, reason));
        }
        self.cache.clear(self.slots_max_count);
    }
}

fn grammar_failure(param: &str, reason: &str) -> String {
    format!(
        "{param} can't be enforced to the answer's end: {reason}; make its patterns simpler and its alternatives fewer"
    )
}
