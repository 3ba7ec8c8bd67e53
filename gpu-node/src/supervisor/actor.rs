//! The task that owns the node's state.

use std::{
    collections::HashMap,
    sync::Arc,
    time::{Duration, Instant},
};

use hearth_domain::{FinishReason, Modality, RunId, Task, Timestamp};
use hearth_wire::{
    ApiError, ErrorCode, RunEventBody,
    node::{NodeRun, NodeStatus},
};
use tokio::sync::{mpsc, oneshot};

use super::{
    RunLog,
    models::{Files, Models},
    refusal::{load_failed, refused},
    worker::Worker,
};
use crate::{
    config::NodeConfig,
    frames::{Command, Generate, LoadSpec, Report},
    scheduler::{Effect, Scheduler},
};

/// How often deadlines are looked at.
const TICK: Duration = Duration::from_secs(1);

type Reply<T> = oneshot::Sender<T>;

/// What the actor is told.
#[derive(Debug)]
pub(super) enum Message {
    Submit { run: Box<NodeRun>, reply: Reply<Result<Arc<RunLog>, ApiError>> },
    Log { run: RunId, reply: Reply<Option<Arc<RunLog>>> },
    Cancel { run: RunId, reply: Reply<bool> },
    Abandoned { run: RunId },
    Load { model: String, reply: Reply<Result<(), ApiError>> },
    Unload { model: String, reply: Reply<Result<(), ApiError>> },
    Status(Reply<NodeStatus>),
    Scanned { files: Files, reply: Reply<NodeStatus> },
    Report { model: String, epoch: u64, report: Report },
    Exited { model: String, epoch: u64, how: String },
    ShutDown,
}

struct ActiveRun {
    log: Arc<RunLog>,
    request: NodeRun,
}

pub(super) struct Actor {
    config: NodeConfig,
    models: Models,
    scheduler: Scheduler,
    /// Runs that haven't ended.
    runs: HashMap<RunId, ActiveRun>,
    /// Logs that can be read: those of the runs, and of runs that ended lately.
    logs: HashMap<RunId, Arc<RunLog>>,
    inbox: mpsc::UnboundedSender<Message>,
    epoch: u64,
}

impl Actor {
    pub(super) fn new(config: NodeConfig, inbox: mpsc::UnboundedSender<Message>) -> Self {
        let models = Models::new(&config);
        let scheduler = Scheduler::new(config.limits);
        Self { config, models, scheduler, runs: HashMap::new(), logs: HashMap::new(), inbox, epoch: 0 }
    }

    pub(super) async fn run(mut self, mut messages: mpsc::UnboundedReceiver<Message>) {
        if let Some(model) = self.config.default_model.clone() {
            self.scheduler.pin(&model);
            if let Err(error) = self.load(&model) {
                tracing::error!(model, %error, "the default model can't be loaded");
            }
        }
        let mut ticks = tokio::time::interval(TICK);
        loop {
            tokio::select! {
                message = messages.recv() => match message {
                    Some(Message::ShutDown) | None => break,
                    Some(message) => self.take(message),
                },
                _ = ticks.tick() => self.check_deadlines(),
            }
        }
        let ending = ApiError::new(ErrorCode::NodeLost, "the node was shut down");
        for run in self.runs.values() {
            run.log.push(RunEventBody::Error { error: ending.clone() });
        }
    }

    fn take(&mut self, message: Message) {
        match message {
            Message::Submit { run, reply } => {
                let _ = reply.send(self.submit(*run));
            }
            Message::Log { run, reply } => {
                let _ = reply.send(self.logs.get(&run).cloned());
            }
            Message::Cancel { run, reply } => {
                let _ = reply.send(self.runs.contains_key(&run));
                self.cancel(run);
            }
            Message::Abandoned { run } => self.cancel_if_abandoned(run),
            Message::Load { model, reply } => {
                self.models.process(&model).pardon();
                let _ = reply.send(self.load(&model));
            }
            Message::Unload { model, reply } => {
                let _ = reply.send(self.unload(&model));
            }
            Message::Status(reply) => {
                let inbox = self.inbox.clone();
                self.models.scan_apart(move |files| {
                    let _ = inbox.send(Message::Scanned { files, reply });
                });
            }
            Message::Scanned { files, reply } => {
                self.models.found(files);
                let models = self.models.list(&self.config, |model| self.scheduler.load_of(model));
                let default = self.config.default_model.clone().map(|model| (Modality::Text, model));
                let _ = reply.send(NodeStatus { default_models: default.into_iter().collect(), models });
            }
            Message::Report { model, epoch, report } => self.report(&model, epoch, report),
            Message::Exited { model, epoch, how } => self.exited(&model, epoch, &how),
            Message::ShutDown => {}
        }
    }

    fn submit(&mut self, request: NodeRun) -> Result<Arc<RunLog>, ApiError> {
        let file = self.models.file(&request.model)?;
        let process = self.models.process(&request.model);
        if let Some(reason) = file.problem.as_ref().or(process.error.as_ref()) {
            return Err(load_failed(&request.model, reason));
        }
        if self.logs.contains_key(&request.run) {
            return Err(ApiError::new(ErrorCode::Conflict, "a run with this id is already known"));
        }
        let (run, model) = (request.run, request.model.clone());
        let effects = self.scheduler.submit(run, &model).map_err(|refusal| refused(&model, &refusal))?;
        let log = RunLog::new(run);
        if !request.detached {
            self.watch_readers(&log);
        }
        self.logs.insert(run, Arc::clone(&log));
        self.runs.insert(run, ActiveRun { log: Arc::clone(&log), request });
        self.apply(effects);
        Ok(log)
    }

    /// A run that nobody has read for the grace time is stopped.
    fn watch_readers(&self, log: &Arc<RunLog>) {
        let (abandoned, run) = (log.abandoned(), log.run());
        let (inbox, grace, log) = (self.inbox.clone(), self.config.orphan_grace, Arc::downgrade(log));
        tokio::spawn(async move {
            while log.upgrade().is_some_and(|log| log.ended_at().is_none()) {
                if tokio::time::timeout(TICK, abandoned.notified()).await.is_ok() {
                    tokio::time::sleep(grace).await;
                    let _ = inbox.send(Message::Abandoned { run });
                }
            }
        });
    }

    fn cancel_if_abandoned(&mut self, run: RunId) {
        if self.runs.get(&run).is_some_and(|run| run.log.readers() == 0) {
            tracing::info!(%run, "nobody reads the run any more; it is stopped");
            self.cancel(run);
        }
    }

    fn cancel(&mut self, run: RunId) {
        let effects = self.scheduler.cancel(run);
        self.apply(effects);
    }

    fn load(&mut self, model: &str) -> Result<(), ApiError> {
        let file = self.models.file(model)?;
        if let Some(reason) = &file.problem {
            return Err(load_failed(model, reason));
        }
        let effects = self.scheduler.load(model).map_err(|refusal| refused(model, &refusal))?;
        self.apply(effects);
        Ok(())
    }

    fn unload(&mut self, model: &str) -> Result<(), ApiError> {
        self.models.file(model)?;
        let effects = self.scheduler.unload(model).map_err(|refusal| refused(model, &refusal))?;
        self.apply(effects);
        Ok(())
    }

    fn apply(&mut self, effects: Vec<Effect>) {
        for effect in effects {
            match effect {
                Effect::Start(model) => self.start(&model),
                Effect::Stop(model) => {
                    let process = self.models.process(&model);
                    process.stopping = true;
                    // Dropping the worker kills it; its end comes back as `Exited`.
                    if process.worker.take().is_none() {
                        let effects = self.scheduler.gone(&model);
                        self.apply(effects);
                    }
                }
                Effect::Dispatch(run) => self.dispatch(run),
                Effect::Position(run, position) => self.push(run, RunEventBody::Queued { position }),
                Effect::Abort(run) => self.tell_worker(run, Command::Cancel { run }),
                Effect::Dropped(run) => self.end(run, RunEventBody::Cancelled),
                Effect::Unservable(run) => {
                    let model = self.runs.get(&run).map(|r| r.request.model.clone()).unwrap_or_default();
                    let reason = self.models.process(&model).error.clone().unwrap_or_default();
                    self.end(run, RunEventBody::Error { error: load_failed(&model, &reason) });
                }
            }
        }
    }

    fn start(&mut self, model: &str) {
        self.epoch += 1;
        let epoch = self.epoch;
        let spawned = self.models.file(model).map_err(|error| error.message).and_then(|file| {
            let most = self.config.context_length;
            let spec = LoadSpec {
                path: file.path,
                context_length: file.context_length.map_or(most, |n| n.min(most)).max(1),
                slots: u32::try_from(self.config.limits.slots).unwrap_or(1),
                threads: self.config.threads,
                gpu_layers: self.config.gpu_layers,
            };
            Worker::spawn(&self.config.executable, model, spec, epoch, self.inbox.clone())
                .map_err(|error| format!("a worker can't be started: {error}"))
        });
        let process = self.models.process(model);
        match spawned {
            Ok(worker) => {
                tracing::info!(model, pid = worker.pid, "a worker loads the model");
                process.worker = Some(worker);
                process.loading = Some((Instant::now(), 0.0));
                process.heard = Some(Instant::now());
                process.stopping = false;
            }
            Err(reason) => self.give_up(model, reason),
        }
    }

    fn dispatch(&mut self, run: RunId) {
        let Some(active) = self.runs.get(&run) else { return };
        let Task::Text(task) = active.request.task.clone() else { return };
        self.tell_worker(
            run,
            Command::Generate(Generate { run, messages: task.messages, sampling: task.sampling }),
        );
    }

    fn tell_worker(&mut self, run: RunId, command: Command) {
        let Some(model) = self.runs.get(&run).map(|active| active.request.model.clone()) else { return };
        let process = self.models.process(&model);
        process.heard = Some(Instant::now());
        if let Some(worker) = &process.worker {
            worker.send(command);
        }
    }

    fn report(&mut self, model: &str, epoch: u64, report: Report) {
        let Some(process) = self.models.current(model, epoch) else { return };
        process.heard = Some(Instant::now());
        match report {
            Report::Alive => {}
            Report::Progress { progress } => {
                if let Some((_, now)) = &mut process.loading {
                    *now = progress;
                }
                self.tell_waiting(model, &RunEventBody::Loading { progress });
            }
            Report::Ready => {
                let took = process.loading.take().map(|(since, _)| since.elapsed());
                process.loaded_at = Some(Timestamp::now());
                process.error = None;
                tracing::info!(model, seconds = took.map(|t| t.as_secs_f64()), "the model is loaded");
                metrics::histogram!("hearth_model_load_seconds").record(took.unwrap_or_default());
                let effects = self.scheduler.ready(model);
                self.apply(effects);
            }
            Report::LoadFailed { reason } => self.give_up(model, reason),
            Report::Started { run, prompt_tokens } => self.push(run, RunEventBody::Started { prompt_tokens }),
            Report::Delta { run, text } => self.push(run, RunEventBody::text(text)),
            Report::Finished { run, reason, usage } => {
                process.last_used_at = Some(Timestamp::now());
                self.push(run, RunEventBody::Usage { usage });
                let cancelled = reason == FinishReason::Cancelled;
                let done = RunEventBody::Done { finish_reason: reason };
                self.finished(run, if cancelled { RunEventBody::Cancelled } else { done });
            }
            Report::Failed { run, error } => self.finished(run, RunEventBody::Error { error }),
        }
    }

    fn finished(&mut self, run: RunId, last: RunEventBody) {
        self.end(run, last);
        let effects = self.scheduler.finished(run);
        self.apply(effects);
    }

    /// A model can't be loaded: its runs are told why.
    fn give_up(&mut self, model: &str, reason: String) {
        tracing::error!(model, reason, "the model can't be loaded");
        let process = self.models.process(model);
        process.error = Some(reason);
        process.worker = None;
        process.loading = None;
        let effects = self.scheduler.unloadable(model);
        self.apply(effects);
    }

    fn exited(&mut self, model: &str, epoch: u64, how: &str) {
        let process = self.models.process(model);
        if process.stopping && process.worker.is_none() {
            tracing::info!(model, "the model is unloaded");
            process.stopping = false;
            process.loading = None;
            let effects = self.scheduler.gone(model);
            return self.apply(effects);
        }
        if process.worker.as_ref().is_none_or(|worker| worker.epoch != epoch) {
            return;
        }
        metrics::counter!("hearth_worker_crashes_total").increment(1);
        tracing::error!(model, how, "a worker crashed");
        let loading = process.loading.take().is_some();
        process.worker = None;
        let quarantined = process.crashed(how);
        let in_slots =
            |active: &&ActiveRun| active.request.model == model && self.scheduler.is_active(active.log.run());
        let runs: Vec<RunId> = self.runs.values().filter(in_slots).map(|active| active.log.run()).collect();
        if loading {
            // A file that kills its worker while it is read would do so again.
            return self.give_up(model, how.to_owned());
        }
        let message =
            format!("the model's process failed in the middle of the run: {how}; send the request again");
        for run in runs {
            let error = ApiError::new(ErrorCode::ProviderError, message.clone());
            self.end(run, RunEventBody::Error { error });
        }
        let effects = if quarantined { self.scheduler.unloadable(model) } else { self.scheduler.gone(model) };
        self.apply(effects);
    }

    fn push(&self, run: RunId, body: RunEventBody) {
        if let Some(active) = self.runs.get(&run) {
            active.log.push(body);
        }
    }

    fn end(&mut self, run: RunId, last: RunEventBody) {
        if let Some(active) = self.runs.remove(&run) {
            active.log.push(last);
        }
    }

    /// Tells the runs that wait for `model`.
    fn tell_waiting(&self, model: &str, body: &RunEventBody) {
        for active in self.runs.values().filter(|active| active.request.model == model) {
            active.log.push(body.clone());
        }
    }

    fn check_deadlines(&mut self) {
        let (load, stall) = (self.config.load_timeout, self.config.stall_timeout);
        let scheduler = &self.scheduler;
        let mut late = Vec::new();
        for (model, process) in self.models.processes() {
            let busy = scheduler.load_of(model).0 > 0;
            if process.loading.is_some_and(|(since, _)| since.elapsed() > load) {
                late.push((model.clone(), format!("the load took longer than {} s", load.as_secs())));
            } else if busy
                && process.loading.is_none()
                && process.heard.is_some_and(|at| at.elapsed() > stall)
            {
                late.push((model.clone(), format!("it said nothing for {} s", stall.as_secs())));
            }
        }
        for (model, how) in late {
            let epoch = self.models.process(&model).worker.as_ref().map_or(0, |worker| worker.epoch);
            // `exited` drops the worker, which kills the process.
            self.exited(&model, epoch, &how);
        }
        let keep = self.config.keep_runs;
        self.logs.retain(|_, log| log.ended_at().is_none_or(|at| at.elapsed() < keep));
    }
}
