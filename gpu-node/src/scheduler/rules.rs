//! Applies the rules at the end of each call.

use super::{
    Scheduler,
    effect::{Effect, Refusal},
    queue::Queued,
    state::{ModelState, Phase},
};

impl Scheduler {
    /// Checks whether a run is admitted.
    pub(super) fn admit(&mut self, model: &str, run: &Queued) -> Result<(), Refusal> {
        let (limits, now) = (self.limits, self.now.at);
        let (waiting, pressure) = (self.queued_count(), self.memory_pressure_since());
        let state = self.model(model);
        let starts_at_once = state.phase == Phase::Loaded
            && run.slots <= state.free_slots(limits.slots)
            && state.queue.would_be_first(run.ticket)
            && !state.turn_is_over(pressure, now, limits.turn);
        let full = state.queue.len() >= limits.queue_depth || waiting >= limits.queue_total;
        let refusal = match state.is_loading_or_loaded() {
            true => None,
            false => self.refusal(model, ModelState::is_pinned_in_memory),
        };
        match refusal {
            Some(refusal) => Err(refusal),
            None if full && !starts_at_once => Err(Refusal::QueueFull),
            None => Ok(()),
        }
    }

    /// Applies the rules until they have no further effects.
    pub(super) fn apply_rules(&mut self) -> Vec<Effect> {
        let mut effects = Vec::new();
        loop {
            let before = effects.len();
            self.refuse_unservable(&mut effects);
            self.dispatch(&mut effects);
            self.stop_idle(&mut effects);
            effects.extend(self.load_or_evict());
            if effects.len() == before {
                break;
            }
        }
        effects.extend(self.models.values_mut().flat_map(|state| state.queue.changed_positions()));
        effects
    }

    /// Dispatches the first runs of each queue to the free slots.
    fn dispatch(&mut self, effects: &mut Vec<Effect>) {
        let (limits, now, pressure) = (self.limits, self.now.at, self.memory_pressure_since());
        for state in self.models.values_mut().filter(|state| state.phase == Phase::Loaded) {
            while !state.turn_is_over(pressure, now, limits.turn)
                && let Some(run) = state.queue.pop(state.free_slots(limits.slots))
            {
                state.served = true;
                state.active.insert(run.run, run.slots);
                effects.push(Effect::Dispatch(run.run));
            }
        }
    }
}
