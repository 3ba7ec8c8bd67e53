//! Selects the models to load and to evict.

use std::time::Duration;

use super::{
    Scheduler,
    effect::{Effect, Refusal, StopReason},
    queue::{Moment, Ticket},
    state::{ModelState, Phase},
};

impl Scheduler {
    /// Bytes for all models, if there is a limit, and bytes of those that are in memory or on their way there.
    pub fn memory_in_use(&self) -> Option<(u64, u64)> {
        let resident = self.models.values().filter(|state| state.is_loading_or_loaded());
        let used = resident.fold(0, |sum: u64, state| sum.saturating_add(state.memory_need));
        Some((self.limits.memory_bytes?, used))
    }

    /// The reason why `model` can't be in memory beside the other models that are `resident`, if it can't.
    pub(super) fn refusal(&self, model: &str, resident: impl Fn(&ModelState) -> bool) -> Option<Refusal> {
        let others = || self.models.iter().filter(|(name, state)| *name != model && resident(state));
        if others().count() >= self.limits.loaded_models {
            return Some(Refusal::NoRoom(others().map(|(name, _)| name.clone()).collect()));
        }
        let needed = self.models.get(model).map_or(0, |state| state.memory_need);
        let used = others().fold(0, |sum: u64, (_, state)| sum.saturating_add(state.memory_need));
        let free = self.limits.memory_bytes?.saturating_sub(used);
        (needed > free).then(|| {
            let holding = others().map(|(name, state)| (name.clone(), state.memory_need)).collect();
            Refusal::NoMemory { needed, free, holding }
        })
    }

    fn fits(&self, model: &str, resident: impl Fn(&ModelState) -> bool) -> bool {
        self.refusal(model, resident).is_none()
    }

    /// The models that wait for memory.
    fn waiting(&self) -> impl Iterator<Item = (&str, Ticket)> {
        self.models.iter().filter_map(|(name, state)| Some((name.as_str(), state.memory_ticket()?)))
    }

    /// The first of the waiting models. A model that was evicted since the last load began is behind the others: if it
    /// were the next one, its eviction would have been useless.
    fn next_to_load(&self) -> Option<(&str, Ticket)> {
        let was_just_evicted =
            |name| self.models.get(name).is_some_and(|state| state.unloaded_at > self.last_load);
        self.waiting().min_by_key(|(name, ticket)| (was_just_evicted(*name), ticket.rank))
    }

    /// The start of the longest wait for memory, if the next model will have no room after the current stops.
    pub(super) fn memory_pressure_since(&self) -> Option<Moment> {
        let (next, _) = self.next_to_load()?;
        let oldest = self.waiting().map(|(_, ticket)| ticket.since).min();
        oldest.filter(|_| !self.fits(next, ModelState::is_loading_or_loaded))
    }

    /// The reason why `model`, which has waited since `waiting_since`, will have no room at `time` even if all evictable
    /// models are evicted; `None` if it will.
    pub(super) fn refusal_after_evictions(
        &self,
        model: &str,
        waiting_since: Moment,
        time: Duration,
    ) -> Option<Refusal> {
        let turn = self.limits.turn;
        let remains = |state: &ModelState| {
            state.is_loading_or_loaded() && !state.is_evictable(waiting_since, time, turn)
        };
        self.refusal(model, remains)
    }

    /// The model to evict for one that has waited since `waiting_since`: the least recently used one, preferably without
    /// queued runs.
    fn eviction_victim(&self, waiting_since: Moment) -> Option<&str> {
        let (now, turn) = (self.now.at, self.limits.turn);
        let evictable = self.models.iter().filter(|(_, state)| state.is_evictable(waiting_since, now, turn));
        let first = evictable.min_by_key(|(_, state)| (!state.queue.is_empty(), state.last_used_at));
        first.map(|(name, _)| name.as_str())
    }

    fn any_in(&self, phase: Phase) -> bool {
        self.models.values().any(|state| state.phase == phase)
    }

    /// Starts to load the next model, or to evict one for it if enough memory can be freed.
    pub(super) fn load_or_evict(&mut self) -> Option<Effect> {
        let (next, ticket) = self.next_to_load()?;
        if self.any_in(Phase::Loading) {
            return None;
        }
        if self.fits(next, ModelState::is_resident) {
            let next = next.to_owned();
            self.model(&next).phase = Phase::Loading;
            self.last_load = self.now;
            return Some(Effect::Start(next));
        }
        let is_blocked = self.any_in(Phase::Stopping)
            || self.refusal_after_evictions(next, ticket.since, self.now.at).is_some();
        if is_blocked {
            return None;
        }
        let victim = self.eviction_victim(ticket.since)?.to_owned();
        self.model(&victim).phase = Phase::Stopping;
        Some(Effect::Stop(victim, StopReason::Evicted))
    }

    /// The time at which enough protected models become evictable for the next model.
    pub(super) fn eviction_at(&self) -> Option<Duration> {
        let (next, ticket) = self.next_to_load()?;
        let blocked = self.any_in(Phase::Loading) || self.any_in(Phase::Stopping);
        if blocked || self.fits(next, ModelState::is_resident) {
            return None;
        }
        let turn = self.limits.turn;
        let protected = self.models.values().filter_map(|state| state.protected_until(ticket.since, turn));
        protected.filter(|until| self.refusal_after_evictions(next, ticket.since, *until).is_none()).min()
    }

    /// Stops the models that were unused for their idle timeouts.
    pub(super) fn stop_idle(&mut self, effects: &mut Vec<Effect>) {
        let timeout = self.limits.idle_timeout;
        for (name, state) in &mut self.models {
            if state.idle_timeout_at(timeout).is_some_and(|at| self.now.at >= at) {
                state.phase = Phase::Stopping;
                effects.push(Effect::Stop(name.clone(), StopReason::Idle));
            }
        }
    }

    /// Refuses the runs of waiting models that can't be loaded any more: since they were submitted, other models were
    /// pinned, or the model turned out to need more memory than the limit.
    pub(super) fn refuse_unservable(&mut self, effects: &mut Vec<Effect>) {
        let unservable =
            |(name, _)| Some((str::to_owned(name), self.refusal(name, ModelState::is_pinned_in_memory)?));
        let unservable: Vec<_> = self.waiting().filter_map(unservable).collect();
        for (name, refusal) in unservable {
            let state = self.model(&name);
            state.load_request = None;
            let queue: Vec<_> = state.queue.drain().collect();
            for run in queue {
                self.runs.remove(&run);
                effects.push(Effect::Refused(run, refusal.clone()));
            }
        }
    }
}
