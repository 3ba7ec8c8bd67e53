//! The runs of the gateway that are on this node.

use std::{
    collections::{HashMap, VecDeque},
    sync::{Arc, Mutex},
};

use hearth_domain::RunId;
use tokio::sync::watch;

use super::{
    Link, lock,
    relayed_run::{RelayedRun, RunOutcome},
};

/// Ended runs that are remembered, so that a late doorbell doesn't start one again.
const REMEMBERED_MAX_COUNT: usize = 4096;

/// The gateway's runs on this node.
#[derive(Debug)]
pub(super) struct Runs {
    state: Mutex<State>,
    /// Runs at a time; none for no limit.
    max_count: Option<usize>,
    /// The number of active runs.
    active_count: watch::Sender<usize>,
}

#[derive(Debug, Default)]
struct State {
    active: HashMap<RunId, ActiveRun>,
    /// Runs for which there is no room yet, the oldest first.
    waiting: VecDeque<RunId>,
    /// Runs whose end the gateway has.
    settled: VecDeque<RunId>,
    /// Runs that were stopped here when their claims were over.
    abandoned: VecDeque<RunId>,
    /// No further run is claimed.
    closed: bool,
}

#[derive(Debug)]
struct ActiveRun {
    cancelled: bool,
}

impl Runs {
    pub(super) fn new(max_count: Option<u32>) -> Self {
        let max_count = max_count.map(|count| count as usize);
        Self { state: Mutex::default(), max_count, active_count: watch::Sender::new(0) }
    }

    /// Starts a run that the gateway has for this node, unless it is here already. Returns whether it was new.
    pub(super) fn start(&self, link: &Arc<Link>, run: RunId, cancelled: bool) -> bool {
        let mut state = lock(&self.state);
        if state.closed || state.settled.contains(&run) || state.waiting.contains(&run) {
            return false;
        }
        if let Some(active) = state.active.get_mut(&run) {
            active.cancelled |= cancelled;
            return false;
        }
        if self.max_count.is_some_and(|max| state.active.len() >= max) {
            state.waiting.push_back(run);
            return true;
        }
        state.active.insert(run, ActiveRun { cancelled });
        self.active_count.send_replace(state.active.len());
        drop(state);
        self.spawn(link, run);
        true
    }

    fn spawn(&self, link: &Arc<Link>, run: RunId) {
        let link = Arc::clone(link);
        link.clone().tasks.spawn(async move {
            let outcome = RelayedRun::new(&link, run).carry_out().await;
            link.runs.end(&link, run, outcome);
        });
    }

    fn end(&self, link: &Arc<Link>, run: RunId, outcome: RunOutcome) {
        let mut state = lock(&self.state);
        match outcome {
            RunOutcome::Settled => remember(&mut state.settled, run),
            RunOutcome::Abandoned => remember(&mut state.abandoned, run),
            RunOutcome::Failed | RunOutcome::NotClaimed => {}
        }
        state.active.remove(&run);
        let next = if state.closed { None } else { state.waiting.pop_front() };
        if let Some(next) = next {
            state.active.insert(next, ActiveRun { cancelled: false });
        }
        self.active_count.send_replace(state.active.len());
        drop(state);
        if let Some(next) = next {
            self.spawn(link, next);
        }
    }

    /// Stops a run, if it is on this node.
    pub(super) fn cancel(&self, link: &Arc<Link>, run: RunId) {
        let mut state = lock(&self.state);
        state.waiting.retain(|waiting| *waiting != run);
        let Some(active) = state.active.get_mut(&run) else { return };
        if std::mem::replace(&mut active.cancelled, true) {
            return;
        }
        drop(state);
        let link = Arc::clone(link);
        link.clone().tasks.spawn(async move {
            // An error means that the node is shutting down, which ends the run too.
            let _ = link.node.cancel(run).await;
        });
    }

    /// Stops all runs: the node's key was revoked.
    pub(super) fn cancel_all(&self, link: &Arc<Link>) {
        let runs: Vec<RunId> = lock(&self.state).active.keys().copied().collect();
        runs.into_iter().for_each(|run| self.cancel(link, run));
    }

    /// Returns whether an active run was cancelled.
    pub(super) fn is_cancelled(&self, run: RunId) -> bool {
        lock(&self.state).active.get(&run).is_some_and(|active| active.cancelled)
    }

    /// Returns whether a run was stopped here when its claim was over.
    pub(super) fn was_abandoned(&self, run: RunId) -> bool {
        lock(&self.state).abandoned.contains(&run)
    }

    /// Claims no further runs.
    pub(super) fn close(&self) {
        let mut state = lock(&self.state);
        state.closed = true;
        state.waiting.clear();
    }

    /// Waits until no run is active.
    pub(super) async fn wait_until_idle(&self) {
        // The sender is in `self`.
        let _ = self.active_count.subscribe().wait_for(|count| *count == 0).await;
    }

    /// The number of active runs.
    pub(super) fn active_count(&self) -> usize {
        *self.active_count.borrow()
    }
}

fn remember(runs: &mut VecDeque<RunId>, run: RunId) {
    if runs.len() >= REMEMBERED_MAX_COUNT {
        runs.pop_front();
    }
    runs.push_back(run);
}
