//! The node's active runs, and the logs of runs that ended recently.

use std::{
    collections::{HashMap, VecDeque},
    sync::Arc,
    time::{Duration, Instant},
};

use hearth_domain::{Modality, RunId, Task, Usage};
use hearth_telemetry::traces::Span;
use hearth_wire::{ApiError, ErrorCode, RunEventBody, node::NodeRun};

use super::{metrics, run_log::RunLog, trace::RunTrace};
use crate::{
    frames::{Command, Timings},
    scheduler::Submission,
};

/// Bytes of the logs of all ended runs together. If many runs end at once, or with large vectors, the oldest logs are
/// removed before their time.
const ENDED_LOGS_MAX_BYTES: usize = 64 << 20;

/// A run that hasn't ended.
#[derive(Debug)]
pub(super) struct ActiveRun {
    pub(super) log: Arc<RunLog>,
    pub(super) request: NodeRun,
    submitted_at: Instant,
    /// When it was queued last.
    queued_at: Instant,
    /// It has a slot.
    dispatched: bool,
    /// Its client has received a part of the answer.
    answered: bool,
    /// It was requeued once, after a crash of its worker.
    retried: bool,
    /// It has waited too long, and is removed from the queue.
    expired: bool,
    trace: RunTrace,
}

/// The node's runs.
#[derive(Debug, Default)]
pub(super) struct Runs {
    active: HashMap<RunId, ActiveRun>,
    /// The logs of active runs and of runs that ended recently.
    logs: HashMap<RunId, Arc<RunLog>>,
    /// The runs that ended recently, oldest first, and the bytes of their logs.
    ended: VecDeque<Ended>,
    ended_bytes: usize,
}

#[derive(Debug)]
struct Ended {
    run: RunId,
    at: Instant,
    bytes: usize,
}

/// The scheduler's view of a run.
pub(super) fn submission(request: &NodeRun) -> Submission {
    let slots = match &request.task {
        Task::Text(task) => task.choices as usize,
        Task::Embedding(_) | Task::Image(_) | Task::Mesh(_) => 1,
    };
    Submission { run: request.run, model: request.model.clone(), priority: request.priority, slots }
}

impl Runs {
    /// Checks that a run may begin. One that has failed may begin again: the gateway asks another model of this node, or asks once
    /// more.
    ///
    /// # Errors
    /// `conflict` if a run with this id is active, or has ended in another way.
    pub(super) fn check_new(&self, run: RunId) -> Result<(), ApiError> {
        match self.logs.get(&run) {
            Some(log) if !log.has_failed() => {
                Err(ApiError::new(ErrorCode::Conflict, "a run with this id exists"))
            }
            _ => Ok(()),
        }
    }

    /// Adds a run; `span` ends with it.
    pub(super) fn start(&mut self, request: NodeRun, modality: Modality, span: Span) -> Arc<RunLog> {
        let log = RunLog::new(request.run, modality);
        let (run, now) = (request.run, Instant::now());
        if self.logs.insert(run, Arc::clone(&log)).is_some() {
            let earlier = self.ended.iter().position(|ended| ended.run == run);
            let earlier = earlier.and_then(|place| self.ended.remove(place));
            self.ended_bytes -= earlier.map_or(0, |ended| ended.bytes);
        }
        let active = ActiveRun {
            log: Arc::clone(&log),
            request,
            submitted_at: now,
            queued_at: now,
            dispatched: false,
            answered: false,
            retried: false,
            expired: false,
            trace: RunTrace::new(span),
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

    /// The model of an active run.
    pub(super) fn model_of(&self, run: RunId) -> String {
        self.active.get(&run).map(|active| active.request.model.clone()).unwrap_or_default()
    }

    /// Marks a run as dispatched, and returns the command for its worker.
    pub(super) fn dispatch(&mut self, run: RunId) -> Option<Command> {
        let active = self.active.get_mut(&run)?;
        active.dispatched = true;
        metrics::queue_wait(active.submitted_at.elapsed());
        active.trace.end_wait(active.queued_at.elapsed());
        let NodeRun { task, whole, .. } = &active.request;
        Some(Command::Run { run, task: Box::new(task.clone()), whole: *whole })
    }

    pub(super) fn push(&mut self, run: RunId, body: RunEventBody) {
        let Some(active) = self.active.get_mut(&run) else { return };
        let is_waiting = matches!(
            body,
            RunEventBody::Queued { .. }
                | RunEventBody::Loading { .. }
                | RunEventBody::Started { .. }
                | RunEventBody::Progress { .. }
        );
        if !is_waiting && !std::mem::replace(&mut active.answered, true) {
            metrics::first_token(active.submitted_at.elapsed());
        }
        active.log.push(body);
    }

    /// Ends a run that was removed from the queue.
    pub(super) fn end_dropped(&mut self, run: RunId) {
        let expired = self.active.get(&run).is_some_and(|active| active.expired);
        let last = if expired {
            metrics::run_dropped("expired");
            let message = "the request waited too long in the queue; try again later";
            RunEventBody::Error { error: ApiError::new(ErrorCode::ProviderTimeout, message) }
        } else {
            RunEventBody::Cancelled
        };
        self.end(run, last);
    }

    pub(super) fn end(&mut self, run: RunId, last: RunEventBody) {
        if let Some(mut active) = self.active.remove(&run) {
            metrics::run_ended(&last);
            active.trace.end(&last);
            active.log.push(last);
            let bytes = active.log.bytes();
            self.ended.push_back(Ended { run, at: Instant::now(), bytes });
            self.ended_bytes += bytes;
            // The last log remains, however large it is.
            while self.ended_bytes > ENDED_LOGS_MAX_BYTES && self.ended.len() > 1 {
                self.remove_oldest_log();
            }
        }
    }

    pub(super) fn end_all(&mut self, error: &ApiError) {
        let runs: Vec<RunId> = self.active.keys().copied().collect();
        for run in runs {
            self.end(run, RunEventBody::Error { error: error.clone() });
        }
    }

    /// The runs that are dispatched to the worker of `model`, oldest first.
    pub(super) fn dispatched_to(&self, model: &str) -> Vec<RunId> {
        let is_dispatched = |active: &&ActiveRun| active.dispatched && active.request.model == model;
        let mut runs: Vec<&ActiveRun> = self.active.values().filter(is_dispatched).collect();
        runs.sort_by_key(|active| active.submitted_at);
        runs.into_iter().map(|active| active.log.run()).collect()
    }

    /// Resets a run whose worker crashed, so that it can be queued again. `None` if its client has received a part of the
    /// answer, or if it was retried before: the run itself may have crashed the worker.
    pub(super) fn reset_for_retry(&mut self, run: RunId) -> Option<Submission> {
        let active = self.active.get_mut(&run).filter(|active| !active.answered && !active.retried)?;
        active.retried = true;
        active.dispatched = false;
        active.queued_at = Instant::now();
        Some(submission(&active.request))
    }

    /// Appends an event to the logs of the runs that wait for `model`.
    pub(super) fn notify_waiting(&mut self, model: &str, body: &RunEventBody) {
        for active in self.active.values().filter(|a| !a.dispatched && a.request.model == model) {
            active.log.push(body.clone());
        }
    }

    /// Adds the load of `model`, which has taken `took`, to the traces of the runs that have waited for it.
    pub(super) fn trace_load(&mut self, model: &str, took: Duration) {
        for active in self.active.values_mut().filter(|a| !a.dispatched && a.request.model == model) {
            active.trace.load(model, took.min(active.queued_at.elapsed()));
        }
    }

    /// Adds the parts of a run's computation to its trace.
    pub(super) fn trace_computation(&mut self, run: RunId, usage: &Usage, timings: &Timings) {
        if let Some(active) = self.active.get_mut(&run) {
            active.trace.compute(usage, timings);
        }
    }

    /// Marks the runs that have waited longer than `limit` as expired, and returns them.
    pub(super) fn expire_waiting(&mut self, limit: Duration) -> Vec<RunId> {
        let expired = self.active.values_mut().filter(|a| !a.dispatched && a.queued_at.elapsed() > limit);
        expired
            .map(|active| {
                active.expired = true;
                active.log.run()
            })
            .collect()
    }

    /// Removes the logs of runs that ended longer ago than `ttl`.
    pub(super) fn remove_expired_logs(&mut self, ttl: Duration) {
        while self.ended.front().is_some_and(|ended| ended.at.elapsed() >= ttl) {
            self.remove_oldest_log();
        }
    }

    fn remove_oldest_log(&mut self) {
        if let Some(ended) = self.ended.pop_front() {
            self.ended_bytes -= ended.bytes;
            self.logs.remove(&ended.run);
        }
    }
}

#[cfg(test)]
mod tests {
    use futures::StreamExt as _;
    use hearth_domain::{FinishReason, Priority, Sampling, TextTask};

    use super::*;

    fn start(runs: &mut Runs) -> (RunId, Arc<RunLog>) {
        let run = RunId::new();
        (run, start_again(runs, run))
    }

    fn start_again(runs: &mut Runs, run: RunId) -> Arc<RunLog> {
        let task = TextTask::new(Vec::new(), Sampling::default()).into();
        let request = NodeRun {
            run,
            model: "m".to_owned(),
            task,
            priority: Priority::Normal,
            whole: false,
            detached: false,
        };
        runs.start(request, Modality::Text, Span::default())
    }

    fn run(runs: &mut Runs, text: usize) -> RunId {
        let (run, _) = start(runs);
        runs.push(run, RunEventBody::text("x".repeat(text)));
        runs.end(run, RunEventBody::Done { finish_reason: FinishReason::Stop });
        run
    }

    #[test]
    fn logs_of_ended_runs_are_removed_after_the_ttl() {
        let mut runs = Runs::default();
        let first = run(&mut runs, 10);
        runs.remove_expired_logs(Duration::from_secs(300));
        assert!(runs.log(first).is_some() && runs.ended_bytes > 0);
        runs.remove_expired_logs(Duration::ZERO);
        assert!(runs.log(first).is_none() && runs.ended_bytes == 0);
    }

    #[test]
    fn failed_run_begins_again_and_others_do_not() {
        let mut runs = Runs::default();
        let (run, log) = start(&mut runs);
        assert_eq!(runs.check_new(run).unwrap_err().code, ErrorCode::Conflict);
        let error = ApiError::new(ErrorCode::ModelLoadFailed, "no");
        runs.end(run, RunEventBody::Error { error });
        runs.check_new(run).unwrap();
        let again = start_again(&mut runs, run);
        assert!(log.has_ended() && !again.has_ended());
        // The log of the failed run has gone, and its time doesn't end the new one.
        assert_eq!((runs.ended.len(), runs.ended_bytes), (0, 0));
        runs.end(run, RunEventBody::Done { finish_reason: FinishReason::Stop });
        assert_eq!(runs.check_new(run).unwrap_err().code, ErrorCode::Conflict);
        runs.remove_expired_logs(Duration::ZERO);
        assert!(runs.log(run).is_none() && runs.ended_bytes == 0);
    }

    #[tokio::test]
    async fn reader_of_a_removed_log_reads_to_its_end() {
        let mut runs = Runs::default();
        let (run, log) = start(&mut runs);
        let reader = log.read(0).unwrap();
        drop(log);
        runs.push(run, RunEventBody::text("x"));
        runs.end(run, RunEventBody::Done { finish_reason: FinishReason::Stop });
        runs.remove_expired_logs(Duration::ZERO);
        assert!(runs.log(run).is_none());
        assert_eq!(reader.map(|event| event.seq).collect::<Vec<_>>().await, [1, 2]);
    }

    #[test]
    fn logs_of_ended_runs_have_bounded_bytes() {
        let mut runs = Runs::default();
        let all: Vec<RunId> = (0..40).map(|_| run(&mut runs, 3 << 20)).collect();
        assert!(runs.ended_bytes <= ENDED_LOGS_MAX_BYTES, "{}", runs.ended_bytes);
        let readable = all.iter().filter(|run| runs.log(**run).is_some()).count();
        assert!((15..=21).contains(&readable), "{readable}");
        assert!(runs.log(all[39]).is_some() && runs.log(all[0]).is_none());
    }
}
