//! One model's part of the scheduler's state.

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
    /// The memory that it takes or will take, in bytes; 0 while unknown.
    pub(super) need: u64,
    /// Somebody asked for it to be loaded, whether runs wait or not.
    pub(super) wanted: Option<Ticket>,
    /// Runs in its worker, each with the slots that it takes; none once it is to be stopped.
    pub(super) active: BTreeMap<RunId, usize>,
    pub(super) queue: Queue,
    /// When it was loaded last.
    pub(super) loaded: Moment,
    /// When it left memory last.
    pub(super) left: Moment,
    /// When its last run ended, or when it was loaded if it has had none since.
    pub(super) last_used: Moment,
    /// Somebody asked for the load.
    pub(super) asked: bool,
    /// It has taken a run since it was loaded.
    pub(super) served: bool,
}

impl ModelState {
    /// Whether it takes memory.
    pub(super) fn is_resident(&self) -> bool {
        self.phase != Phase::Unloaded
    }

    /// Whether it takes memory for now and later.
    pub(super) fn is_staying(&self) -> bool {
        matches!(self.phase, Phase::Loading | Phase::Loaded)
    }

    /// Whether it takes memory until somebody unpins or unloads it.
    pub(super) fn is_fixed(&self) -> bool {
        self.pinned && self.is_staying()
    }

    pub(super) fn free_slots(&self, slots: usize) -> usize {
        slots.saturating_sub(self.active.values().sum())
    }

    /// What it waits for memory with, if it does. What came while it was in memory has waited for memory
    /// since it left.
    pub(super) fn waiting(&self) -> Option<Ticket> {
        let tickets = self.queue.tickets().chain(self.wanted).map(|ticket| ticket.not_before(self.left));
        tickets.reduce(Ticket::joined).filter(|_| self.phase == Phase::Unloaded)
    }

    /// Whether its runs stay back for a model that has waited for memory `since` then: its turn is over.
    /// A turn has one run at least, and it isn't over before the model has been loaded that long.
    pub(super) fn is_held(&self, since: Option<Moment>, now: Duration, turn: Duration) -> bool {
        let over = |since: Moment| now >= since.max(self.loaded).at.saturating_add(turn);
        !self.pinned && self.served && since.is_some_and(over)
    }

    /// Until when it is kept without a run: somebody asked for it, and what has waited `since` then came
    /// while it was being loaded. Otherwise it would go as soon as it came.
    pub(super) fn kept_until(&self, since: Moment, turn: Duration) -> Option<Duration> {
        let kept = self.is_idle() && self.asked && !self.served && since < self.loaded;
        kept.then(|| self.loaded.at.saturating_add(turn))
    }

    /// Whether it may leave memory for a model that has waited `since` then. What waits in its own queue
    /// was held back, or it would have a slot.
    pub(super) fn is_evictable(&self, since: Moment, now: Duration, turn: Duration) -> bool {
        self.is_idle() && self.kept_until(since, turn).is_none_or(|until| now >= until)
    }

    /// When nobody will have used it for `timeout`, if nobody does until then.
    pub(super) fn unused_at(&self, timeout: Duration) -> Option<Duration> {
        (self.is_idle() && self.queue.is_empty()).then(|| self.last_used.at.saturating_add(timeout))
    }

    /// Whether it is loaded for nobody: not pinned, and none of its runs has a slot.
    fn is_idle(&self) -> bool {
        self.phase == Phase::Loaded && !self.pinned && self.active.is_empty()
    }
}
