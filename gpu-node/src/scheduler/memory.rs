//! Which models are in memory, and which one is next.

use std::time::Duration;

use super::{
    Effect, Refusal, Scheduler, StopReason,
    queue::{Moment, Ticket},
    state::{ModelState, Phase},
};

impl Scheduler {
    /// Why `model` can't be in memory beside those others that are `there`, if it can't.
    pub(super) fn refusal(&self, model: &str, there: impl Fn(&ModelState) -> bool) -> Option<Refusal> {
        let others = || self.models.iter().filter(|(name, state)| *name != model && there(state));
        if others().count() >= self.limits.loaded_models {
            return Some(Refusal::NoRoom(others().map(|(name, _)| name.clone()).collect()));
        }
        let needed = self.models.get(model).map_or(0, |state| state.need);
        let taken = others().fold(0, |sum: u64, (_, state)| sum.saturating_add(state.need));
        let free = self.limits.memory_bytes?.saturating_sub(taken);
        (needed > free).then(|| {
            let holding = others().map(|(name, state)| (name.clone(), state.need)).collect();
            Refusal::NoMemory { needed, free, holding }
        })
    }

    fn fits(&self, model: &str, there: impl Fn(&ModelState) -> bool) -> bool {
        self.refusal(model, there).is_none()
    }

    /// The models that wait for memory.
    fn waiting(&self) -> impl Iterator<Item = (&str, Ticket)> {
        self.models.iter().filter_map(|(name, state)| Some((name.as_str(), state.waiting()?)))
    }

    /// The first of those that wait. What has left since the last load began goes behind the others: if it
    /// came back first, it would have left for nothing.
    fn next_to_load(&self) -> Option<(&str, Ticket)> {
        let has_just_left = |name| self.models.get(name).is_some_and(|state| state.left > self.last_load);
        self.waiting().min_by_key(|(name, ticket)| (has_just_left(*name), ticket.rank))
    }

    /// Since when models have waited, if the next one has no room even when those that are stopping
    /// have gone.
    pub(super) fn pressure(&self) -> Option<Moment> {
        let (next, _) = self.next_to_load()?;
        let oldest = self.waiting().map(|(_, ticket)| ticket.since).min();
        oldest.filter(|_| !self.fits(next, ModelState::is_staying))
    }

    /// Why `model`, which has waited `since` then, will have no room at `at` if all go that may, if so.
    pub(super) fn shortage(&self, model: &str, since: Moment, at: Duration) -> Option<Refusal> {
        let turn = self.limits.turn;
        self.refusal(model, |state| state.is_staying() && !state.is_evictable(since, at, turn))
    }

    /// The model that is the first to leave for one that has waited `since` then: the least recently used,
    /// but rather one that no run waits for.
    fn victim(&self, since: Moment) -> Option<&str> {
        let (now, turn) = (self.now.at, self.limits.turn);
        let evictable = self.models.iter().filter(|(_, state)| state.is_evictable(since, now, turn));
        let first = evictable.min_by_key(|(_, state)| (!state.queue.is_empty(), state.last_used));
        first.map(|(name, _)| name.as_str())
    }

    fn any(&self, phase: Phase) -> bool {
        self.models.values().any(|state| state.phase == phase)
    }

    /// Begins to load the next model, or to evict one for it as soon as enough may go.
    pub(super) fn make_room(&mut self) -> Option<Effect> {
        let (next, ticket) = self.next_to_load()?;
        if self.any(Phase::Loading) {
            return None;
        }
        if self.fits(next, ModelState::is_resident) {
            let next = next.to_owned();
            self.model(&next).phase = Phase::Loading;
            self.last_load = self.now;
            return Some(Effect::Start(next));
        }
        if self.any(Phase::Stopping) || self.shortage(next, ticket.since, self.now.at).is_some() {
            return None;
        }
        let victim = self.victim(ticket.since)?.to_owned();
        self.model(&victim).phase = Phase::Stopping;
        Some(Effect::Stop(victim, StopReason::Evicted))
    }

    /// When enough may go for the next model, of what is kept for now.
    pub(super) fn eviction_due(&self) -> Option<Duration> {
        let (next, ticket) = self.next_to_load()?;
        let blocked = self.any(Phase::Loading) || self.any(Phase::Stopping);
        if blocked || self.fits(next, ModelState::is_resident) {
            return None;
        }
        let kept = self.models.values().filter_map(|state| state.kept_until(ticket.since, self.limits.turn));
        kept.filter(|until| self.shortage(next, ticket.since, *until).is_none()).min()
    }

    /// Stops the models that nobody has used for the idle timeout.
    pub(super) fn stop_idle(&mut self, effects: &mut Vec<Effect>) {
        let Some(timeout) = self.limits.idle_timeout else { return };
        for (name, state) in &mut self.models {
            if state.unused_at(timeout).is_some_and(|at| self.now.at >= at) {
                state.phase = Phase::Stopping;
                effects.push(Effect::Stop(name.clone(), StopReason::Idle));
            }
        }
    }

    /// Gives up the models that wait though they can never be loaded: since they began to wait, others
    /// were pinned, or they turned out to need more than there is.
    pub(super) fn give_up_hopeless(&mut self, effects: &mut Vec<Effect>) {
        let hopeless = |(name, _)| Some((str::to_owned(name), self.refusal(name, ModelState::is_fixed)?));
        let hopeless: Vec<_> = self.waiting().filter_map(hopeless).collect();
        for (name, refusal) in hopeless {
            let state = self.model(&name);
            state.wanted = None;
            let queue: Vec<_> = state.queue.drain().collect();
            for run in queue {
                self.runs.remove(&run);
                effects.push(Effect::Refused(run, refusal.clone()));
            }
        }
    }
}
