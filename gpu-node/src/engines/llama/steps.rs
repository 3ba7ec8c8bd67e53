//! The engine's thread: one step after another, each a batch over all the slots.
//!
//! A step drains what came in, computes a piece of prompts or a token for each slot that decodes
//! ([`Turns`]), and samples each row that was asked for. Between two steps a run can be stopped; a long
//! prompt is cut so that there is always a between.

mod endings;

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
    attempt::Attempt,
    cache::{Cache, seq_id},
    load::{BATCH, fault},
    progress::Progress,
    slot::{Leader, Slot},
    thread::{Wait, Work, receive},
    turns::{Turn, Turns, Want},
    vocabulary::Vocabulary,
};
use crate::frames::{LoadSpec, Report, Vitals};

/// How often a step says that it steps: a long prompt gives nothing else to say.
const SIGN_OF_LIFE: Duration = Duration::from_millis(500);
/// How long it waits for a grammar's mask where no slot has anything to compute, before it looks at the deadlines.
const MASK_WAIT: Duration = Duration::from_millis(50);

/// The engine of a model of texts.
pub(super) struct Steps<'a> {
    cache: Cache<'a>,
    vocabulary: Arc<Vocabulary>,
    context_length: u32,
    capacity: usize,
    /// Answers being computed, oldest first.
    slots: Vec<Slot>,
    /// Answers that wait for a slot, or for their run's first one to have fed the prompt.
    waiting: VecDeque<Attempt>,
    /// Every slot waits for its grammar's mask.
    stalled: bool,
    runs: HashMap<RunId, Progress>,
    turns: Turns,
    vitals: Vitals,
    work: Receiver<Work>,
    /// Where threads beside this one put what they have computed.
    inbox: Sender<Work>,
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
        inbox: Sender<Work>,
        reports: UnboundedSender<Report>,
    ) -> Self {
        Self {
            cache,
            vocabulary,
            context_length: spec.context_length,
            capacity: spec.slots as usize,
            slots: Vec::new(),
            waiting: VecDeque::new(),
            stalled: false,
            runs: HashMap::new(),
            turns: Turns::default(),
            vitals: Vitals::default(),
            work,
            inbox,
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
        let mut stalled = std::mem::take(&mut self.stalled);
        loop {
            let wait = match (self.slots.is_empty() && self.waiting.is_empty(), stalled) {
                (true, _) => Wait::Forever,
                (false, true) => Wait::AtMost(MASK_WAIT),
                (false, false) => Wait::No,
            };
            stalled = false;
            match receive(&self.work, wait) {
                Ok(Some(work)) => self.take(work),
                Ok(None) => return true,
                Err(()) => return false,
            }
        }
    }

    fn take(&mut self, work: Work) {
        match work {
            Work::Admit(admission) => {
                self.runs.insert(admission.run, Progress::new(admission.choices));
                self.waiting.extend(Attempt::firsts(&Arc::new(*admission)));
            }
            Work::Cancel(run) => self.cancel(run),
            Work::Checked(checked) => self.checked(*checked),
            Work::Embed(_) => tracing::error!("a model of texts was given something to embed"),
            // The next step looks for the mask.
            Work::Wake | Work::Stop => {}
        }
    }

    /// Gives free slots to answers that wait: a run's first one computes the prompt, and the others
    /// then share it.
    fn admit_waiting(&mut self) {
        while self.slots.len() < self.capacity {
            let prefills = |run| self.slots.iter().any(|slot| slot.run == run && slot.prefills());
            let ready = |attempt: &Attempt| attempt.choice == 0 || !prefills(attempt.run());
            let next = self.waiting.iter().position(ready);
            let Some(attempt) = next.and_then(|place| self.waiting.remove(place)) else { return };
            let run = attempt.run();
            let Some(leased) = self.cache.lease(&attempt.admission.prompt) else {
                return self.fail(run, fault(run, "every sequence is taken"));
            };
            if attempt.choice == 0 && attempt.number == 1 {
                let started = RunEventBody::Started { prompt_tokens: attempt.admission.prompt_tokens() };
                self.report(Report::Event { run, event: started });
            }
            let mut slot = Slot::new(attempt, &leased, &self.vocabulary, self.context_length, &self.inbox);
            slot.leader = Leader::of(&slot, &self.slots);
            self.slots.push(slot);
        }
    }

    fn step(&mut self, batch: &mut LlamaBatch<'_>) {
        self.settle();
        self.catch_up();
        let wants: Vec<Want> = self.slots.iter().map(Slot::wants).collect();
        let mut most = BATCH as usize;
        loop {
            let turn = self.turns.next(&wants, most);
            if turn.shares().is_empty() {
                self.stalled = !self.slots.is_empty();
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
            let choice = slot.sampler.sample(logits, &self.vocabulary);
            let outcome = slot.take(choice, &self.vocabulary, &mut events);
            self.pass_on(row.slot, events);
            ended.extend(outcome.map(|outcome| (row.slot, outcome)));
        }
        self.end_all(ended);
    }

    /// Goes on with the answers whose grammar has said by now what may come next.
    fn settle(&mut self) {
        let mut ended = Vec::new();
        for index in 0..self.slots.len() {
            let mut events = Vec::new();
            let outcome = self.slots[index].settle(&self.vocabulary, &mut events);
            self.pass_on(index, events);
            ended.extend(outcome.map(|outcome| (index, outcome)));
        }
        self.end_all(ended);
    }

    /// Reports what came of a slot's tokens, or keeps it until the answer is checked.
    fn pass_on(&mut self, index: usize, events: Vec<RunEventBody>) {
        let slot = &mut self.slots[index];
        let run = slot.run;
        for event in slot.gather(events) {
            self.report(Report::Event { run, event });
        }
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
