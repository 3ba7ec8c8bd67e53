//! One model's part of the scheduler's state.

use std::collections::{HashMap, HashSet, VecDeque};

use hearth_domain::RunId;

use super::Effect;

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
    /// Somebody asked for it to be loaded though no run waits.
    pub(super) wanted: bool,
    pub(super) active: HashSet<RunId>,
    /// Runs that wait, oldest first, each with the call that brought it.
    pub(super) queue: VecDeque<(u64, RunId)>,
    pub(super) last_used: u64,
    /// The places that were told last.
    told: HashMap<RunId, u32>,
}

impl ModelState {
    /// Whether it may leave memory for a run as old as `horizon`: none of its runs has a slot, and
    /// those that wait for one are younger.
    pub(super) fn is_evictable(&self, horizon: u64) -> bool {
        let older_waits = self.queue.front().is_some_and(|(age, _)| *age < horizon);
        self.phase == Phase::Loaded && !self.pinned && self.active.is_empty() && !older_waits
    }

    /// Since when it waits for memory, if it does.
    pub(super) fn waiting_since(&self) -> Option<u64> {
        if self.phase != Phase::Unloaded {
            return None;
        }
        self.queue.front().map(|(age, _)| *age).or(self.wanted.then_some(u64::MAX - 1))
    }

    /// The places that are no longer as told.
    pub(super) fn changed_positions(&mut self) -> Vec<Effect> {
        let places: HashMap<RunId, u32> = self.queue.iter().map(|(_, run)| *run).zip(1..).collect();
        let news = self.queue.iter().filter_map(|(_, run)| {
            let place = places[run];
            (self.told.get(run) != Some(&place)).then_some(Effect::Position(*run, place))
        });
        let news = news.collect();
        self.told = places;
        news
    }
}
