//! The runs that the node has: those that go on, and the logs of those that ended lately.

use std::{
    collections::{HashMap, VecDeque},
    sync::Arc,
    time::{Duration, Instant},
};

use hearth_domain::{Modality, RunId, Task};
use hearth_wire::{ApiError, ErrorCode, RunEventBody, node::NodeRun};

use super::{RunLog, metrics};
use crate::{frames::Command, scheduler::Submission};

/// What the logs of ended runs may take together, in bytes: runs that end in a crowd, or of large vectors, are
/// kept for a shorter time.
const MAX_ENDED_BYTES: usize = 64 << 20;

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
    /// The runs that ended lately, in that order, and what their logs take together.
    ended: VecDeque<Ended>,
    ended_bytes: usize,
}

#[derive(Debug)]
struct Ended {
    run: RunId,
    at: Instant,
    bytes: usize,
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

    /// Notes that a run has a slot, and gives the command that has a worker carry it out.
    pub(super) fn dispatched(&mut self, run: RunId) -> Option<Command> {
        let active = self.active.get_mut(&run)?;
        active.dispatched = true;
        metrics::queue_wait(active.since.elapsed());
        let NodeRun { task, whole, .. } = &active.request;
        Some(Command::Run { run, task: Box::new(task.clone()), whole: *whole })
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
            let bytes = active.log.bytes();
            self.ended.push_back(Ended { run, at: Instant::now(), bytes });
            self.ended_bytes += bytes;
            // The last one can be read for a while, however large it is.
            while self.ended_bytes > MAX_ENDED_BYTES && self.ended.len() > 1 {
                self.forget_oldest();
            }
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

    /// Forgets logs of runs that ended longer ago than `keep`.
    pub(super) fn forget(&mut self, keep: Duration) {
        while self.ended.front().is_some_and(|ended| ended.at.elapsed() >= keep) {
            self.forget_oldest();
        }
    }

    fn forget_oldest(&mut self) {
        if let Some(ended) = self.ended.pop_front() {
            self.ended_bytes -= ended.bytes;
            self.logs.remove(&ended.run);
        }
    }
}

#[cfg(test)]
mod tests {
    use hearth_domain::{FinishReason, Priority, Sampling, TextTask};

    use super::*;

    fn run(runs: &mut Runs, text: usize) -> RunId {
        let (run, task) = (RunId::new(), TextTask::new(Vec::new(), Sampling::default()).into());
        let request = NodeRun {
            run,
            model: "m".to_owned(),
            task,
            priority: Priority::Normal,
            whole: false,
            detached: false,
        };
        runs.begin(request, Modality::Text);
        runs.push(run, RunEventBody::text("x".repeat(text)));
        runs.end(run, RunEventBody::Done { finish_reason: FinishReason::Stop });
        run
    }

    #[test]
    fn ended_runs_are_kept_for_their_time() {
        let mut runs = Runs::default();
        let first = run(&mut runs, 10);
        runs.forget(Duration::from_secs(300));
        assert!(runs.log(first).is_some() && runs.ended_bytes > 0);
        runs.forget(Duration::ZERO);
        assert!(runs.log(first).is_none() && runs.ended_bytes == 0);
    }

    #[test]
    fn what_ended_runs_take_together_is_bounded() {
        let mut runs = Runs::default();
        let all: Vec<RunId> = (0..40).map(|_| run(&mut runs, 3 << 20)).collect();
        assert!(runs.ended_bytes <= MAX_ENDED_BYTES, "{}", runs.ended_bytes);
        let kept = all.iter().filter(|run| runs.log(**run).is_some()).count();
        assert!((15..=21).contains(&kept), "{kept}");
        assert!(runs.log(all[39]).is_some() && runs.log(all[0]).is_none());
    }
}
