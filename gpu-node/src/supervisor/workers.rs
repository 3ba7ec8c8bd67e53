//! Starting and stopping workers, and what becomes of their runs when one ends.

use std::{
    collections::HashSet,
    time::{Duration, Instant},
};

use hearth_domain::{FinishReason, Priority, RunId, Timestamp};
use hearth_wire::{ApiError, ErrorCode, RunEventBody};

use tokio::sync::mpsc;

use super::{
    actor::{Actor, Message},
    metrics,
    worker::{FAREWELL, Worker},
};
use crate::{
    frames::{Command, LoadSpec, Report},
    scheduler::{StopReason, Submission},
};

impl Actor {
    pub(super) fn start(&mut self, model: &str) {
        if self.wait_for_backends(model) {
            return;
        }
        let (libraries, names) = match self.backends.current() {
            Some(Ok(selection)) => (selection.libraries.clone(), selection.names()),
            Some(Err(problem)) => {
                let problem = problem.to_owned();
                return self.give_up(model, problem);
            }
            None => return,
        };
        self.epoch += 1;
        let epoch = self.epoch;
        let spawned = self.models.file(model).map_err(|error| error.message).and_then(|file| {
            // It may have gone since: the scheduler only knows its name.
            if !file.path.exists() {
                return Err("its file is gone".to_owned());
            }
            let spec = LoadSpec { backends: libraries, ..self.config.load_spec(&file) };
            let need = self.models.need(model, &self.config);
            let confinement = self.config.confinement(&file, &spec, need);
            let spawned = Worker::spawn(&self.config, &confinement, model, spec, epoch, self.inbox.clone());
            spawned.map_err(|error| {
                tracing::error!(model, %error, "no worker can be started");
                format!("a worker can't be started: {}; the node's log has more", error.kind())
            })
        });
        let process = self.models.process(model);
        process.saved_prefix_bytes = 0;
        process.facts = None;
        match spawned {
            Ok(worker) => {
                tracing::info!(model, pid = worker.pid, "a worker loads the model");
                self.keeper.note_use(model);
                process.worker = Some(worker);
                process.loading = Some((Instant::now(), 0.0));
                process.heard = Some(Instant::now());
                process.stopping = false;
                process.backends = Some(names);
            }
            Err(reason) => self.give_up(model, reason),
        }
    }

    pub(super) fn stop(&mut self, model: &str, reason: StopReason) {
        tracing::info!(model, ?reason, "the model leaves memory");
        metrics::model_stopped(reason);
        self.backends.forget(model);
        let process = self.models.process(model);
        process.awaits_backends = false;
        process.stopping = true;
        // Dropping the worker ends it; its end comes back as `Exited`.
        if process.worker.take().is_none() {
            let effects = self.scheduler.gone(self.now(), model);
            self.apply(effects);
        }
    }

    pub(super) fn tell_worker(&mut self, run: RunId, command: Command) {
        let model = self.runs.model_of(run);
        let process = self.models.process(&model);
        process.heard = Some(Instant::now());
        if let Some(worker) = &process.worker {
            worker.send(command);
        }
    }

    pub(super) fn report(&mut self, model: &str, epoch: u64, report: Report) {
        let active = self.scheduler.load_of(model).0;
        let Some(process) = self.models.current(model, epoch) else { return };
        // Preparing says nothing of the runs that have steps to come.
        let tells = match report {
            Report::Preparing { runs } => usize::try_from(runs).is_ok_and(|runs| runs >= active),
            _ => true,
        };
        if tells {
            process.heard = Some(Instant::now());
        }
        process.probing = matches!(report, Report::Probing);
        match report {
            Report::Probing | Report::Preparing { .. } => {}
            Report::Alive(vitals) => {
                process.saved_prefix_bytes = vitals.saved_prefix_bytes;
                metrics::worker(model, &vitals);
            }
            Report::Progress { progress } => {
                if let Some((_, now)) = &mut process.loading {
                    *now = progress;
                }
                self.runs.tell_waiting(model, &RunEventBody::Loading { progress });
            }
            Report::Ready(facts) => {
                process.facts = Some(facts);
                let took = process.loading.take().map(|(since, _)| since.elapsed()).unwrap_or_default();
                process.loaded_at = Some(Timestamp::now());
                process.error = None;
                tracing::info!(model, seconds = took.as_secs_f64(), "the model is loaded");
                metrics::loaded(took);
                self.measure(model);
                let effects = self.scheduler.ready(self.now(), model);
                self.apply(effects);
            }
            Report::LoadFailed { reason } => self.give_up(model, reason),
            Report::Event { run, event } => self.runs.push(run, event),
            Report::Finished { run, reason, usage, timings } => {
                process.last_used_at = Some(Timestamp::now());
                metrics::finished(&usage, &timings);
                self.runs.push(run, RunEventBody::Usage { usage });
                let done = RunEventBody::Done { finish_reason: reason };
                let last = if reason == FinishReason::Cancelled { RunEventBody::Cancelled } else { done };
                self.measure(model);
                self.finished(run, last);
            }
            Report::Failed { run, error } => self.finished(run, RunEventBody::Error { error }),
        }
    }

    /// Remembers what memory a model really takes.
    fn measure(&mut self, model: &str) {
        if let Some(bytes) = self.models.measure(model, &self.config) {
            let measured = self.models.measured();
            tokio::task::spawn_blocking(move || {
                if let Err(error) = measured.save() {
                    tracing::warn!(%error, "what models take can't be written to the model folder");
                }
            });
            metrics::memory(model, self.models.predicted(model, &self.config), bytes);
            let effects = self.scheduler.set_need(self.now(), model, bytes);
            self.apply(effects);
        }
    }

    /// A model can't be loaded: its runs are told why.
    pub(super) fn give_up(&mut self, model: &str, reason: String) {
        tracing::error!(model, reason, "the model can't be loaded");
        let process = self.models.process(model);
        process.error = Some(reason);
        process.worker.take().into_iter().for_each(Worker::kill);
        process.loading = None;
        let effects = self.scheduler.unloadable(self.now(), model);
        self.apply(effects);
    }

    pub(super) fn exited(&mut self, model: &str, epoch: u64, how: &str, signal: Option<i32>) {
        let process = self.models.process(model);
        if process.stopping && process.worker.is_none() {
            tracing::info!(model, "the model is unloaded");
            process.stopping = false;
            process.loading = None;
            let effects = self.scheduler.gone(self.now(), model);
            self.apply(effects);
        } else if process.worker.as_ref().is_some_and(|worker| worker.epoch == epoch) {
            self.crashed(model, how, signal);
        }
        self.models.left(model);
    }

    /// A worker ended by itself, or is to end because it hangs.
    fn crashed(&mut self, model: &str, how: &str, signal: Option<i32>) {
        let probing = std::mem::take(&mut self.models.process(model).probing);
        if let Some(signal) = signal.filter(|_| !probing) {
            self.suspect_backends(signal);
        }
        let process = self.models.process(model);
        metrics::crashed();
        tracing::error!(model, how, "a worker crashed");
        let loading = process.loading.take().is_some();
        let how = if probing { TEMPLATE_TOO_LARGE } else { how };
        process.worker.take().into_iter().for_each(Worker::kill);
        let quarantined = process.crashed(how);
        if loading {
            if !probing && self.wait_after_crash(model, how) {
                return;
            }
            // A file that kills its worker while it is read would do so again.
            return self.give_up(model, how.to_owned());
        }
        let taken_back = self.end_crashed(model, how, quarantined);
        let now = self.now();
        let mut effects =
            if quarantined { self.scheduler.unloadable(now, model) } else { self.scheduler.gone(now, model) };
        for submission in taken_back {
            // They were there before those that wait now.
            let first = Submission { priority: Priority::High, ..submission };
            effects.extend(self.scheduler.take_back(now, first));
        }
        self.apply(effects);
    }

    /// Ends the runs of a crashed worker; those that can be tried again come back.
    fn end_crashed(&mut self, model: &str, how: &str, quarantined: bool) -> Vec<Submission> {
        let mut again = Vec::new();
        for run in self.runs.in_slots_of(model) {
            match self.runs.take_back(run).filter(|_| !quarantined) {
                Some(submission) => again.push(submission),
                None => self.runs.end(run, RunEventBody::Error { error: crash(how) }),
            }
        }
        again
    }

    /// Ends all workers, and waits for those that keep something.
    pub(super) async fn let_workers_go(&mut self, messages: &mut mpsc::UnboundedReceiver<Message>) {
        let workers = self.models.processes().filter_map(|(_, process)| process.worker.take());
        let mut left: HashSet<u64> = workers.map(|worker| worker.epoch).collect();
        if !self.config.prefixes_on_disk {
            return;
        }
        let gone = async {
            while !left.is_empty()
                && let Some(message) = messages.recv().await
            {
                if let Message::Exited { epoch, .. } = message {
                    left.remove(&epoch);
                }
            }
        };
        if tokio::time::timeout(FAREWELL, gone).await.is_err() {
            tracing::warn!("a worker took too long to keep what it had, and is ended");
        }
    }

    /// Kills workers that load for too long, or have runs and say nothing.
    pub(super) fn check_workers(&mut self) {
        let (load, stall) = (self.config.load_timeout, self.config.stall_timeout);
        let scheduler = &self.scheduler;
        let late = |since: Instant, limit: Duration| since.elapsed() > limit;
        let mut hung = Vec::new();
        for (model, process) in self.models.processes() {
            let busy = scheduler.load_of(model).0 > 0;
            if process.loading.is_some_and(|(since, _)| late(since, load)) {
                hung.push((model.clone(), format!("the load took longer than {} s", load.as_secs())));
            } else if busy && process.loading.is_none() && process.heard.is_some_and(|at| late(at, stall)) {
                hung.push((model.clone(), format!("it said nothing for {} s", stall.as_secs())));
            }
        }
        for (model, how) in hung {
            let epoch = self.models.process(&model).worker.as_ref().map_or(0, |worker| worker.epoch);
            // `exited` drops the worker, which kills the process.
            self.exited(&model, epoch, &how, None);
        }
    }
}

/// Why a process ended that had its chat template tried.
const TEMPLATE_TOO_LARGE: &str =
    "its chat template takes too much memory, or brings the process down; take another file of the model";

fn crash(how: &str) -> ApiError {
    let message =
        format!("the model's process failed in the middle of the run: {how}; send the request again");
    ApiError::new(ErrorCode::ProviderError, message)
}
