//! Decides which run goes to which worker, and which models are in memory.
//!
//! This is the pure core of the node: calls are its input, effects its output. It doesn't wait, read a clock, or touch a
//! process. Each call has the time since some start as a parameter, and [`Scheduler::next_deadline`] returns the time at
//! which something changes without a call. The same calls have the same effects. The rules:
//!
//! - **Order.** A model's queue is ordered by priority, then by age. A run that has waited for the ageing time is equal to
//!   new runs of the next higher priority, so no run is overtaken by one that is submitted more than two ageing times
//!   later. The first run waits until enough slots are free for it, and the runs behind it wait too. Each change of a
//!   run's position is an effect.
//! - **Bounds.** Each queue is bounded, and so are all queues together. A run that can start at once is not queued.
//! - **Memory.** Models are loaded one at a time, in the order of their first waiting runs. If memory is full, idle models
//!   that aren't pinned are evicted, the least recently used first; never one with active runs, and none before enough
//!   memory can be freed.
//! - **Turns.** While a model waits for memory, loaded models continue for one turn, counted from the start of the wait but
//!   not from before they were loaded. Then their queued runs are held back, so that they become idle; from the eviction on
//!   these runs wait for memory. An idle model is evicted at once. So models don't displace each other for each run, and no
//!   run starves: the next model waits for a turn, a run, and the stops and loads in between.
//! - **Requested loads.** A requested load waits like a run of normal priority. The loaded model can't be evicted for runs
//!   that were submitted during its load before it has had a run or a turn.
//! - **Idle timeout.** A model that isn't pinned is stopped when it was unused for the idle timeout.

mod effect;
mod limits;
mod memory;
mod queue;
mod rules;
mod state;
#[cfg(test)]
mod tests;

use std::{
    collections::{BTreeMap, HashMap},
    time::Duration,
};

use hearth_domain::{Priority, RunId};

pub use effect::{Effect, Refusal, StopReason};
pub use limits::Limits;
use queue::{Moment, Queued, Ticket};
use state::{ModelState, Phase};

/// A submitted run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Submission {
    /// The run's id, which is new.
    pub run: RunId,
    /// The model that serves it.
    pub model: String,
    /// Its priority in the queue.
    pub priority: Priority,
    /// Slots that it needs at once, one for each answer: at least one, at most all slots of a worker.
    pub slots: usize,
}

/// The scheduler's state.
#[derive(Debug)]
pub struct Scheduler {
    limits: Limits,
    models: BTreeMap<String, ModelState>,
    /// The model of each run that waits or has a slot.
    runs: HashMap<RunId, String>,
    /// When the last load was started.
    last_load: Moment,
    now: Moment,
}

impl Scheduler {
    /// Creates a scheduler without loaded models.
    #[must_use]
    pub fn new(limits: Limits) -> Self {
        let (last_load, now) = (Moment::default(), Moment::default());
        Self { limits, models: BTreeMap::new(), runs: HashMap::new(), last_load, now }
    }

    /// Submits a run.
    ///
    /// # Errors
    /// `QueueFull`; or `NoRoom` or `NoMemory` if the model can't be loaded beside the pinned ones.
    pub fn submit(&mut self, now: Duration, submission: Submission) -> Result<Vec<Effect>, Refusal> {
        self.advance_clock(now);
        let Submission { run, model, priority, slots } = submission;
        let ticket = Ticket::new(self.now, priority, self.limits.ageing);
        let slot_count = self.slot_count(&model);
        let queued = Queued::new(run, ticket, slots.clamp(1, slot_count));
        self.admit(&model, &queued)?;
        self.model(&model).queue.push(queued);
        self.runs.insert(run, model);
        Ok(self.apply_rules())
    }

    /// Queues a run again whose worker has ended. It was admitted before, so it is never refused.
    pub fn requeue(&mut self, now: Duration, submission: Submission) -> Vec<Effect> {
        self.advance_clock(now);
        let Submission { run, model, priority, slots } = submission;
        let ticket = Ticket::new(self.now, priority, self.limits.ageing);
        let slot_count = self.slot_count(&model);
        let queued = Queued::new(run, ticket, slots.clamp(1, slot_count));
        self.model(&model).queue.push(queued);
        self.runs.insert(run, model);
        self.apply_rules()
    }

    /// Cancels a run: in the queue at once, in a worker with the effect `Abort`. The worker will free the slots at its next
    /// step, so the next run is dispatched at once, to be prepared meanwhile.
    pub fn cancel(&mut self, now: Duration, run: RunId) -> Vec<Effect> {
        self.advance_clock(now);
        let mut effects = Vec::new();
        if let Some(model) = self.runs.get(&run).cloned() {
            let state = self.model(&model);
            if let Some(slots) = state.active.get_mut(&run) {
                *slots = 0;
                effects.push(Effect::Abort(run));
            } else {
                state.queue.remove(run);
                self.runs.remove(&run);
                effects.push(Effect::Dropped(run));
            }
        }
        effects.extend(self.apply_rules());
        effects
    }

    /// Records that a run has ended in its worker.
    pub fn run_finished(&mut self, now: Duration, run: RunId) -> Vec<Effect> {
        let now = self.advance_clock(now);
        if let Some(model) = self.runs.remove(&run) {
            let state = self.model(&model);
            state.active.remove(&run);
            state.last_used_at = now;
        }
        self.apply_rules()
    }

    /// Records that a worker has loaded its model.
    pub fn model_loaded(&mut self, now: Duration, model: &str) -> Vec<Effect> {
        let now = self.advance_clock(now);
        let state = self.model(model);
        if state.phase == Phase::Loading {
            state.phase = Phase::Loaded;
            state.loaded_at = now;
            state.last_used_at = now;
            state.loaded_on_request = state.load_request.take().is_some();
            state.served = false;
        }
        self.apply_rules()
    }

    /// Records that a worker has ended. The caller ends its active runs. The queued runs remain, and the model is loaded
    /// again for them.
    pub fn worker_exited(&mut self, now: Duration, model: &str) -> Vec<Effect> {
        self.advance_clock(now);
        self.clear_worker(model);
        self.apply_rules()
    }

    /// Records that a model can't be loaded, and fails its queued runs.
    pub fn load_failed(&mut self, now: Duration, model: &str) -> Vec<Effect> {
        self.advance_clock(now);
        self.clear_worker(model);
        let mut effects = Vec::new();
        let queue: Vec<_> = self.model(model).queue.drain().collect();
        for run in queue {
            self.runs.remove(&run);
            effects.push(Effect::Unservable(run));
        }
        effects.extend(self.apply_rules());
        effects
    }

    /// Loads a model without a run. It may wait until other models are evicted.
    ///
    /// # Errors
    /// `NoRoom` or `NoMemory` if there is no room for it beside the models that are pinned or in use.
    pub fn load(&mut self, now: Duration, model: &str) -> Result<Vec<Effect>, Refusal> {
        let now = self.advance_clock(now);
        let ticket = Ticket::new(now, Priority::default(), self.limits.ageing);
        let phase = self.model(model).phase;
        if phase == Phase::Unloaded
            && let Some(refusal) = self.refusal_after_evictions(model, now, now.at)
        {
            return Err(refusal);
        }
        if phase != Phase::Loaded {
            // If its worker is stopping, it is loaded again afterwards.
            self.model(model).load_request.get_or_insert(ticket);
        }
        Ok(self.apply_rules())
    }

    /// Unloads a model.
    ///
    /// # Errors
    /// `InUse` if it has runs.
    pub fn unload(&mut self, now: Duration, model: &str) -> Result<Vec<Effect>, Refusal> {
        self.advance_clock(now);
        let state = self.model(model);
        if !state.active.is_empty() || !state.queue.is_empty() {
            return Err(Refusal::InUse);
        }
        state.load_request = None;
        let mut effects = Vec::new();
        if state.is_loading_or_loaded() {
            state.phase = Phase::Stopping;
            effects.push(Effect::Stop(model.to_owned(), StopReason::Requested));
        }
        effects.extend(self.apply_rules());
        Ok(effects)
    }

    /// Pins a model: it isn't evicted or stopped when it is loaded. The queued runs of models without room beside it are
    /// refused.
    pub fn pin(&mut self, now: Duration, model: &str) -> Vec<Effect> {
        self.advance_clock(now);
        self.model(model).pinned = true;
        self.apply_rules()
    }

    /// Unpins a model: it may be evicted, and stopped when it is idle.
    pub fn unpin(&mut self, now: Duration, model: &str) -> Vec<Effect> {
        self.advance_clock(now);
        self.model(model).pinned = false;
        self.apply_rules()
    }

    /// Sets a model's own idle timeout; with `None`, that of all models applies.
    pub fn set_idle_timeout(&mut self, now: Duration, model: &str, timeout: Option<Duration>) -> Vec<Effect> {
        self.advance_clock(now);
        self.model(model).idle_timeout = timeout;
        self.apply_rules()
    }

    /// Sets the slots of a model's worker, which is about to start; with `None`, it has as many as others. Queued runs that need
    /// more get all of them.
    pub fn set_slots(&mut self, model: &str, slots: Option<usize>) {
        let all = self.limits.slots;
        let state = self.model(model);
        state.slots = slots;
        let slot_count = state.slot_count(all);
        state.queue.limit_slots(slot_count);
    }

    /// Number of a model's slots.
    #[must_use]
    pub fn slot_count(&self, model: &str) -> usize {
        self.models.get(model).map_or(self.limits.slots.max(1), |state| state.slot_count(self.limits.slots))
    }

    /// Sets the memory that a model needs. Loaded models remain, even if they need more than the limit.
    pub fn set_memory_need(&mut self, now: Duration, model: &str, bytes: u64) -> Vec<Effect> {
        self.advance_clock(now);
        self.model(model).memory_need = bytes;
        self.apply_rules()
    }

    /// Applies the rules at a new time. Calls at other times than [`Self::next_deadline`] have no effects.
    pub fn tick(&mut self, now: Duration) -> Vec<Effect> {
        self.advance_clock(now);
        self.apply_rules()
    }

    /// The time at which [`Self::tick`] will have effects, unless another call comes before.
    #[must_use]
    pub fn next_deadline(&self) -> Option<Duration> {
        let timeout = self.limits.idle_timeout;
        let idle = self.models.values().filter_map(|model| model.idle_timeout_at(timeout)).min();
        idle.into_iter().chain(self.eviction_at()).min()
    }

    /// Numbers of active and of waiting runs of the model.
    #[must_use]
    pub fn run_counts(&self, model: &str) -> (usize, usize) {
        self.models.get(model).map_or((0, 0), |state| (state.active.len(), state.queue.len()))
    }

    /// Number of waiting runs of all models.
    #[must_use]
    pub fn queued_count(&self) -> usize {
        self.models.values().map(|state| state.queue.len()).sum()
    }

    /// Sets the time of a call. The time never runs backwards.
    fn advance_clock(&mut self, now: Duration) -> Moment {
        self.now = Moment { at: now.max(self.now.at), call: self.now.call + 1 };
        self.now
    }

    fn model(&mut self, name: &str) -> &mut ModelState {
        self.models.entry(name.to_owned()).or_default()
    }

    fn clear_worker(&mut self, model: &str) {
        let now = self.now;
        let state = self.model(model);
        state.load_request.take_if(|_| state.phase != Phase::Stopping);
        state.phase = Phase::Unloaded;
        state.unloaded_at = now;
        for run in std::mem::take(&mut state.active).into_keys() {
            self.runs.remove(&run);
        }
    }
}
