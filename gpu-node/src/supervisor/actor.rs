//! The task that owns the node's state.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use hearth_domain::{Modality, RunId};
use hearth_wire::{
    ApiError, RunEventBody,
    node::{NodeRemoved, NodeRun, NodeStatus},
};
use tokio::sync::{mpsc, oneshot};

use super::{
    RunLog,
    backends::Backends,
    metrics,
    models::{Files, Models},
    refusal::{ending, load_failed, refused, unfit},
    runs::Runs,
};
use crate::{
    backends::Selection,
    catalog::watch::Watch,
    config::NodeConfig,
    frames::{Command, Report},
    scheduler::{Effect, Scheduler},
    storage::Keeper,
};

/// How often deadlines are looked at.
const TICK: Duration = Duration::from_secs(1);

type Reply<T> = oneshot::Sender<T>;

/// What the actor is told.
#[derive(Debug)]
pub(super) enum Message {
    Submit {
        run: Box<NodeRun>,
        reply: Reply<Result<Arc<RunLog>, ApiError>>,
    },
    Log {
        run: RunId,
        reply: Reply<Option<Arc<RunLog>>>,
    },
    Cancel {
        run: RunId,
        reply: Reply<bool>,
    },
    Abandoned {
        run: RunId,
    },
    Load {
        model: String,
        reply: Reply<Result<(), ApiError>>,
    },
    Unload {
        model: String,
        reply: Reply<Result<(), ApiError>>,
    },
    Remove {
        model: String,
        reply: Reply<Result<NodeRemoved, ApiError>>,
    },
    Status(Reply<NodeStatus>),
    /// The model folder was looked at again; then the message that asked for it is taken.
    Scanned {
        files: Files,
        then: Option<Box<Message>>,
    },
    Report {
        model: String,
        epoch: u64,
        report: Report,
    },
    Exited {
        model: String,
        epoch: u64,
        how: String,
        /// The signal that ended it.
        signal: Option<i32>,
    },
    BackendsSelected(Box<Selection>),
    ShutDown,
}

pub(super) struct Actor {
    pub(super) config: NodeConfig,
    pub(super) models: Models,
    pub(super) scheduler: Scheduler,
    pub(super) runs: Runs,
    pub(super) inbox: mpsc::UnboundedSender<Message>,
    pub(super) epoch: u64,
    pub(super) backends: Backends,
    pub(super) keeper: Keeper,
    /// When the storage policy was last applied.
    pub(super) storage_kept: Option<Instant>,
    started: Instant,
}

impl Actor {
    pub(super) fn new(mut config: NodeConfig, inbox: mpsc::UnboundedSender<Message>) -> Self {
        let models = Models::new(&config);
        let memory = config.limits.memory_bytes.or_else(super::models::memory_for_models);
        config.limits.memory_bytes = memory;
        let (scheduler, started) = (Scheduler::new(config.limits), Instant::now());
        let keeper = Keeper::new(&config.models, config.storage);
        let (runs, epoch, storage_kept) = (Runs::default(), 0, None);
        let backends = Backends::new(config.backends.clone());
        Self { config, models, scheduler, runs, inbox, epoch, backends, keeper, storage_kept, started }
    }

    pub(super) async fn run(mut self, mut messages: mpsc::UnboundedReceiver<Message>) {
        let _watch = self.watch_folder();
        self.select_backends(false);
        self.load_defaults();
        let mut ticks = tokio::time::interval(TICK);
        ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            let deadline = self.scheduler.next_deadline().map(|at| self.started + at);
            tokio::select! {
                message = messages.recv() => match message {
                    Some(Message::ShutDown) | None => break,
                    Some(message) => self.take(message),
                },
                _ = ticks.tick() => self.tick(),
                () = sleep_until(deadline) => self.tick(),
            }
        }
        self.runs.end_all(&ending());
        self.let_workers_go(&mut messages).await;
        let keeper = self.keeper;
        let _ = tokio::task::spawn_blocking(move || keeper.save()).await;
    }

    /// The time, as the scheduler counts it.
    pub(super) fn now(&self) -> Duration {
        self.started.elapsed()
    }

    /// Has the folder scanned when it changes.
    fn watch_folder(&self) -> Option<Watch> {
        let started = Watch::start(&self.config.models, &self.config.extra_models);
        let (watch, mut changes) = started
            .inspect_err(
                |error| tracing::warn!(%error, "the model folder isn't watched; it is read when asked for"),
            )
            .ok()?;
        let (inbox, catalog) = (self.inbox.clone(), self.models.catalog());
        tokio::spawn(async move {
            while changes.changed().await.is_ok() {
                let (inbox, catalog) = (inbox.clone(), Arc::clone(&catalog));
                let scan = move || Message::Scanned { files: super::models::scan(&catalog), then: None };
                let Ok(found) = tokio::task::spawn_blocking(scan).await else { return };
                if inbox.send(found).is_err() {
                    return;
                }
            }
        });
        Some(watch)
    }

    fn load_defaults(&mut self) {
        // The one that talks first: it is what a person waits for.
        let order = [Modality::Text, Modality::Embedding, Modality::Image, Modality::ThreeD];
        let defaults: Vec<String> =
            order.iter().filter_map(|modality| self.config.default_models.get(modality).cloned()).collect();
        for model in defaults {
            let now = self.now();
            let effects = self.scheduler.pin(now, &model);
            self.apply(effects);
            if let Err(error) = self.load(&model) {
                tracing::error!(model, %error, "the default model can't be loaded");
                self.models.process(&model).error = Some(error.message);
            }
        }
    }

    fn take(&mut self, message: Message) {
        match message {
            Message::Submit { run, reply } => match self.models.knows(&run.model) {
                true => {
                    let _ = reply.send(self.submit(*run));
                }
                false => self.scan_then(Message::Submit { run, reply }),
            },
            Message::Log { run, reply } => {
                let _ = reply.send(self.runs.log(run));
            }
            Message::Cancel { run, reply } => {
                let _ = reply.send(self.runs.get(run).is_some());
                self.cancel(run);
            }
            Message::Abandoned { run } => {
                if self.runs.get(run).is_some_and(|active| active.log.readers() == 0) {
                    tracing::info!(%run, "nobody reads the run any more; it is stopped");
                    self.cancel(run);
                }
            }
            Message::Load { model, reply } if self.models.knows(&model) => {
                self.models.process(&model).pardon();
                let _ = reply.send(self.load(&model));
            }
            Message::Unload { model, reply } if self.models.knows(&model) => {
                let _ = reply.send(self.unload(&model));
            }
            Message::Remove { model, reply } if self.models.knows(&model) => self.remove(&model, reply),
            message @ (Message::Load { .. }
            | Message::Unload { .. }
            | Message::Remove { .. }
            | Message::Status(_)) => self.scan_then(message),
            Message::Scanned { files, then } => {
                self.models.found(files);
                self.answer(then);
            }
            Message::Report { model, epoch, report } => self.report(&model, epoch, report),
            Message::Exited { model, epoch, how, signal } => self.exited(&model, epoch, &how, signal),
            Message::BackendsSelected(selection) => self.backends_selected(*selection),
            Message::ShutDown => {}
        }
    }

    /// Looks at the folder off this task, and then answers.
    fn scan_then(&self, then: Message) {
        let (inbox, catalog) = (self.inbox.clone(), self.models.catalog());
        tokio::task::spawn_blocking(move || {
            let files = super::models::scan(&catalog);
            let _ = inbox.send(Message::Scanned { files, then: Some(Box::new(then)) });
        });
    }

    /// Answers what had to wait for a scan: what isn't known now is not there.
    fn answer(&mut self, waiting: Option<Box<Message>>) {
        match waiting.map(|message| *message) {
            Some(Message::Submit { run, reply }) => drop(reply.send(self.submit(*run))),
            Some(Message::Load { model, reply }) => drop(reply.send(self.load(&model))),
            Some(Message::Unload { model, reply }) => drop(reply.send(self.unload(&model))),
            Some(Message::Remove { model, reply }) => self.remove(&model, reply),
            Some(Message::Status(reply)) => {
                let models = self.models.list(&self.config, |model| self.scheduler.load_of(model));
                let default_models = self.config.default_models.clone();
                let storage = Some(self.storage());
                let backends = self.backends.list();
                let _ = reply.send(NodeStatus { default_models, models, storage, backends });
            }
            _ => {}
        }
    }

    fn submit(&mut self, request: NodeRun) -> Result<Arc<RunLog>, ApiError> {
        let model = request.model.clone();
        let file = self.models.file(&model)?;
        let process = self.models.process(&model);
        if let Some(reason) = file.problem.as_ref().or(process.error.as_ref()) {
            return Err(load_failed(&model, reason));
        }
        self.runs.check_new(request.run)?;
        request.task.check().map_err(|error| unfit(&error))?;
        let (run, submission) = (request.run, super::runs::submission(&request));
        self.foresee(&model);
        let effects = self
            .scheduler
            .submit(self.now(), submission)
            .inspect_err(|_| metrics::dropped("refused"))
            .map_err(|refusal| refused(&model, &refusal))?;
        let log = self.runs.begin(request, file.modality);
        if !self.runs.get(run).is_some_and(|active| active.request.detached) {
            self.watch_readers(&log);
        }
        self.apply(effects);
        Ok(log)
    }

    /// A run that nobody has read for the grace time is stopped.
    fn watch_readers(&self, log: &Arc<RunLog>) {
        let (abandoned, run) = (log.abandoned(), log.run());
        let (inbox, grace, log) = (self.inbox.clone(), self.config.orphan_grace, Arc::downgrade(log));
        tokio::spawn(async move {
            while log.upgrade().is_some_and(|log| !log.has_ended()) {
                if tokio::time::timeout(TICK, abandoned.notified()).await.is_ok() {
                    tokio::time::sleep(grace).await;
                    let _ = inbox.send(Message::Abandoned { run });
                }
            }
        });
    }

    pub(super) fn cancel(&mut self, run: RunId) {
        let effects = self.scheduler.cancel(self.now(), run);
        self.apply(effects);
    }

    fn load(&mut self, model: &str) -> Result<(), ApiError> {
        let file = self.models.file(model)?;
        if let Some(reason) = &file.problem {
            return Err(load_failed(model, reason));
        }
        self.foresee(model);
        let effects = self.scheduler.load(self.now(), model).map_err(|refusal| refused(model, &refusal))?;
        self.apply(effects);
        Ok(())
    }

    pub(super) fn unload(&mut self, model: &str) -> Result<(), ApiError> {
        self.models.file(model)?;
        let effects = self.scheduler.unload(self.now(), model).map_err(|refusal| refused(model, &refusal))?;
        self.apply(effects);
        Ok(())
    }

    /// Tells the scheduler what memory a model will take: as measured before, else as predicted.
    fn foresee(&mut self, model: &str) {
        if let Some(bytes) = self.models.need(model, &self.config) {
            let effects = self.scheduler.set_need(self.now(), model, bytes);
            self.apply(effects);
        }
    }

    pub(super) fn apply(&mut self, effects: Vec<Effect>) {
        for effect in effects {
            match effect {
                Effect::Start(model) => self.start(&model),
                Effect::Stop(model, reason) => self.stop(&model, reason),
                Effect::Dispatch(run) => {
                    self.keeper.note_use(&self.runs.model_of(run));
                    if let Some(command) = self.runs.dispatched(run) {
                        self.tell_worker(run, command);
                    }
                }
                Effect::Position(run, position) => self.runs.push(run, RunEventBody::Queued { position }),
                Effect::Abort(run) => self.tell_worker(run, Command::Cancel { run }),
                Effect::Dropped(run) => self.runs.dropped(run),
                Effect::Unservable(run) => {
                    let model = self.runs.model_of(run);
                    let reason = self.models.process(&model).error.clone().unwrap_or_default();
                    self.runs.end(run, RunEventBody::Error { error: load_failed(&model, &reason) });
                }
                Effect::Refused(run, refusal) => {
                    let error = refused(&self.runs.model_of(run), &refusal);
                    self.runs.end(run, RunEventBody::Error { error });
                }
            }
        }
        metrics::queue(self.scheduler.queued());
    }

    pub(super) fn finished(&mut self, run: RunId, last: RunEventBody) {
        self.runs.end(run, last);
        let effects = self.scheduler.finished(self.now(), run);
        self.apply(effects);
    }

    fn tick(&mut self) {
        for run in self.runs.overdue(self.config.queue_timeout) {
            self.cancel(run);
        }
        let effects = self.scheduler.tick(self.now());
        self.apply(effects);
        self.check_workers();
        self.runs.forget(self.config.keep_runs);
        self.keep_storage();
    }
}

async fn sleep_until(deadline: Option<Instant>) {
    match deadline {
        Some(deadline) => tokio::time::sleep_until(deadline.into()).await,
        None => std::future::pending().await,
    }
}
