//! The engine's thread: one step after another, each a batch over all the slots.
//!
//! A step drains what came in, computes a piece of prompts or a token for each slot that decodes
//! ([`Turns`]), and samples each row that was asked for. Between two steps a run can be stopped; a long
//! prompt is cut so that there is always a between.

use std::{
    collections::{HashMap, VecDeque},
    sync::{Arc, mpsc::Receiver},
    time::{Duration, Instant},
};

use hearth_domain::{FinishReason, RunId};
use hearth_wire::{ApiError, ErrorCode, RunEventBody};
use llama_cpp_2::{DecodeError, llama_batch::LlamaBatch, token::LlamaToken};
use tokio::sync::mpsc::UnboundedSender;

use super::{
    cache::{Cache, seq_id},
    load::{BATCH, fault},
    progress::Progress,
    prompt::Admission,
    slot::{Leader, Slot},
    thread::{Work, receive},
    turns::{Turn, Turns, Want},
    vocabulary::Vocabulary,
};
use crate::frames::{LoadSpec, Report, Vitals};

/// How often a step says that it steps: a long prompt gives nothing else to say.
const SIGN_OF_LIFE: Duration = Duration::from_millis(500);

/// The engine of a model of texts.
pub(super) struct Steps<'a> {
    cache: Cache<'a>,
    vocabulary: Arc<Vocabulary>,
    context_length: u32,
    capacity: usize,
    /// Answers being computed, oldest first.
    slots: Vec<Slot>,
    /// Answers that wait for a slot, or for their run's first one to have fed the prompt.
    waiting: VecDeque<(Arc<Admission>, u32)>,
    runs: HashMap<RunId, Progress>,
    turns: Turns,
    vitals: Vitals,
    work: Receiver<Work>,
    reports: UnboundedSender<Report>,
}

/// A row of the batch whose logits were asked for.
struct Row {
    slot: usize,
    index: i32,
}

impl<'a> Steps<'a> {
    pub(super) fn new(
        cache: Cache<'a>,
        vocabulary: Arc<Vocabulary>,
        spec: &LoadSpec,
        work: Receiver<Work>,
        reports: UnboundedSender<Report>,
    ) -> Self {
        Self {
            cache,
            vocabulary,
            context_length: spec.context_length,
            capacity: spec.slots as usize,
            slots: Vec::new(),
            waiting: VecDeque::new(),
            runs: HashMap::new(),
            turns: Turns::default(),
            vitals: Vitals::default(),
            work,
            reports,
        }
    }

    /// Steps until the process is to end; gives what is computed.
    pub(super) fn run(mut self) -> Cache<'a> {
        let mut batch = LlamaBatch::new(BATCH as usize, 1);
        let mut told = Instant::now();
        while self.drain() {
            self.admit_waiting();
            if told.elapsed() > SIGN_OF_LIFE {
                self.tell_vitals();
                told = Instant::now();
            }
            self.step(&mut batch);
            if self.slots.is_empty() && self.waiting.is_empty() {
                self.tell_vitals();
                told = Instant::now();
            }
        }
        self.cache
    }

    /// Takes in what came; waits for something if there is nothing to do. False when nothing can come.
    fn drain(&mut self) -> bool {
        loop {
            let idle = self.slots.is_empty() && self.waiting.is_empty();
            match receive(&self.work, idle) {
                Ok(Some(Work::Admit(admission))) => {
                    let progress = Progress { choices: admission.choices, ..Progress::default() };
                    self.runs.insert(admission.run, progress);
                    let admission = Arc::new(*admission);
                    let choices = 0..admission.choices;
                    self.waiting.extend(choices.map(|choice| (Arc::clone(&admission), choice)));
                }
                Ok(Some(Work::Cancel(run))) => self.cancel(run),
                Ok(Some(Work::Embed(_))) => tracing::error!("a model of texts was given something to embed"),
                Ok(None) => return true,
                Err(()) => return false,
            }
        }
    }

    /// Gives free slots to answers that wait: a run's first one computes the prompt, and the others
    /// then share it.
    fn admit_waiting(&mut self) {
        while self.slots.len() < self.capacity {
            let prefills = |run| self.slots.iter().any(|slot| slot.run == run && slot.prefills());
            let next = self.waiting.iter().position(|(a, choice)| *choice == 0 || !prefills(a.run));
            let Some((admission, choice)) = next.and_then(|place| self.waiting.remove(place)) else { return };
            let Some(leased) = self.cache.lease(&admission.prompt) else {
                let error = fault(admission.run, "every sequence is taken");
                return self.fail(admission.run, error);
            };
            let mut slot = Slot::new(&admission, choice, &leased, &self.vocabulary, self.context_length);
            slot.leader = Leader::of(&slot, &self.slots);
            if choice == 0 {
                let started = RunEventBody::Started { prompt_tokens: admission.prompt_tokens() };
                self.report(Report::Event { run: admission.run, event: started });
            }
            self.slots.push(slot);
        }
    }

    fn step(&mut self, batch: &mut LlamaBatch<'_>) {
        self.catch_up();
        let wants: Vec<Want> = self.slots.iter().map(Slot::wants).collect();
        let mut most = BATCH as usize;
        loop {
            let turn = self.turns.next(&wants, most);
            if turn.shares().is_empty() {
                return;
            }
            let rows = self.fill(batch, &turn);
            let began = Instant::now();
            match self.cache.decode(batch) {
                Ok(()) => {
                    self.note(&turn, began.elapsed());
                    return self.sample(&rows);
                }
                Err(DecodeError::NoKvCacheSlot) if turn.halves() => most = turn.tokens() / 2,
                Err(DecodeError::NoKvCacheSlot) => return self.fail_youngest(),
                Err(error) => return self.fail_all(&error.to_string()),
            }
        }
    }

    /// A slot whose leader has computed what they have in common copies it.
    fn catch_up(&mut self) {
        for index in 0..self.slots.len() {
            let Some(leader) = self.slots[index].leader else { continue };
            if self.slots.iter().any(|slot| leader.is_busy(slot)) {
                continue;
            }
            let slot = &mut self.slots[index];
            slot.leader = None;
            if let Some(fed) = self.cache.catch_up(slot.sequence, &slot.prompt) {
                slot.caught_up(fed);
            }
        }
    }

    /// Builds the step's batch; gives the rows to sample from.
    fn fill(&self, batch: &mut LlamaBatch<'_>, turn: &Turn) -> Vec<Row> {
        batch.clear();
        let mut rows = Vec::new();
        // llama.cpp computes neighbouring sequences together if they come in their order.
        let mut shares = turn.shares().to_vec();
        shares.sort_unstable_by_key(|(slot, _)| self.slots[*slot].sequence);
        for (index, count) in shares {
            let slot = &self.slots[index];
            let (tokens, first) = slot.feed(count);
            let whole = slot.is_whole_after(tokens.len());
            for ((token, position), left) in tokens.iter().zip(first..).zip((0..tokens.len()).rev()) {
                let asks = whole && left == 0;
                if asks {
                    rows.push(Row { slot: index, index: batch.n_tokens() });
                }
                // There are fewer than `BATCH` slots and prompt tokens together: adding can't fail.
                let _ = batch.add(LlamaToken(*token), position, &[seq_id(slot.sequence)], asks);
            }
        }
        rows
    }

    /// Notes what a decoded batch has brought into the context.
    fn note(&mut self, turn: &Turn, took: Duration) {
        let decoding = self.slots.iter().filter(|slot| !slot.prefills()).count();
        self.turns.took(turn, took, decoding > 0);
        for (index, count) in turn.shares() {
            let slot = &mut self.slots[*index];
            let (tokens, _) = slot.feed(*count);
            self.cache.extend(slot.sequence, tokens);
            slot.fed(*count);
        }
        if let Turn::Tokens(_) = turn {
            self.vitals.decode_steps += 1;
            self.vitals.decoding_slots += decoding as u64;
        }
        self.vitals.busy += took;
    }

    fn sample(&mut self, rows: &[Row]) {
        let mut ended = Vec::new();
        for row in rows {
            let slot = &mut self.slots[row.slot];
            let logits = self.cache.logits(row.index);
            let mut events = Vec::new();
            let outcome = match slot.sampler.sample(logits, &self.vocabulary) {
                Ok(Some(sampled)) => Ok(slot.take(sampled, &self.vocabulary, &mut events)),
                Ok(None) => Ok(Some(slot.finish(FinishReason::Stop, &mut events))),
                Err(why) => Err(why),
            };
            let run = slot.run;
            for event in events {
                self.report(Report::Event { run, event });
            }
            match outcome {
                Ok(None) => {}
                Ok(Some(reason)) => ended.push((row.slot, Ok(reason))),
                Err(why) => ended.push((row.slot, Err(why))),
            }
        }
        // From the last, so that the places of the others stay.
        ended.sort_unstable_by_key(|(slot, _)| std::cmp::Reverse(*slot));
        let mut failed = Vec::new();
        for (index, outcome) in ended {
            let run = self.slots[index].run;
            let reason = outcome.as_ref().copied().unwrap_or(FinishReason::Stop);
            self.end(index, reason);
            if let Err(why) = outcome {
                failed.push((run, format!("the answer's grammar can't go on: {why}")));
            }
        }
        for (run, why) in failed {
            self.fail(run, fault(run, &why));
        }
    }

    /// Frees a slot; its run ends with its last answer.
    fn end(&mut self, index: usize, reason: FinishReason) {
        let slot = self.free(index);
        let Some(progress) = self.runs.get_mut(&slot.run) else { return };
        progress.count(&slot);
        progress.ended += 1;
        if slot.choice == 0 {
            progress.reason = Some(reason);
        }
        let several = progress.choices > 1;
        let last = progress.ended == progress.choices;
        if several {
            let event = RunEventBody::ChoiceDone { choice: slot.choice, finish_reason: reason };
            self.report(Report::Event { run: slot.run, event });
        }
        if last {
            self.finish(slot.run, reason);
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

    fn cancel(&mut self, run: RunId) {
        self.clear(run);
        self.finish(run, FinishReason::Cancelled);
    }

    fn fail(&mut self, run: RunId, error: ApiError) {
        self.clear(run);
        if self.runs.remove(&run).is_some() {
            self.report(Report::Failed { run, error });
        }
    }

    /// Takes all answers of a run out.
    fn clear(&mut self, run: RunId) {
        self.waiting.retain(|(admission, _)| admission.run != run);
        while let Some(index) = self.slots.iter().position(|slot| slot.run == run) {
            let slot = self.free(index);
            if let Some(progress) = self.runs.get_mut(&run) {
                progress.count(&slot);
            }
        }
    }

    /// Takes a slot out; what it computed stays for others.
    fn free(&mut self, index: usize) -> Slot {
        let slot = self.slots.remove(index);
        self.cache.release(slot.sequence);
        slot
    }

    /// The context has no room, though each run keeps to its part of it: somebody must go.
    fn fail_youngest(&mut self) {
        if let Some(slot) = self.slots.last() {
            let run = slot.run;
            let message = "the model's context memory is full with other requests; try again later";
            self.fail(run, ApiError::new(ErrorCode::QueueFull, message));
        }
    }

    /// A failed decode leaves nothing that can be trusted.
    fn fail_all(&mut self, why: &str) {
        let runs: Vec<RunId> = self.slots.iter().map(|slot| slot.run).collect();
        for run in runs {
            self.fail(run, fault(run, why));
        }
        self.cache.clear(self.capacity);
    }

    fn tell_vitals(&mut self) {
        self.vitals.idle_prefix_tokens = self.cache.idle_tokens();
        self.vitals.saved_prefix_bytes = self.cache.saved_bytes();
        self.vitals.prefixes_evicted = self.cache.take_evicted();
        let vitals = std::mem::take(&mut self.vitals);
        self.report(Report::Alive(vitals));
    }

    fn report(&self, report: Report) {
        // The other end is gone only when the process is about to end.
        let _ = self.reports.send(report);
    }
}
