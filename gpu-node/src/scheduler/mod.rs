//! Which run goes to which worker, and which model is in memory: the pure core.
//!
//! Calls come in, effects come out; nothing here waits, reads a clock or touches a process. Each call
//! says when it comes, as the time since some start; [`Scheduler::next_deadline`] says when time alone
//! will change something. The same calls have the same effects. The rules:
//!
//! - **Order.** A model's queue is ordered by priority, then by age; a run that has waited for the ageing
//!   time is level with those of the next higher priority that come then. Nobody is overtaken by who
//!   comes more than two ageing times later. The first waits until enough slots are free for it, and
//!   those behind it wait as well. Its place is pushed to each run at each change.
//! - **Bounds.** A queue is bounded, and so are all queues together. A run that can start at once waits
//!   in none.
//! - **Memory.** One model is loaded at a time, by the order above: that of the first among the runs that
//!   wait for it. A full memory evicts models that are idle and not pinned, the least recently used first,
//!   never one with a run in it, and none before enough can go.
//! - **Turns.** While a model waits for memory, the loaded ones go on for one turn, counted from when
//!   the wait began but not from before they were loaded. Then their runs stay back, so that they fall
//!   idle; they have waited for memory from when their model leaves. A model that is idle already goes at
//!   once. So models don't displace each other run by run, and nobody starves: a model that is next waits
//!   for a turn, a run, and the stops and loads on the way.
//! - **Wishes.** A model that was asked for without a run waits like a run of normal priority. What came
//!   while it was being loaded can't evict it before it has had a run or a turn.
//! - **Idleness.** A model that nobody has used for the idle timeout is stopped, unless it is pinned.

mod memory;
mod pump;
mod queue;
mod state;
#[cfg(test)]
mod tests;

use std::{
    collections::{BTreeMap, HashMap},
    time::Duration,
};

use hearth_domain::{Priority, RunId};

use queue::{Moment, Queued, Ticket};
use state::{ModelState, Phase};

/// What bounds the scheduler.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Models in memory at once.
    pub loaded_models: usize,
    /// Slots in each of them.
    pub slots: usize,
    /// Runs that may wait for one model.
    pub queue_depth: usize,
    /// Runs that may wait for all models together.
    pub queue_total: usize,
    /// Bytes of memory for all models together, if they are bounded.
    pub memory_bytes: Option<u64>,
    /// How long the loaded models may go on while another waits for memory.
    pub turn: Duration,
    /// How long a run waits until it is level with the next higher priority.
    pub ageing: Duration,
    /// How long a model stays in memory unused, if not for ever.
    pub idle_timeout: Option<Duration>,
}

/// A run that has come.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Submission {
    /// The run, which is new.
    pub run: RunId,
    /// The model that is to serve it.
    pub model: String,
    /// How soon it gets its turn.
    pub priority: Priority,
    /// How many slots it takes at once: one for each answer. It gets at least one, at most all.
    pub slots: usize,
}

/// What the caller must do, in order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Effect {
    /// Start a worker for the model; answer with `ready`, `gone` or `unloadable`.
    Start(String),
    /// Stop the model's worker, which is idle; answer with `gone`.
    Stop(String, StopReason),
    /// Hand the run to its model's worker; answer with `finished`.
    Dispatch(RunId),
    /// Tell the run its place in the queue, from 1.
    Position(RunId, u32),
    /// Tell the model's worker to stop the run; it still answers with `finished`.
    Abort(RunId),
    /// The run left the queue because it was cancelled.
    Dropped(RunId),
    /// The run left the queue because its model can't be loaded.
    Unservable(RunId),
    /// The run left the queue because its model has lost its room in memory for good: others were pinned
    /// since it came, or the model needs more than was thought.
    Refused(RunId, Refusal),
}

/// Why a worker is stopped.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum StopReason {
    /// Another model needs the memory.
    Evicted,
    /// Nobody used it for the idle timeout.
    Idle,
    /// Somebody asked for it to be unloaded.
    Asked,
}

/// Why a call was refused. Nothing has changed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Refusal {
    /// The model's queue has no place left, or all queues together have none.
    QueueFull,
    /// As many models as may be are in memory: these, which are pinned or busy.
    NoRoom(Vec<String>),
    /// The model doesn't fit into memory beside those that are pinned or busy.
    NoMemory {
        /// The bytes that it needs.
        needed: u64,
        /// The bytes that those leave to it.
        free: u64,
        /// Those, each with the bytes that it takes.
        holding: Vec<(String, u64)>,
    },
    /// The model has runs.
    InUse,
}

/// The scheduler's state.
#[derive(Debug)]
pub struct Scheduler {
    limits: Limits,
    models: BTreeMap<String, ModelState>,
    /// The model of each run that waits or has a slot.
    runs: HashMap<RunId, String>,
    /// When a load began last.
    last_load: Moment,
    now: Moment,
}

impl Scheduler {
    /// A scheduler with nothing loaded.
    #[must_use]
    pub fn new(limits: Limits) -> Self {
        let (last_load, now) = (Moment::default(), Moment::default());
        Self { limits, models: BTreeMap::new(), runs: HashMap::new(), last_load, now }
    }

    /// A run has come.
    ///
    /// # Errors
    /// `QueueFull`; or `NoRoom` or `NoMemory` if the model can never be loaded beside the pinned ones.
    pub fn submit(&mut self, now: Duration, submission: Submission) -> Result<Vec<Effect>, Refusal> {
        self.at(now);
        let Submission { run, model, priority, slots } = submission;
        let ticket = Ticket::new(self.now, priority, self.limits.ageing);
        let queued = Queued::new(run, ticket, slots.clamp(1, self.limits.slots.max(1)));
        self.admit(&model, &queued)?;
        self.model(&model).queue.push(queued);
        self.runs.insert(run, model);
        Ok(self.pump())
    }

    /// A run whose worker ended comes back to be given to the next one. It was admitted once, so no bound
    /// refuses it.
    pub fn take_back(&mut self, now: Duration, submission: Submission) -> Vec<Effect> {
        self.at(now);
        let Submission { run, model, priority, slots } = submission;
        let ticket = Ticket::new(self.now, priority, self.limits.ageing);
        let queued = Queued::new(run, ticket, slots.clamp(1, self.limits.slots.max(1)));
        self.model(&model).queue.push(queued);
        self.runs.insert(run, model);
        self.pump()
    }

    /// A run is to be stopped. Its last effect comes from here, or from its worker by `finished`. That frees
    /// its slots between two steps, so the next run is handed over at once, and is ready by then.
    pub fn cancel(&mut self, now: Duration, run: RunId) -> Vec<Effect> {
        self.at(now);
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
        effects.extend(self.pump());
        effects
    }

    /// A run has ended in its worker.
    pub fn finished(&mut self, now: Duration, run: RunId) -> Vec<Effect> {
        let now = self.at(now);
        if let Some(model) = self.runs.remove(&run) {
            let state = self.model(&model);
            state.active.remove(&run);
            state.last_used = now;
        }
        self.pump()
    }

    /// A worker has loaded its model.
    pub fn ready(&mut self, now: Duration, model: &str) -> Vec<Effect> {
        let now = self.at(now);
        let state = self.model(model);
        if state.phase == Phase::Loading {
            state.phase = Phase::Loaded;
            state.loaded = now;
            state.last_used = now;
            state.asked = state.wanted.take().is_some();
            state.served = false;
        }
        self.pump()
    }

    /// A worker has ended. Its active runs are the caller's to end; those in the queue stay, and the
    /// model is loaded again for them.
    pub fn gone(&mut self, now: Duration, model: &str) -> Vec<Effect> {
        self.at(now);
        self.clear_worker(model);
        self.pump()
    }

    /// A model can't be loaded: its queue is given up.
    pub fn unloadable(&mut self, now: Duration, model: &str) -> Vec<Effect> {
        self.at(now);
        self.clear_worker(model);
        let mut effects = Vec::new();
        let queue: Vec<_> = self.model(model).queue.drain().collect();
        for run in queue {
            self.runs.remove(&run);
            effects.push(Effect::Unservable(run));
        }
        effects.extend(self.pump());
        effects
    }

    /// A model is wanted in memory though no run asks for it. It may have to wait until others are out.
    ///
    /// # Errors
    /// `NoRoom` or `NoMemory` if there is no room for it beside those that are pinned or busy.
    pub fn load(&mut self, now: Duration, model: &str) -> Result<Vec<Effect>, Refusal> {
        let now = self.at(now);
        let ticket = Ticket::new(now, Priority::default(), self.limits.ageing);
        let phase = self.model(model).phase;
        if phase == Phase::Unloaded
            && let Some(refusal) = self.shortage(model, now, now.at)
        {
            return Err(refusal);
        }
        if phase != Phase::Loaded {
            // If it is stopping, it comes back when it has gone.
            self.model(model).wanted.get_or_insert(ticket);
        }
        Ok(self.pump())
    }

    /// A model is no longer wanted in memory.
    ///
    /// # Errors
    /// `InUse` if it has runs.
    pub fn unload(&mut self, now: Duration, model: &str) -> Result<Vec<Effect>, Refusal> {
        self.at(now);
        let state = self.model(model);
        if !state.active.is_empty() || !state.queue.is_empty() {
            return Err(Refusal::InUse);
        }
        state.wanted = None;
        let mut effects = Vec::new();
        if state.is_staying() {
            state.phase = Phase::Stopping;
            effects.push(Effect::Stop(model.to_owned(), StopReason::Asked));
        }
        effects.extend(self.pump());
        Ok(effects)
    }

    /// Keeps a model in memory once it is loaded, whatever else wants in. Models that have no room beside
    /// it no longer wait: their runs are refused.
    pub fn pin(&mut self, now: Duration, model: &str) -> Vec<Effect> {
        self.at(now);
        self.model(model).pinned = true;
        self.pump()
    }

    /// Lets a model leave memory again.
    pub fn unpin(&mut self, now: Duration, model: &str) -> Vec<Effect> {
        self.at(now);
        self.model(model).pinned = false;
        self.pump()
    }

    /// Tells how much memory a model will take, or takes. What is loaded already stays, even if it is more
    /// than there is.
    pub fn set_need(&mut self, now: Duration, model: &str, bytes: u64) -> Vec<Effect> {
        self.at(now);
        self.model(model).need = bytes;
        self.pump()
    }

    /// Time has passed. Calls at other times than [`Self::next_deadline`] do no harm.
    pub fn tick(&mut self, now: Duration) -> Vec<Effect> {
        self.at(now);
        self.pump()
    }

    /// When [`Self::tick`] will have effects, if nothing else happens before.
    #[must_use]
    pub fn next_deadline(&self) -> Option<Duration> {
        let idle = self.limits.idle_timeout;
        let idle = idle.and_then(|timeout| self.models.values().filter_map(|m| m.unused_at(timeout)).min());
        idle.into_iter().chain(self.eviction_due()).min()
    }

    /// How many runs the model has in slots, and how many wait for it.
    #[must_use]
    pub fn load_of(&self, model: &str) -> (usize, usize) {
        self.models.get(model).map_or((0, 0), |state| (state.active.len(), state.queue.len()))
    }

    /// How many runs wait, for all models together.
    #[must_use]
    pub fn queued(&self) -> usize {
        self.models.values().map(|state| state.queue.len()).sum()
    }

    /// Whether the run has a slot.
    #[must_use]
    pub fn is_active(&self, run: RunId) -> bool {
        let state = self.runs.get(&run).and_then(|model| self.models.get(model));
        state.is_some_and(|state| state.active.contains_key(&run))
    }

    /// A call has come. Time never runs backwards.
    fn at(&mut self, now: Duration) -> Moment {
        self.now = Moment { at: now.max(self.now.at), call: self.now.call + 1 };
        self.now
    }

    fn model(&mut self, name: &str) -> &mut ModelState {
        self.models.entry(name.to_owned()).or_default()
    }

    fn clear_worker(&mut self, model: &str) {
        let now = self.now;
        let state = self.model(model);
        state.wanted.take_if(|_| state.phase != Phase::Stopping);
        state.phase = Phase::Unloaded;
        state.left = now;
        for run in std::mem::take(&mut state.active).into_keys() {
            self.runs.remove(&run);
        }
    }
}
