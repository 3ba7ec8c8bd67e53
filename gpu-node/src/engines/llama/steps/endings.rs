//! How answers and runs end.

use std::thread;

use hearth_domain::{FinishReason, RunId};
use hearth_wire::{ApiError, ErrorCode, RunEventBody};

use super::Steps;
use crate::{
    engines::llama::{attempt::Finished, load::fault, slot::Slot, thread::Work},
    frames::Report,
};

impl Steps<'_> {
    /// Ends the slots at these places.
    pub(super) fn end_all(&mut self, mut ended: Vec<(usize, Result<FinishReason, String>)>) {
        // From the last, so that the places of the others stay.
        ended.sort_unstable_by_key(|(slot, _)| std::cmp::Reverse(*slot));
        let mut failed = Vec::new();
        for (index, outcome) in ended {
            let (run, param) = (self.slots[index].run, self.slots[index].grammar_param());
            match outcome {
                Ok(reason) => self.end(index, reason),
                Err(why) => {
                    self.count(index);
                    failed.push((run, param, why));
                }
            }
        }
        for (run, param, why) in failed {
            tracing::warn!(%run, why, "a run's grammar was given up");
            self.fail(run, ApiError::invalid(param, grammar_failed(param, &why)));
        }
    }

    /// Frees a slot, and counts what it took.
    fn count(&mut self, index: usize) -> Slot {
        let slot = self.free(index);
        if let Some(progress) = self.runs.get_mut(&slot.run) {
            progress.count(&slot);
        }
        slot
    }

    /// Frees a slot. Its answer ends, or is checked first.
    fn end(&mut self, index: usize, reason: FinishReason) {
        let slot = self.count(index);
        let run = slot.run;
        let finished = slot.into_finished(reason);
        if finished.to_check() {
            let inbox = self.inbox.clone();
            let check = move || drop(inbox.send(Work::Checked(Box::new(finished.check()))));
            if let Err(error) = thread::Builder::new().name("check".to_owned()).spawn(check) {
                self.fail(run, fault(run, &format!("no thread can be started to check its answer: {error}")));
            }
        } else {
            self.conclude(finished);
        }
    }

    /// Takes an answer that was checked: it ends, or is generated again.
    pub(super) fn checked(&mut self, finished: Finished) {
        // Its run may have been stopped meanwhile.
        let Some(progress) = self.runs.get(&finished.attempt.run()) else { return };
        match finished.next_attempt(progress.began.elapsed()) {
            Some(attempt) => self.waiting.push_front(attempt),
            None => self.conclude(finished),
        }
    }

    /// Ends an answer; its run ends with its last one.
    fn conclude(&mut self, finished: Finished) {
        let (run, choice, reason) = (finished.attempt.run(), finished.attempt.choice, finished.reason);
        for event in finished.into_events() {
            self.report(Report::Event { run, event });
        }
        let Some(progress) = self.runs.get_mut(&run) else { return };
        progress.ended += 1;
        if choice == 0 {
            progress.reason = Some(reason);
        }
        let several = progress.choices > 1;
        let last = progress.ended == progress.choices;
        if several {
            let event = RunEventBody::ChoiceDone { choice, finish_reason: reason };
            self.report(Report::Event { run, event });
        }
        if last {
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
        self.clear(run);
        self.finish(run, FinishReason::Cancelled);
    }

    pub(super) fn fail(&mut self, run: RunId, error: ApiError) {
        self.clear(run);
        if self.runs.remove(&run).is_some() {
            self.report(Report::Failed { run, error });
        }
    }

    /// Takes all answers of a run out.
    fn clear(&mut self, run: RunId) {
        self.waiting.retain(|attempt| attempt.run() != run);
        while let Some(index) = self.slots.iter().position(|slot| slot.run == run) {
            self.count(index);
        }
    }

    /// Takes a slot out; what it computed stays for others.
    fn free(&mut self, index: usize) -> Slot {
        let slot = self.slots.remove(index);
        self.cache.release(slot.sequence);
        slot
    }

    /// The context has no room, though each run keeps to its part of it: somebody must go.
    pub(super) fn fail_youngest(&mut self) {
        if let Some(slot) = self.slots.last() {
            let run = slot.run;
            let message = "the model's context memory is full with other requests; try again later";
            self.fail(run, ApiError::new(ErrorCode::QueueFull, message));
        }
    }

    /// A failed decode leaves nothing that can be trusted.
    pub(super) fn fail_all(&mut self, why: &str) {
        let runs: Vec<RunId> = self.slots.iter().map(|slot| slot.run).collect();
        for run in runs {
            self.fail(run, fault(run, why));
        }
        self.cache.clear(self.capacity);
    }
}

fn grammar_failed(param: &str, why: &str) -> String {
    format!(
        "{param} can't be followed to the answer's end: {why}; make its patterns simpler and its alternatives fewer"
    )
}
