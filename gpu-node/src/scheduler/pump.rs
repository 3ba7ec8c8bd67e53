//! What can be done now: each call ends here.

use super::{
    Effect, Refusal, Scheduler,
    queue::Queued,
    state::{ModelState, Phase},
};

impl Scheduler {
    /// Whether a run may come in.
    pub(super) fn admit(&mut self, model: &str, run: &Queued) -> Result<(), Refusal> {
        let (limits, now) = (self.limits, self.now.at);
        let (waiting, pressure) = (self.queued(), self.pressure());
        let state = self.model(model);
        let starts_at_once = state.phase == Phase::Loaded
            && run.slots <= state.free_slots(limits.slots)
            && state.queue.would_be_led_by(run.ticket)
            && !state.is_held(pressure, now, limits.turn);
        let full = state.queue.len() >= limits.queue_depth || waiting >= limits.queue_total;
        let refusal = if state.is_staying() { None } else { self.refusal(model, ModelState::is_fixed) };
        match refusal {
            Some(refusal) => Err(refusal),
            None if full && !starts_at_once => Err(Refusal::QueueFull),
            None => Ok(()),
        }
    }

    /// Does all that can be done now, until nothing is left to do.
    pub(super) fn pump(&mut self) -> Vec<Effect> {
        let mut effects = Vec::new();
        loop {
            let done = effects.len();
            self.give_up_hopeless(&mut effects);
            self.dispatch(&mut effects);
            self.stop_idle(&mut effects);
            effects.extend(self.make_room());
            if effects.len() == done {
                break;
            }
        }
        effects.extend(self.models.values_mut().flat_map(|state| state.queue.changed_places()));
        effects
    }

    /// Gives the free slots to the first of each queue.
    fn dispatch(&mut self, effects: &mut Vec<Effect>) {
        let (limits, now, pressure) = (self.limits, self.now.at, self.pressure());
        for state in self.models.values_mut().filter(|state| state.phase == Phase::Loaded) {
            while !state.is_held(pressure, now, limits.turn)
                && let Some(run) = state.queue.pop(state.free_slots(limits.slots))
            {
                state.served = true;
                state.active.insert(run.run, run.slots);
                effects.push(Effect::Dispatch(run.run));
            }
        }
    }
}
