//! The runs that the node has: those that go on, and the logs of those that ended lately.

use std::{
    collections::HashMap,
    sync::Arc,
    time::{Duration, Instant},
};

use hearth_domain::{Modality, RunId, Task};
use hearth_wire::{ApiError, ErrorCode, RunEventBody, node::NodeRun};

use super::{RunLog, metrics};
use crate::scheduler::Submission;

/// A run that hasn't ended.
#[derive(Debug)]
pub(super) struct ActiveRun {
    pub(super) log: Arc<RunLog>,
    pub(super) request: NodeRun,
    since: Instant,
    /// Since when it waits, if it has no slot.
    waits_since: Instant,
    /// It has a slot.
    dispatched: bool,
    /// Its client was given something that can't be taken back.
    answered: bool,
    /// It was given to a worker that crashed.
    tried: bool,
    /// It waited too long, and leaves the queue.
    expired: bool,
}

/// The node's runs.
#[derive(Debug, Default)]
pub(super) struct Runs {
    active: HashMap<RunId, ActiveRun>,
    /// Logs that can be read: those of the active runs, and of runs that ended lately.
    logs: HashMap<RunId, Arc<RunLog>>,
}

/// What the scheduler is told of a run.
pub(super) fn submission(request: &NodeRun) -> Submission {
    let slots = match &request.task {
        Task::Text(task) => task.choices as usize,
        Task::Embedding(_) | Task::Image(_) | Task::Mesh(_) => 1,
    };
    Submission { run: request.run, model: request.model.clone(), priority: request.priority, slots }
}

impl Runs {
    /// # Errors
    /// `conflict` if a run has this id already.
    pub(super) fn check_new(&self, run: RunId) -> Result<(), ApiError> {
        match self.logs.contains_key(&run) {
            true => Err(ApiError::new(ErrorCode::Conflict, "a run with this id is already known")),
            false => Ok(()),
        }
    }

    pub(super) fn begin(&mut self, request: NodeRun, modality: Modality) -> Arc<RunLog> {
        let log = RunLog::new(request.run, modality);
        let (run, since) = (request.run, Instant::now());
        self.logs.insert(run, Arc::clone(&log));
        let active = ActiveRun {
            log: Arc::clone(&log),
            request,
            since,
            waits_since: since,
            dispatched: false,
            answered: false,
            tried: false,
            expired: false,
        };
        self.active.insert(run, active);
        log
    }

    pub(super) fn get(&self, run: RunId) -> Option<&ActiveRun> {
        self.active.get(&run)
    }

    pub(super) fn log(&self, run: RunId) -> Option<Arc<RunLog>> {
        self.logs.get(&run).cloned()
    }

    /// The model of a run that goes on.
    pub(super) fn model_of(&self, run: RunId) -> String {
        self.active.get(&run).map(|active| active.request.model.clone()).unwrap_or_default()
    }

    /// Notes that a run has a slot, and gives what it is to make.
    pub(super) fn dispatched(&mut self, run: RunId) -> Option<Task> {
        let active = self.active.get_mut(&run)?;
        active.dispatched = true;
        metrics::queue_wait(active.since.elapsed());
        Some(active.request.task.clone())
    }

    pub(super) fn push(&mut self, run: RunId, body: RunEventBody) {
        let Some(active) = self.active.get_mut(&run) else { return };
        let waits = matches!(
            body,
            RunEventBody::Queued { .. } | RunEventBody::Loading { .. } | RunEventBody::Started { .. }
        );
        if !waits && !std::mem::replace(&mut active.answered, true) {
            metrics::first_token(active.since.elapsed());
        }
        active.log.push(body);
    }

    /// Ends a run that left the queue.
    pub(super) fn dropped(&mut self, run: RunId) {
        let expired = self.active.get(&run).is_some_and(|active| active.expired);
        let last = if expired {
            metrics::dropped("expired");
            let message = "the request waited too long for its turn; try again later";
            RunEventBody::Error { error: ApiError::new(ErrorCode::ProviderTimeout, message) }
        } else {
            RunEventBody::Cancelled
        };
        self.end(run, last);
    }

    pub(super) fn end(&mut self, run: RunId, last: RunEventBody) {
        if let Some(active) = self.active.remove(&run) {
            metrics::ended(&last);
            active.log.push(last);
        }
    }

    pub(super) fn end_all(&mut self, error: &ApiError) {
        let runs: Vec<RunId> = self.active.keys().copied().collect();
        for run in runs {
            self.end(run, RunEventBody::Error { error: error.clone() });
        }
    }

    /// The runs of a worker that crashed, in the order in which they came.
    pub(super) fn in_slots_of(&self, model: &str) -> Vec<RunId> {
        let there = |active: &&ActiveRun| active.dispatched && active.request.model == model;
        let mut runs: Vec<&ActiveRun> = self.active.values().filter(there).collect();
        runs.sort_by_key(|active| active.since);
        runs.into_iter().map(|active| active.log.run()).collect()
    }

    /// Takes a run back whose worker crashed, to be given to the next one: if its client was given
    /// nothing yet, and once. What crashes a worker might be the run itself.
    pub(super) fn take_back(&mut self, run: RunId) -> Option<Submission> {
        let active = self.active.get_mut(&run).filter(|active| !active.answered && !active.tried)?;
        active.tried = true;
        active.dispatched = false;
        active.waits_since = Instant::now();
        Some(submission(&active.request))
    }

    /// Tells the runs that wait for `model`.
    pub(super) fn tell_waiting(&mut self, model: &str, body: &RunEventBody) {
        for active in self.active.values().filter(|a| !a.dispatched && a.request.model == model) {
            active.log.push(body.clone());
        }
    }

    /// Notes which runs have waited longer than `limit`, and gives them.
    pub(super) fn overdue(&mut self, limit: Duration) -> Vec<RunId> {
        let overdue = self.active.values_mut().filter(|a| !a.dispatched && a.waits_since.elapsed() > limit);
        overdue
            .map(|active| {
                active.expired = true;
                active.log.run()
            })
            .collect()
    }

    /// Forgets logs of runs that ended before `keep`.
    pub(super) fn forget(&mut self, keep: Duration) {
        self.logs.retain(|_, log| log.ended_at().is_none_or(|at| at.elapsed() < keep));
    }
}
