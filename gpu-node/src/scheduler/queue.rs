//! The order of what waits: a run for a slot, a model for memory.

use std::{cmp::min, collections::VecDeque, time::Duration};

use hearth_domain::{Priority, RunId};

use super::Effect;

/// When a call came. Calls at the same time keep their order.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Moment {
    pub(super) at: Duration,
    pub(super) call: u64,
}

/// Since when something waits, and what goes before it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Ticket {
    pub(super) since: Moment,
    /// The lowest goes first. It is the moment of coming, later by one ageing time for each level below
    /// the highest priority: who has waited that long is level with the next higher one who comes then.
    /// The rank stays as it is, and so does the order of any two who wait.
    pub(super) rank: Moment,
}

impl Ticket {
    pub(super) fn new(since: Moment, priority: Priority, ageing: Duration) -> Self {
        let below_highest = match priority {
            Priority::High => 0,
            Priority::Normal => 1,
            Priority::Low => 2,
        };
        let at = since.at.saturating_add(ageing.saturating_mul(below_highest));
        Self { since, rank: Moment { at, ..since } }
    }

    /// For who waits from `moment` on, if it came before.
    pub(super) fn not_before(self, moment: Moment) -> Self {
        if self.since >= moment {
            return self;
        }
        let below_highest = self.rank.at - self.since.at;
        let rank = Moment { at: moment.at.saturating_add(below_highest), ..moment };
        Self { since: moment, rank }
    }

    /// One for two who wait for the same: as long as the first to come, as soon as the first to go.
    pub(super) fn joined(self, other: Self) -> Self {
        Self { since: min(self.since, other.since), rank: min(self.rank, other.rank) }
    }
}

/// A run in a queue.
#[derive(Debug)]
pub(super) struct Queued {
    pub(super) run: RunId,
    pub(super) ticket: Ticket,
    /// How many slots it takes at once.
    pub(super) slots: usize,
    /// The place that it was told last.
    told: Option<u32>,
}

impl Queued {
    pub(super) fn new(run: RunId, ticket: Ticket, slots: usize) -> Self {
        Self { run, ticket, slots, told: None }
    }
}

/// The runs that wait for one model, in the order of their ranks.
#[derive(Debug, Default)]
pub(super) struct Queue(VecDeque<Queued>);

impl Queue {
    pub(super) fn push(&mut self, run: Queued) {
        let place = self.0.partition_point(|other| other.ticket.rank < run.ticket.rank);
        self.0.insert(place, run);
    }

    /// Takes the first run out if `free` slots are enough for it. If not, those behind it wait as well.
    pub(super) fn pop(&mut self, free: usize) -> Option<Queued> {
        self.0.pop_front_if(|first| first.slots <= free)
    }

    pub(super) fn remove(&mut self, run: RunId) {
        self.0.retain(|queued| queued.run != run);
    }

    pub(super) fn drain(&mut self) -> impl Iterator<Item = RunId> {
        self.0.drain(..).map(|queued| queued.run)
    }

    /// Whether who has `ticket` would be the first in it.
    pub(super) fn would_be_led_by(&self, ticket: Ticket) -> bool {
        self.0.front().is_none_or(|first| ticket.rank < first.ticket.rank)
    }

    pub(super) fn tickets(&self) -> impl Iterator<Item = Ticket> {
        self.0.iter().map(|queued| queued.ticket)
    }

    pub(super) fn len(&self) -> usize {
        self.0.len()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The places that are no longer as told, counted from 1.
    pub(super) fn changed_places(&mut self) -> impl Iterator<Item = Effect> {
        self.0.iter_mut().zip(1..).filter_map(|(queued, place)| {
            let before = queued.told.replace(place);
            (before != Some(place)).then_some(Effect::Position(queued.run, place))
        })
    }
}
