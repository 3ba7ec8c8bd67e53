//! The engine's loop: one step after another, each a batch over all slots.
//!
//! Before each step the loop receives new work and admits waiting answers to free slots. The step plans pieces of prompts or
//! one token for each decoding slot ([`StepPlanner`]), decodes them as one batch, and samples a token from each requested
//! row of logits. A run can be stopped between two steps; a long prompt is cut so that steps stay short.

mod completion;

use std::{
    collections::{HashMap, VecDeque},
    sync::{
        Arc,
        mpsc::{Receiver, Sender},
    },
    time::{Duration, Instant},
};

use hearth_domain::RunId;
use hearth_wire::RunEventBody;
use llama_cpp_2::{DecodeError, llama_batch::LlamaBatch, token::LlamaToken};
use tokio::sync::mpsc::UnboundedSender;

use super::{
    answer_attempt::AnswerAttempt,
    errors::engine_failure,
    kv_cache::{KvCache, seq_id},
    load::BATCH_MAX_TOKENS,
    run_progress::RunProgress,
    slot::{SharedPrefix, Slot},
    step_planner::{SlotDemand, StepPlan, StepPlanner},
    vocabulary::Vocabulary,
    work::{Wait, Work, receive},
};
use crate::frames::{LoadSpec, Report, WorkerStats};

/// Interval of the reports that the engine is alive: a long prompt brings no other report.
const ALIVE_INTERVAL: Duration = Duration::from_millis(500);
/// Wait for a grammar's mask when no slot has anything to compute; then the grammars' deadlines are checked.
const MASK_WAIT_TIMEOUT: Duration = Duration::from_millis(50);

/// The engine of a text model.
pub(super) struct EngineLoop<'a> {
    cache: KvCache<'a>,
    vocabulary: Arc<Vocabulary>,
    context_length: u32,
    slots_max_count: usize,
    /// Answers being computed, oldest first.
    slots: Vec<Slot>,
    /// Answers that wait for a slot, or until their run's first answer has computed the prompt.
    waiting: VecDeque<AnswerAttempt>,
    /// Every slot waits for its grammar's mask.
    stalled: bool,
    runs: HashMap<RunId, RunProgress>,
    planner: StepPlanner,
    stats: WorkerStats,
    work: Receiver<Work>,
    /// For results of threads that work for this one: checked answers and masks.
    inbox: Sender<Work>,
    reports: UnboundedSender<Report>,
}

/// A row of the batch whose logits were requested.
struct Row {
    slot: usize,
    index: i32,
}

impl<'a> EngineLoop<'a> {
    pub(super) fn new(
        cache: KvCache<'a>,
        vocabulary: Arc<Vocabulary>,
        spec: &LoadSpec,
        work: Receiver<Work>,
        inbox: Sender<Work>,
        reports: UnboundedSender<Report>,
    ) -> Self {
        Self {
            cache,
            vocabulary,
            context_length: spec.context_length,
            slots_max_count: spec.slots as usize,
            slots: Vec::new(),
            waiting: VecDeque::new(),
            stalled: false,
            runs: HashMap::new(),
            planner: StepPlanner::default(),
            stats: WorkerStats::default(),
            work,
            inbox,
            reports,
        }
    }

    /// Runs steps until the process is to end. Returns the cache, with the tokens that are still in it.
    pub(super) fn run(mut self) -> KvCache<'a> {
        let mut batch = LlamaBatch::new(BATCH_MAX_TOKENS as usize, 1);
        let mut reported_at = Instant::now();
        while self.receive_all() {
            self.admit_waiting();
            if reported_at.elapsed() > ALIVE_INTERVAL {
                self.report_alive();
                reported_at = Instant::now();
            }
            self.step(&mut batch);
            if self.slots.is_empty() && self.waiting.is_empty() {
                self.report_alive();
                reported_at = Instant::now();
            }
        }
        self.cache
    }

    /// Handles all work that has come, and waits for some if there is nothing to compute. Returns false when no more
    /// can come.
    fn receive_all(&mut self) -> bool {
        let mut stalled = std::mem::take(&mut self.stalled);
        loop {
            let wait = match (self.slots.is_empty() && self.waiting.is_empty(), stalled) {
                (true, _) => Wait::Forever,
                (false, true) => Wait::AtMost(MASK_WAIT_TIMEOUT),
                (false, false) => Wait::No,
            };
            stalled = false;
            match receive(&self.work, wait) {
                Ok(Some(work)) => self.handle(work),
                Ok(None) => return true,
                Err(()) => return false,
            }
        }
    }

    fn handle(&mut self, work: Work) {
        match work {
            Work::Admit(prepared) => {
                self.runs.insert(prepared.run, RunProgress::new(prepared.choices));
                self.waiting.extend(AnswerAttempt::first_attempts(&Arc::new(*prepared)));
            }
            Work::Cancel(run) => self.cancel(run),
            Work::Checked(answer) => self.conclude_checked(*answer),
            Work::Embed(_) => tracing::error!("a text model received an embedding job"),
            // The next step polls the grammars.
            Work::Wake | Work::Stop => {}
        }
    }

    /// Moves waiting answers to free slots. A run's first answer computes the prompt; its other answers wait until they
    /// can share it.
    fn admit_waiting(&mut self) {
        while self.slots.len() < self.slots_max_count {
            let is_prefilling = |run| self.slots.iter().any(|slot| slot.run == run && slot.is_prefilling());
            let is_ready = |attempt: &AnswerAttempt| attempt.choice == 0 || !is_prefilling(attempt.run());
            let next = self.waiting.iter().position(is_ready);
            let Some(attempt) = next.and_then(|index| self.waiting.remove(index)) else { return };
            let run = attempt.run();
            let Some(leased) = self.cache.lease(&attempt.prepared.prompt) else {
                return self.fail(run, engine_failure(run, "no free sequence is left"));
            };
            if attempt.choice == 0 && attempt.number == 1 {
                let started = RunEventBody::Started { prompt_tokens: attempt.prepared.prompt_tokens() };
                self.report(Report::Event { run, event: started });
            }
            let mut slot = Slot::new(attempt, &leased, &self.vocabulary, self.context_length, &self.inbox);
            slot.shared_prefix = SharedPrefix::find(&slot, &self.slots);
            self.slots.push(slot);
        }
    }

    /// Computes one batch and samples from it. Without free context memory a prefill is tried again with half of the
    /// tokens.
    fn step(&mut self, batch: &mut LlamaBatch<'_>) {
        self.poll_grammars();
        self.copy_shared_prefixes();
        let demands: Vec<SlotDemand> = self.slots.iter().map(Slot::demand).collect();
        let mut max_tokens = BATCH_MAX_TOKENS as usize;
        loop {
            let plan = self.planner.plan(&demands, max_tokens);
            if plan.shares().is_empty() {
                self.stalled = !self.slots.is_empty();
                return;
            }
            let rows = self.fill_batch(batch, &plan);
            let began = Instant::now();
            match self.cache.decode(batch) {
                Ok(()) => {
                    self.record(&plan, began.elapsed());
                    return self.sample(&rows);
                }
                Err(DecodeError::NoKvCacheSlot) if plan.can_shrink() => max_tokens = plan.tokens() / 2,
                Err(DecodeError::NoKvCacheSlot) => return self.fail_youngest(),
                Err(error) => return self.fail_all(&error.to_string()),
            }
        }
    }

    /// Copies shared beginnings of prompts to the slots that wait for them, once they are computed.
    fn copy_shared_prefixes(&mut self) {
        for index in 0..self.slots.len() {
            let Some(shared) = self.slots[index].shared_prefix else { continue };
            if self.slots.iter().any(|slot| shared.is_pending_in(slot)) {
                continue;
            }
            let slot = &mut self.slots[index];
            slot.shared_prefix = None;
            if let Some(tokens) = self.cache.catch_up(slot.sequence, &slot.prompt) {
                slot.set_copied(tokens);
            }
        }
    }

    /// Builds the plan's batch. Returns the rows to sample from.
    fn fill_batch(&self, batch: &mut LlamaBatch<'_>, plan: &StepPlan) -> Vec<Row> {
        batch.clear();
        let mut rows = Vec::new();
        // llama.cpp computes neighbouring sequences together if they are in order.
        let mut shares = plan.shares().to_vec();
        shares.sort_unstable_by_key(|share| self.slots[share.slot].sequence);
        for share in shares {
            let slot = &self.slots[share.slot];
            let (tokens, first) = slot.next_tokens(share.tokens);
            let completes_prompt = slot.completes_prompt_with(tokens.len());
            for ((token, position), left) in tokens.iter().zip(first..).zip((0..tokens.len()).rev()) {
                let wants_logits = completes_prompt && left == 0;
                if wants_logits {
                    rows.push(Row { slot: share.slot, index: batch.n_tokens() });
                }
                // Slots and prompt tokens together are fewer than the batch holds, so adding can't fail.
                let _ = batch.add(LlamaToken(*token), position, &[seq_id(slot.sequence)], wants_logits);
            }
        }
        rows
    }

    /// Records the tokens and the time of a decoded batch.
    fn record(&mut self, plan: &StepPlan, elapsed: Duration) {
        let decoding = self.slots.iter().filter(|slot| !slot.is_prefilling()).count();
        self.planner.record(plan, elapsed, decoding > 0);
        for share in plan.shares() {
            let slot = &mut self.slots[share.slot];
            let (tokens, _) = slot.next_tokens(share.tokens);
            self.cache.extend(slot.sequence, tokens);
            slot.add_computed(share.tokens);
        }
        if let StepPlan::Decode(_) = plan {
            self.stats.decode_steps += 1;
            self.stats.decoding_slots += decoding as u64;
        }
        self.stats.busy += elapsed;
    }

    fn sample(&mut self, rows: &[Row]) {
        let mut ended = Vec::new();
        for row in rows {
            let slot = &mut self.slots[row.slot];
            let logits = self.cache.logits(row.index);
            let mut events = Vec::new();
            let outcome = slot.sampler.sample(logits, &self.vocabulary);
            let end = slot.accept_sample(outcome, &self.vocabulary, &mut events);
            self.report_events(row.slot, events);
            ended.extend(end.map(|end| (row.slot, end)));
        }
        self.end_all(ended);
    }

    /// Continues the answers whose grammar has computed its mask meanwhile.
    fn poll_grammars(&mut self) {
        let mut ended = Vec::new();
        for index in 0..self.slots.len() {
            let mut events = Vec::new();
            let end = self.slots[index].poll_grammar(&self.vocabulary, &mut events);
            self.report_events(index, events);
            ended.extend(end.map(|end| (index, end)));
        }
        self.end_all(ended);
    }

    /// Reports a slot's events, except those that wait for the answer's check.
    fn report_events(&mut self, index: usize, events: Vec<RunEventBody>) {
        let slot = &mut self.slots[index];
        let run = slot.run;
        for event in slot.collect(events) {
            self.report(Report::Event { run, event });
        }
    }

    fn report_alive(&mut self) {
        self.stats.idle_prefix_tokens = self.cache.idle_tokens();
        self.stats.saved_prefix_bytes = self.cache.saved_bytes();
        self.stats.prefixes_evicted = self.cache.take_evicted();
        let stats = std::mem::take(&mut self.stats);
        self.report(Report::Alive(stats));
    }

    fn report(&self, report: Report) {
        // The receiver is gone only when the process is about to end.
        let _ = self.reports.send(report);
    }
}
