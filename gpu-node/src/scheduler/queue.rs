//! The order of runs that wait for a slot, and of models that wait for memory.

use std::{cmp::min, collections::VecDeque, time::Duration};

use hearth_domain::{Priority, RunId};

use super::effect::Effect;

/// The time of a call, and its number, which orders calls at the same time.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Moment {
    pub(super) at: Duration,
    pub(super) call: u64,
}

/// The waiting time and the rank of a run or a requested load.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Ticket {
    pub(super) since: Moment,
    /// The lowest rank is first. It is the moment of submission plus one ageing time for each level below the highest
    /// priority, so a run that has waited for an ageing time is equal to a new run of the next higher priority. The rank
    /// never changes, nor does the order of two tickets.
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

    /// The ticket of a wait that begins at `moment`, if this one began before.
    pub(super) fn starting_from(self, moment: Moment) -> Self {
        if self.since >= moment {
            return self;
        }
        let below_highest = self.rank.at - self.since.at;
        let rank = Moment { at: moment.at.saturating_add(below_highest), ..moment };
        Self { since: moment, rank }
    }

    /// Merges two tickets for one model: the earlier start of the wait, and the lower rank.
    pub(super) fn merge(self, other: Self) -> Self {
        Self { since: min(self.since, other.since), rank: min(self.rank, other.rank) }
    }
}

/// A run in a queue.
#[derive(Debug)]
pub(super) struct Queued {
    pub(super) run: RunId,
    pub(super) ticket: Ticket,
    /// Slots that it needs at once.
    pub(super) slots: usize,
    /// The last reported position.
    reported_position: Option<u32>,
}

impl Queued {
    pub(super) fn new(run: RunId, ticket: Ticket, slots: usize) -> Self {
        Self { run, ticket, slots, reported_position: None }
    }
}

/// The runs that wait for one model, by rank.
#[derive(Debug, Default)]
pub(super) struct Queue(VecDeque<Queued>);

impl Queue {
    pub(super) fn push(&mut self, run: Queued) {
        let index = self.0.partition_point(|other| other.ticket.rank < run.ticket.rank);
        self.0.insert(index, run);
    }

    /// Removes the first run if `free` slots are enough for it. Otherwise the runs behind it wait too.
    pub(super) fn pop(&mut self, free: usize) -> Option<Queued> {
        self.0.pop_front_if(|first| first.slots <= free)
    }

    /// Has each run need at most `slots`.
    pub(super) fn limit_slots(&mut self, slots: usize) {
        self.0.iter_mut().for_each(|queued| queued.slots = queued.slots.min(slots));
    }

    pub(super) fn remove(&mut self, run: RunId) {
        self.0.retain(|queued| queued.run != run);
    }

    pub(super) fn drain(&mut self) -> impl Iterator<Item = RunId> {
        self.0.drain(..).map(|queued| queued.run)
    }

    /// Returns whether a run with `ticket` would be the first in the queue.
    pub(super) fn would_be_first(&self, ticket: Ticket) -> bool {
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

    /// Reports the positions that have changed, from 1.
    pub(super) fn changed_positions(&mut self) -> impl Iterator<Item = Effect> {
        self.0.iter_mut().zip(1..).filter_map(|(queued, position)| {
            let before = queued.reported_position.replace(position);
            (before != Some(position)).then_some(Effect::Position(queued.run, position))
        })
    }
}
