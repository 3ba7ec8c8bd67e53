//! The engine's thread: one step after another, each a batch over all the slots.
//!
//! A step drains what came in, gives each decoding slot one token, fills the rest of the batch with
//! pieces of prompts, decodes, and samples each row that was asked for. Between two steps a run can
//! be stopped; a long prompt is cut so that there is always a between.

use std::{
    sync::mpsc::{Receiver, TryRecvError},
    time::{Duration, Instant},
};

use hearth_domain::{FinishReason, RunId};
use llama_cpp_2::{context::LlamaContext, llama_batch::LlamaBatch, model::LlamaModel, token::LlamaToken};
use tokio::sync::{mpsc::UnboundedSender, oneshot};

use super::{
    load::{self, BATCH},
    prompt::{Admission, Prompter},
    slot::Slot,
};
use crate::frames::{LoadSpec, Report};

/// Prompt tokens a step takes while nothing decodes.
const PREFILL_ALONE: usize = 256;
/// Prompt tokens a step takes beside decoding slots, so that those don't wait long.
const PREFILL_BESIDE: usize = 128;

/// How often a step says that it steps: a long prompt gives nothing else to say.
const SIGN_OF_LIFE: Duration = Duration::from_secs(2);

/// What the I/O side hands over.
pub(super) enum Work {
    /// A run for a free slot.
    Admit(Box<Admission>),
    /// Stop a run.
    Cancel(RunId),
}

/// Loads the model, says so with a [`Prompter`], and steps until the process ends.
pub(super) fn thread_main(
    spec: &LoadSpec,
    work: Receiver<Work>,
    reports: &UnboundedSender<Report>,
    loaded: oneshot::Sender<Prompter>,
) {
    if let Err(reason) = load_and_step(spec, work, reports, loaded) {
        let _ = reports.send(Report::LoadFailed { reason });
    }
}

fn load_and_step(
    spec: &LoadSpec,
    work: Receiver<Work>,
    reports: &UnboundedSender<Report>,
    ready: oneshot::Sender<Prompter>,
) -> Result<(), String> {
    let loaded = load::model(spec, reports)?;
    let prompter = Prompter::new(&loaded, spec.context_length)?;
    let mut context = load::context(&loaded, spec)?;
    let vocab = loaded.model.vocab();
    let end_of_turn: Vec<LlamaToken> = vocab.tokens().filter(|token| vocab.is_eog(*token)).collect();
    let mut steps = Steps {
        model: &loaded.model,
        end_of_turn,
        context_length: spec.context_length,
        slots: (0..spec.slots).map(|_| None).collect(),
        work,
        reports: reports.clone(),
    };
    // One token through the whole model: the first run then finds everything in place.
    steps.warm_up(&mut context)?;
    let _ = ready.send(prompter);
    let _ = reports.send(Report::Ready);
    steps.run(&mut context);
    Ok(())
}

struct Steps<'a> {
    model: &'a LlamaModel,
    end_of_turn: Vec<LlamaToken>,
    context_length: u32,
    slots: Vec<Option<Slot>>,
    work: Receiver<Work>,
    reports: UnboundedSender<Report>,
}

/// A row of the batch whose logits were asked for.
struct Row {
    slot: usize,
    index: i32,
}

impl Steps<'_> {
    fn warm_up(&self, context: &mut LlamaContext<'_>) -> Result<(), String> {
        let mut batch = LlamaBatch::new(1, 1);
        let token = self.end_of_turn.first().copied().unwrap_or(LlamaToken(0));
        batch.add(token, 0, &[0], true).map_err(|error| error.to_string())?;
        context.decode(&mut batch).map_err(|error| format!("the model can't decode: {error}"))?;
        context.clear_kv_cache();
        Ok(())
    }

    fn run(&mut self, context: &mut LlamaContext<'_>) {
        let mut batch = LlamaBatch::new(BATCH as usize, 1);
        let mut told = Instant::now();
        while self.drain(context) {
            if told.elapsed() > SIGN_OF_LIFE {
                self.report(Report::Alive);
                told = Instant::now();
            }
            match self.fill(&mut batch) {
                Ok(rows) => match context.decode(&mut batch) {
                    Ok(()) => self.sample(context, &rows),
                    Err(error) => self.fail_all(context, &error.to_string()),
                },
                Err(error) => self.fail_all(context, &error),
            }
        }
    }

    /// Takes in what came; waits for something if no slot is taken. False when nothing can come.
    fn drain(&mut self, context: &mut LlamaContext<'_>) -> bool {
        loop {
            let idle = self.slots.iter().all(Option::is_none);
            let work = if idle {
                self.work.recv().map_err(|_| TryRecvError::Disconnected)
            } else {
                self.work.try_recv()
            };
            match work {
                Ok(Work::Admit(admission)) => self.admit(*admission),
                Ok(Work::Cancel(run)) => self.cancel(context, run),
                Err(TryRecvError::Empty) => return true,
                Err(TryRecvError::Disconnected) => return false,
            }
        }
    }

    fn admit(&mut self, admission: Admission) {
        let run = admission.run;
        match self.slots.iter_mut().find(|slot| slot.is_none()) {
            Some(free) => {
                *free = Some(Slot::new(admission, self.model, &self.end_of_turn, self.context_length));
            }
            // The scheduler never sends more runs than there are slots.
            None => self.report(Report::Failed { run, error: load::fault(run, "every slot is taken") }),
        }
    }

    fn cancel(&mut self, context: &mut LlamaContext<'_>, run: RunId) {
        let found = self.slots.iter().position(|slot| slot.as_ref().is_some_and(|s| s.run == run));
        if let Some(index) = found {
            self.finish(context, index, FinishReason::Cancelled);
        }
    }

    /// Builds the step's batch; gives the rows to sample from.
    fn fill(&mut self, batch: &mut LlamaBatch<'_>) -> Result<Vec<Row>, String> {
        batch.clear();
        let mut rows = Vec::with_capacity(self.slots.len());
        for (index, slot) in self.slots.iter_mut().enumerate() {
            let Some(slot) = slot else { continue };
            if let Some((token, position)) = slot.decoding() {
                rows.push(Row { slot: index, index: batch.n_tokens() });
                add(batch, token, position, index, true)?;
                slot.advance(1);
            }
        }
        let mut room = if rows.is_empty() { PREFILL_ALONE } else { PREFILL_BESIDE };
        for (index, slot) in self.slots.iter_mut().enumerate() {
            let Some(slot) = slot.as_mut().filter(|slot| slot.decoding().is_none()) else { continue };
            let (piece, first) = slot.prefill(room);
            let (piece, count) = (piece.to_vec(), piece.len());
            let whole = slot.advance(count);
            for ((token, position), left) in piece.into_iter().zip(first..).zip((0..count).rev()) {
                let last = whole && left == 0;
                if last {
                    rows.push(Row { slot: index, index: batch.n_tokens() });
                }
                add(batch, token, position, index, last)?;
            }
            room -= count;
        }
        Ok(rows)
    }

    fn sample(&mut self, context: &mut LlamaContext<'_>, rows: &[Row]) {
        for row in rows {
            let Some(slot) = self.slots[row.slot].as_mut() else { continue };
            let token = slot.sampler.sample(context, row.index);
            let outcome = slot.take(token, self.model);
            let run = slot.run;
            if !outcome.text.is_empty() {
                self.report(Report::Delta { run, text: outcome.text });
            }
            if let Some(reason) = outcome.finish {
                self.finish(context, row.slot, reason);
            }
        }
    }

    /// Frees a slot, and says how its run ended.
    fn finish(&mut self, context: &mut LlamaContext<'_>, index: usize, reason: FinishReason) {
        if let Some(slot) = self.slots[index].take() {
            forget(context, index);
            self.report(Report::Finished { run: slot.run, reason, usage: slot.usage() });
        }
    }

    /// A failed decode leaves no slot that can be trusted.
    fn fail_all(&mut self, context: &mut LlamaContext<'_>, why: &str) {
        for index in 0..self.slots.len() {
            if let Some(slot) = self.slots[index].take() {
                forget(context, index);
                self.report(Report::Failed { run: slot.run, error: load::fault(slot.run, why) });
            }
        }
    }

    fn report(&self, report: Report) {
        // The other end is gone only when the process is about to end.
        let _ = self.reports.send(report);
    }
}

fn add(
    batch: &mut LlamaBatch<'_>,
    token: LlamaToken,
    position: i32,
    slot: usize,
    logits: bool,
) -> Result<(), String> {
    batch.add(token, position, &[sequence(slot)], logits).map_err(|error| error.to_string())
}

fn forget(context: &mut LlamaContext<'_>, slot: usize) {
    let sequence = u32::try_from(slot).ok();
    if let Err(error) = context.clear_kv_cache_seq(sequence, None, None) {
        tracing::error!(%error, slot, "a slot's KV can't be cleared");
    }
}

/// There are at most 256 slots.
fn sequence(slot: usize) -> i32 {
    i32::try_from(slot).unwrap_or(i32::MAX)
}
