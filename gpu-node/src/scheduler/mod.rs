//! Which run goes to which worker, and which model is in memory: the pure core.
//!
//! Calls come in, effects come out; nothing here waits, reads a clock or touches a process. Time is
//! the order of calls. The rules:
//!
//! - a queue is bounded, a place in it is pushed to its run at each change;
//! - one model is loaded at a time; a full memory evicts the least recently used model that is idle
//!   and not pinned, never one with a run in it;
//! - while a model waits for memory, the loaded ones take no runs younger than its oldest, so that
//!   they fall idle and nobody starves.

mod state;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, HashMap};

use hearth_domain::RunId;

use state::{ModelState, Phase};

/// What bounds the scheduler.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Models in memory at once.
    pub loaded_models: usize,
    /// Runs at once in each of them.
    pub slots: usize,
    /// Runs that may wait for one model.
    pub queue_depth: usize,
}

/// What the caller must do, in order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Effect {
    /// Start a worker for the model; answer with `ready` or `gone`.
    Start(String),
    /// Stop the model's worker, which is idle; answer with `gone`.
    Stop(String),
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
}

/// Why a call was refused. Nothing has changed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Refusal {
    /// The model's queue has no place left.
    QueueFull,
    /// Memory is taken by these models, which are pinned or busy.
    NoRoom(Vec<String>),
    /// The model has runs.
    InUse,
}

/// The scheduler's state.
#[derive(Debug)]
pub struct Scheduler {
    limits: Limits,
    models: BTreeMap<String, ModelState>,
    runs: HashMap<RunId, String>,
    /// Counts calls; orders runs by age and models by use.
    now: u64,
}

impl Scheduler {
    /// A scheduler with nothing loaded.
    #[must_use]
    pub fn new(limits: Limits) -> Self {
        Self { limits, models: BTreeMap::new(), runs: HashMap::new(), now: 0 }
    }

    /// Keeps a model in memory once it is loaded, whatever else wants in.
    pub fn pin(&mut self, model: &str) {
        self.model(model).pinned = true;
    }

    /// A run for `model` has come.
    ///
    /// # Errors
    /// `QueueFull`, or `NoRoom` if the model can never be loaded beside the pinned ones.
    pub fn submit(&mut self, run: RunId, model: &str) -> Result<Vec<Effect>, Refusal> {
        self.now += 1;
        let (now, limits) = (self.now, self.limits);
        let pinned: Vec<String> = self
            .models
            .iter()
            .filter(|(name, m)| m.pinned && m.phase != Phase::Unloaded && *name != model)
            .map(|(name, _)| name.clone())
            .collect();
        let state = self.model(model);
        if state.phase == Phase::Unloaded && pinned.len() >= limits.loaded_models {
            return Err(Refusal::NoRoom(pinned));
        }
        let free = state.phase == Phase::Loaded && state.active.len() < limits.slots;
        if state.queue.len() >= limits.queue_depth && !(free && state.queue.is_empty()) {
            return Err(Refusal::QueueFull);
        }
        state.queue.push_back((now, run));
        self.runs.insert(run, model.to_owned());
        Ok(self.pump())
    }

    /// A run is to be stopped. Its last effect comes from here, or from its worker by `finished`.
    pub fn cancel(&mut self, run: RunId) -> Vec<Effect> {
        let Some(model) = self.runs.get(&run).cloned() else { return Vec::new() };
        let state = self.model(&model);
        if state.active.contains(&run) {
            return vec![Effect::Abort(run)];
        }
        state.queue.retain(|(_, queued)| *queued != run);
        self.runs.remove(&run);
        let mut effects = vec![Effect::Dropped(run)];
        effects.extend(self.pump());
        effects
    }

    /// A run has ended in its worker.
    pub fn finished(&mut self, run: RunId) -> Vec<Effect> {
        self.now += 1;
        let now = self.now;
        if let Some(model) = self.runs.remove(&run) {
            let state = self.model(&model);
            state.active.remove(&run);
            state.last_used = now;
        }
        self.pump()
    }

    /// A worker has loaded its model.
    pub fn ready(&mut self, model: &str) -> Vec<Effect> {
        self.now += 1;
        let now = self.now;
        let state = self.model(model);
        state.phase = Phase::Loaded;
        state.wanted = false;
        state.last_used = now;
        self.pump()
    }

    /// A worker has ended. Its active runs are the caller's to end; those in the queue stay, and the
    /// model is loaded again for them.
    pub fn gone(&mut self, model: &str) -> Vec<Effect> {
        self.clear_worker(model);
        self.pump()
    }

    /// A model can't be loaded: its queue is given up.
    pub fn unloadable(&mut self, model: &str) -> Vec<Effect> {
        self.clear_worker(model);
        let queue = std::mem::take(&mut self.model(model).queue);
        let mut effects = Vec::new();
        for (_, run) in queue {
            self.runs.remove(&run);
            effects.push(Effect::Unservable(run));
        }
        effects.extend(self.pump());
        effects
    }

    /// A model is wanted in memory though no run asks for it.
    ///
    /// # Errors
    /// `NoRoom` if every other model in memory is pinned or busy.
    pub fn load(&mut self, model: &str) -> Result<Vec<Effect>, Refusal> {
        let state = self.model(model);
        if state.phase == Phase::Stopping {
            // It comes back when it has gone.
            state.wanted = true;
        }
        if state.phase != Phase::Unloaded {
            return Ok(Vec::new());
        }
        let resident = self.resident();
        if resident.len() >= self.limits.loaded_models && self.victim(u64::MAX).is_none() {
            return Err(Refusal::NoRoom(resident));
        }
        self.now += 1;
        self.model(model).wanted = true;
        Ok(self.pump())
    }

    /// A model is no longer wanted in memory.
    ///
    /// # Errors
    /// `InUse` if it has runs.
    pub fn unload(&mut self, model: &str) -> Result<Vec<Effect>, Refusal> {
        let state = self.model(model);
        if !state.active.is_empty() || !state.queue.is_empty() {
            return Err(Refusal::InUse);
        }
        state.wanted = false;
        match state.phase {
            Phase::Loaded | Phase::Loading => {
                state.phase = Phase::Stopping;
                Ok(vec![Effect::Stop(model.to_owned())])
            }
            Phase::Unloaded | Phase::Stopping => Ok(Vec::new()),
        }
    }

    /// How many runs the model has in slots, and how many wait for it.
    #[must_use]
    pub fn load_of(&self, model: &str) -> (usize, usize) {
        self.models.get(model).map_or((0, 0), |state| (state.active.len(), state.queue.len()))
    }

    /// Whether the run has a slot.
    #[must_use]
    pub fn is_active(&self, run: RunId) -> bool {
        let state = self.runs.get(&run).and_then(|model| self.models.get(model));
        state.is_some_and(|state| state.active.contains(&run))
    }

    fn model(&mut self, name: &str) -> &mut ModelState {
        self.models.entry(name.to_owned()).or_default()
    }

    fn clear_worker(&mut self, model: &str) {
        let state = self.model(model);
        state.wanted &= state.phase == Phase::Stopping;
        state.phase = Phase::Unloaded;
        for run in std::mem::take(&mut state.active) {
            self.runs.remove(&run);
        }
    }

    /// The models that take memory.
    fn resident(&self) -> Vec<String> {
        self.models.iter().filter(|(_, m)| m.phase != Phase::Unloaded).map(|(name, _)| name.clone()).collect()
    }

    /// The least recently used model that may leave memory for a run as old as `horizon`.
    fn victim(&self, horizon: u64) -> Option<String> {
        let idle = self.models.iter().filter(|(_, m)| m.is_evictable(horizon));
        idle.min_by_key(|(_, m)| m.last_used).map(|(name, _)| name.clone())
    }

    /// The model that should be loaded next, and since when it waits.
    fn next_to_load(&self) -> Option<(String, u64)> {
        let waiting = self.models.iter().filter_map(|(name, m)| Some((name.clone(), m.waiting_since()?)));
        waiting.min_by_key(|(_, since)| *since)
    }

    /// Does all that can be done now.
    fn pump(&mut self) -> Vec<Effect> {
        let mut effects = Vec::new();
        let changing = self.models.values().any(|m| matches!(m.phase, Phase::Loading | Phase::Stopping));
        let waiting = self.next_to_load();
        let full = self.resident().len() >= self.limits.loaded_models;
        // While the memory is full, runs younger than the oldest one that waits for memory stay back.
        let horizon = waiting.as_ref().filter(|_| full).map_or(u64::MAX, |(_, since)| *since);
        for state in self.models.values_mut().filter(|m| m.phase == Phase::Loaded) {
            let horizon = if state.pinned { u64::MAX } else { horizon };
            while state.active.len() < self.limits.slots
                && let Some((_, run)) = state.queue.pop_front_if(|(age, _)| *age < horizon)
            {
                state.active.insert(run);
                effects.push(Effect::Dispatch(run));
            }
        }
        if let (Some((model, _)), false) = (waiting, changing) {
            if !full {
                self.model(&model).phase = Phase::Loading;
                effects.push(Effect::Start(model));
            } else if let Some(victim) = self.victim(horizon) {
                self.model(&victim).phase = Phase::Stopping;
                effects.push(Effect::Stop(victim));
            }
        }
        effects.extend(self.models.values_mut().flat_map(ModelState::changed_positions));
        effects
    }
}
