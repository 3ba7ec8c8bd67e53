//! The state of one model.

use std::{collections::BTreeMap, time::Duration};

use hearth_domain::RunId;

use super::queue::{Moment, Queue, Ticket};

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) enum Phase {
    #[default]
    Unloaded,
    Loading,
    Loaded,
    Stopping,
}

#[derive(Debug, Default)]
pub(super) struct ModelState {
    pub(super) phase: Phase,
    pub(super) pinned: bool,
    /// Its own idle timeout, in place of that of all models.
    pub(super) idle_timeout: Option<Duration>,
    /// The slots of its worker, if it has another number than others.
    pub(super) slots: Option<usize>,
    /// The memory that it needs, in bytes; 0 while unknown.
    pub(super) memory_need: u64,
    /// A request to load it, independent of runs.
    pub(super) load_request: Option<Ticket>,
    /// The runs in its worker, with the slots of each; 0 slots for a cancelled run.
    pub(super) active: BTreeMap<RunId, usize>,
    pub(super) queue: Queue,
    pub(super) loaded_at: Moment,
    pub(super) unloaded_at: Moment,
    /// The end of its last run, or of its load if it has had no run since.
    pub(super) last_used_at: Moment,
    /// It was loaded because of a load request.
    pub(super) loaded_on_request: bool,
    /// It has had a run since it was loaded.
    pub(super) served: bool,
}

impl ModelState {
    /// Returns whether it uses memory.
    pub(super) fn is_resident(&self) -> bool {
        self.phase != Phase::Unloaded
    }

    /// Returns whether it uses memory and isn't stopping.
    pub(super) fn is_loading_or_loaded(&self) -> bool {
        matches!(self.phase, Phase::Loading | Phase::Loaded)
    }

    /// Returns whether it uses memory until a client unloads it.
    pub(super) fn is_pinned_in_memory(&self) -> bool {
        self.pinned && self.is_loading_or_loaded()
    }

    /// The number of its slots, where other models have `slots`.
    pub(super) fn slot_count(&self, slots: usize) -> usize {
        self.slots.unwrap_or(slots).max(1)
    }

    /// The number of its free slots, where other models have `slots`.
    pub(super) fn free_slots(&self, slots: usize) -> usize {
        self.slot_count(slots).saturating_sub(self.active.values().sum())
    }

    /// Its ticket, if it waits for memory. Runs that were submitted while it was in memory wait for memory since it was
    /// unloaded.
    pub(super) fn memory_ticket(&self) -> Option<Ticket> {
        let tickets = self.queue.tickets().chain(self.load_request);
        let tickets = tickets.map(|ticket| ticket.starting_from(self.unloaded_at));
        tickets.reduce(Ticket::merge).filter(|_| self.phase == Phase::Unloaded)
    }

    /// Returns whether its turn is over, so that its runs are held back for a model that has waited for memory since
    /// `waiting_since`. A turn has one run at least, and lasts from the load on.
    pub(super) fn turn_is_over(&self, waiting_since: Option<Moment>, now: Duration, turn: Duration) -> bool {
        let is_over = |since: Moment| now >= since.max(self.loaded_at).at.saturating_add(turn);
        !self.pinned && self.served && waiting_since.is_some_and(is_over)
    }

    /// The time until which an idle model isn't evicted, since it was loaded on request and the model that has waited
    /// since `waiting_since` was submitted during its load. Otherwise it would be evicted as soon as it is loaded.
    pub(super) fn protected_until(&self, waiting_since: Moment, turn: Duration) -> Option<Duration> {
        let is_protected =
            self.is_idle() && self.loaded_on_request && !self.served && waiting_since < self.loaded_at;
        is_protected.then(|| self.loaded_at.at.saturating_add(turn))
    }

    /// Returns whether it can be evicted for a model that has waited since `waiting_since`. Runs in its own queue are held
    /// back, or they would have slots.
    pub(super) fn is_evictable(&self, waiting_since: Moment, now: Duration, turn: Duration) -> bool {
        self.is_idle() && self.protected_until(waiting_since, turn).is_none_or(|until| now >= until)
    }

    /// The time at which it will have been unused for its idle timeout, by default `timeout`, unless it is used before.
    pub(super) fn idle_timeout_at(&self, timeout: Option<Duration>) -> Option<Duration> {
        let timeout = self.idle_timeout.or(timeout)?;
        (self.is_idle() && self.queue.is_empty()).then(|| self.last_used_at.at.saturating_add(timeout))
    }

    /// Returns whether it is loaded, not pinned, and without active runs.
    fn is_idle(&self) -> bool {
        self.phase == Phase::Loaded && !self.pinned && self.active.is_empty()
    }
}
