//! Starts and stops workers, handles their reports, and requeues or fails the runs of a worker that ended.

use std::{
    collections::HashSet,
    time::{Duration, Instant},
};

use hearth_domain::{FinishReason, Priority, RunId, Timestamp};
use hearth_files::open_files;
use hearth_wire::{ApiError, ErrorCode, RunEventBody};

use tokio::sync::mpsc;

use super::{
    actor::Actor,
    message::Message,
    metrics,
    worker::{SHUTDOWN_GRACE, Worker},
};
use crate::{
    engines::table::Engine,
    frames::{Command, LoadSpec, Report},
    scheduler::{StopReason, Submission},
};

impl Actor {
    pub(super) fn start(&mut self, model: &str) {
        let file = match self.models.file(model) {
            // The file may have been deleted since the model was submitted.
            Ok(file) if !file.path.exists() => {
                return self.fail_model(model, "its file was deleted".to_owned());
            }
            Ok(file) => file,
            Err(error) => return self.fail_model(model, error.message),
        };
        let engine = Engine::of(&file);
        let (libraries, names) = if engine.uses_backends {
            if self.waits_for_backends(model) {
                return;
            }
            match self.backends.current() {
                Some(Ok(selection)) => (selection.libraries.clone(), Some(selection.names())),
                Some(Err(problem)) => {
                    let problem = problem.to_owned();
                    return self.fail_model(model, problem);
                }
                None => return,
            }
        } else {
            (Vec::new(), None)
        };
        self.epoch += 1;
        let epoch = self.epoch;
        let slots = self.config.slots_of(&file);
        self.scheduler.set_slots(model, Some(slots));
        let spawned = {
            let spec = LoadSpec { backends: libraries, ..self.config.load_spec(&file) };
            let estimate = self.models.memory_estimate(model, &self.config);
            let confinement = self.config.confinement(&file, &spec, estimate);
            let command = engine.command(&self.config.executable);
            let spawned =
                Worker::spawn(&self.config, &command, &confinement, model, spec, epoch, self.inbox.clone());
            spawned.map_err(|error| {
                tracing::error!(model, engine = engine.name, %error, "a worker can't be started");
                if open_files::is_limit(&error) {
                    return format!("a worker can't be started: {}", open_files::describe(&error));
                }
                format!("a worker can't be started: {}; the node's log has details", error.kind())
            })
        };
        let process = self.models.process(model);
        process.saved_prefix_bytes = 0;
        process.slots = Some(slots);
        process.properties = None;
        match spawned {
            Ok(worker) => {
                tracing::info!(model, pid = worker.pid, "a worker loads the model");
                self.storage.record_use(model);
                process.worker = Some(worker);
                process.loading = Some((Instant::now(), 0.0));
                process.last_report_at = Some(Instant::now());
                process.stopping = false;
                process.backends = names;
                self.send_counts(model);
            }
            Err(reason) => self.fail_model(model, reason),
        }
    }

    pub(super) fn stop(&mut self, model: &str, reason: StopReason) {
        tracing::info!(model, ?reason, "the model is being unloaded");
        metrics::model_stopped(reason);
        self.backends.remove_waiting(model);
        let process = self.models.process(model);
        process.awaits_backends = false;
        process.stopping = true;
        // Dropping the worker ends its process, which is then reported as `Exited`.
        if process.worker.take().is_none() {
            let effects = self.scheduler.worker_exited(self.now(), model);
            self.apply(effects);
        }
    }

    pub(super) fn send_to_worker(&mut self, run: RunId, command: Command) {
        let model = self.runs.model_of(run);
        let process = self.models.process(&model);
        process.last_report_at = Some(Instant::now());
        if let Some(worker) = &process.worker {
            worker.send(command);
        }
    }

    pub(super) fn report(&mut self, model: &str, epoch: u64, report: Report) {
        let active = self.scheduler.run_counts(model).0;
        let Some(process) = self.models.current(model, epoch) else { return };
        // A worker that only prepares runs may hang with the runs that it decodes.
        let is_sign_of_life = match report {
            Report::Preparing { runs } => usize::try_from(runs).is_ok_and(|runs| runs >= active),
            _ => true,
        };
        if is_sign_of_life {
            process.last_report_at = Some(Instant::now());
        }
        process.probing = matches!(report, Report::Probing);
        match report {
            Report::Probing | Report::Preparing { .. } => {}
            Report::Alive(stats) => {
                process.saved_prefix_bytes = stats.saved_prefix_bytes;
                metrics::worker_stats(model, &stats);
            }
            Report::Progress { progress } => {
                if let Some((_, now)) = &mut process.loading {
                    *now = progress;
                }
                self.runs.notify_waiting(model, &RunEventBody::Loading { progress });
            }
            Report::Ready(properties) => {
                process.properties = Some(properties);
                let took = process.loading.take().map(|(since, _)| since.elapsed()).unwrap_or_default();
                process.loaded_at = Some(Timestamp::now());
                process.error = None;
                tracing::info!(model, seconds = took.as_secs_f64(), "the model is loaded");
                metrics::model_loaded(took);
                self.runs.trace_load(model, took);
                self.measure_memory(model);
                let effects = self.scheduler.model_loaded(self.now(), model);
                self.apply(effects);
            }
            Report::Counted { request, count, error } => {
                self.counts.answer(request, error.map_or(Ok(count), Err));
            }
            Report::LoadFailed { reason } => self.fail_model(model, reason),
            Report::Event { run, event } => self.runs.push(run, event),
            Report::Finished { run, reason, usage, timings } => {
                process.last_used_at = Some(Timestamp::now());
                metrics::run_finished(&usage, &timings);
                self.runs.trace_computation(run, &usage, &timings);
                self.runs.push(run, RunEventBody::Usage { usage });
                let done = RunEventBody::Done { finish_reason: reason };
                let last = if reason == FinishReason::Cancelled { RunEventBody::Cancelled } else { done };
                self.measure_memory(model);
                self.end_run(run, last);
            }
            Report::Failed { run, error } => self.end_run(run, RunEventBody::Error { error }),
        }
    }

    /// Measures a model's memory, and stores it if it is larger than before.
    fn measure_memory(&mut self, model: &str) {
        if let Some(bytes) = self.models.measure_memory(model, &self.config) {
            let measurements = self.models.measurements();
            tokio::task::spawn_blocking(move || {
                if let Err(error) = measurements.save() {
                    tracing::warn!(%error, "memory measurements can't be written to the model folder");
                }
            });
            metrics::model_memory(model, self.models.predicted_memory(model, &self.config), bytes);
            let effects = self.scheduler.set_memory_need(self.now(), model, bytes);
            self.apply(effects);
        }
    }

    /// Fails a model that can't be loaded, and its waiting runs, for `reason`.
    pub(super) fn fail_model(&mut self, model: &str, reason: String) {
        tracing::error!(model, reason, "the model can't be loaded");
        self.counts.fail(model);
        let process = self.models.process(model);
        process.error = Some(reason);
        process.worker.take().into_iter().for_each(Worker::kill);
        process.loading = None;
        let effects = self.scheduler.load_failed(self.now(), model);
        self.apply(effects);
    }

    pub(super) fn exited(&mut self, model: &str, epoch: u64, reason: &str, signal: Option<i32>) {
        self.counts.fail(model);
        let process = self.models.process(model);
        if process.stopping && process.worker.is_none() {
            tracing::info!(model, "the model is unloaded");
            process.stopping = false;
            process.loading = None;
            let effects = self.scheduler.worker_exited(self.now(), model);
            self.apply(effects);
        } else if process.worker.as_ref().is_some_and(|worker| worker.epoch == epoch) {
            self.crashed(model, reason, signal);
        }
        self.models.remove_if_deleted(model);
    }

    /// Handles a worker that ended by itself, or that hangs and is killed.
    fn crashed(&mut self, model: &str, reason: &str, signal: Option<i32>) {
        let probing = std::mem::take(&mut self.models.process(model).probing);
        let uses_backends = self.models.file(model).is_ok_and(|file| Engine::of(&file).uses_backends);
        if let Some(signal) = signal.filter(|_| !probing && uses_backends) {
            self.suspect_backends(signal);
        }
        let process = self.models.process(model);
        metrics::worker_crashed();
        tracing::error!(model, reason, "a worker crashed");
        let loading = process.loading.take().is_some();
        let reason = if probing { TEMPLATE_TOO_LARGE } else { reason };
        process.worker.take().into_iter().for_each(Worker::kill);
        let quarantined = process.record_crash(reason);
        if loading {
            if !probing && uses_backends && self.waits_after_crash(model, reason) {
                return;
            }
            // A file that crashes its worker during the load would do so again.
            return self.fail_model(model, reason.to_owned());
        }
        let retries = self.end_crashed(model, reason, quarantined);
        let now = self.now();
        let mut effects = match quarantined {
            true => self.scheduler.load_failed(now, model),
            false => self.scheduler.worker_exited(now, model),
        };
        for submission in retries {
            // Their clients have waited longer than those in the queue.
            let first = Submission { priority: Priority::High, ..submission };
            effects.extend(self.scheduler.requeue(now, first));
        }
        self.apply(effects);
    }

    /// Fails the runs of a crashed worker, except those that can be retried, which it returns.
    fn end_crashed(&mut self, model: &str, reason: &str, quarantined: bool) -> Vec<Submission> {
        let mut retries = Vec::new();
        for run in self.runs.dispatched_to(model) {
            match self.runs.reset_for_retry(run).filter(|_| !quarantined) {
                Some(submission) => retries.push(submission),
                None => self.runs.end(run, RunEventBody::Error { error: crash(reason) }),
            }
        }
        retries
    }

    /// Ends all workers, and waits until they have saved their prefix caches.
    pub(super) async fn shut_down_workers(&mut self, messages: &mut mpsc::Receiver<Message>) {
        let workers = self.models.processes().filter_map(|(_, process)| process.worker.take());
        let mut remaining: HashSet<u64> = workers.map(|worker| worker.epoch).collect();
        if !self.config.settings.prefix_cache_on_disk {
            return;
        }
        let all_exited = async {
            while !remaining.is_empty()
                && let Some(message) = messages.recv().await
            {
                if let Message::Exited { epoch, .. } = message {
                    remaining.remove(&epoch);
                }
            }
        };
        if tokio::time::timeout(SHUTDOWN_GRACE, all_exited).await.is_err() {
            tracing::warn!("a worker took too long to save its prefix cache, and is killed");
        }
    }

    /// Kills workers whose load takes too long, and workers with runs that send no reports.
    pub(super) fn kill_hung_workers(&mut self) {
        let settings = &self.config.settings;
        let (load, stall) = (settings.load_timeout(), settings.stall_timeout());
        let scheduler = &self.scheduler;
        let late = |since: Instant, limit: Duration| since.elapsed() > limit;
        let mut hung = Vec::new();
        for (model, process) in self.models.processes() {
            let busy = scheduler.run_counts(model).0 > 0;
            if process.loading.is_some_and(|(since, _)| late(since, load)) {
                hung.push((model.clone(), format!("the load took longer than {} s", load.as_secs())));
            } else if busy
                && process.loading.is_none()
                && process.last_report_at.is_some_and(|at| late(at, stall))
            {
                hung.push((model.clone(), format!("it sent no report for {} s", stall.as_secs())));
            }
        }
        for (model, reason) in hung {
            let epoch = self.models.process(&model).worker.as_ref().map_or(0, |worker| worker.epoch);
            // `exited` kills the process.
            self.exited(&model, epoch, &reason, None);
        }
    }
}

/// The reason for a crash while the chat template was tried.
const TEMPLATE_TOO_LARGE: &str =
    "its chat template needs too much memory, or crashes the process; use another file of the model";

fn crash(reason: &str) -> ApiError {
    let message =
        format!("the model's process failed in the middle of the run: {reason}; send the request again");
    ApiError::new(ErrorCode::ProviderError, message)
}
