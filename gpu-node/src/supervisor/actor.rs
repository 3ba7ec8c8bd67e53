//! The task that owns the node's state.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use hearth_domain::{Modality, RunId};
use hearth_telemetry::traces::Span;
use hearth_wire::{
    ApiError, RunEventBody,
    node::{NodeMemory, NodeRun, NodeStatus},
};
use tokio::sync::mpsc;

use super::{
    api_errors::{invalid_task, load_failed, other_modality, refused, shutting_down},
    backends::Backends,
    message::Message,
    metrics, model_settings,
    models::{self, Models},
    run_log::RunLog,
    runs::{self, Runs},
    token_counts::TokenCounts,
};
use crate::{
    config::NodeConfig,
    frames::Command,
    model_files::watch::FolderWatcher,
    scheduler::{Effect, Limits, Scheduler},
    storage::StorageManager,
};

/// Time between two checks of deadlines.
const TICK_INTERVAL: Duration = Duration::from_secs(1);

pub(super) struct Actor {
    pub(super) config: NodeConfig,
    pub(super) models: Models,
    pub(super) scheduler: Scheduler,
    pub(super) runs: Runs,
    pub(super) inbox: mpsc::Sender<Message>,
    /// The number of the last worker that was started.
    pub(super) epoch: u64,
    pub(super) backends: Backends,
    pub(super) storage: StorageManager,
    pub(super) storage_policy_applied_at: Option<Instant>,
    pub(super) counts: TokenCounts,
    started: Instant,
}

impl Actor {
    pub(super) fn new(mut config: NodeConfig, inbox: mpsc::Sender<Message>) -> Self {
        model_settings::restore(&mut config);
        let models = Models::new(&config);
        let memory = config.settings.memory.or_else(models::memory_for_models);
        config.settings.memory = memory;
        let (scheduler, started) = (Scheduler::new(Limits::from(&config.settings)), Instant::now());
        let storage = StorageManager::new(&config.models, config.storage);
        let backends = Backends::new(config.backends.clone());
        Self {
            config,
            models,
            scheduler,
            runs: Runs::default(),
            inbox,
            epoch: 0,
            backends,
            storage,
            storage_policy_applied_at: None,
            counts: TokenCounts::default(),
            started,
        }
    }

    pub(super) async fn run(mut self, mut messages: mpsc::Receiver<Message>) {
        let _watcher = self.watch_folder();
        self.select_backends(false);
        self.load_defaults();
        self.apply_model_settings();
        let mut ticks = tokio::time::interval(TICK_INTERVAL);
        ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            let deadline = self.scheduler.next_deadline().map(|at| self.started + at);
            tokio::select! {
                message = messages.recv() => match message {
                    Some(Message::ShutDown) | None => break,
                    Some(message) => self.handle(message),
                },
                _ = ticks.tick() => self.tick(),
                () = sleep_until(deadline) => self.tick(),
            }
        }
        self.runs.end_all(&shutting_down());
        self.shut_down_workers(&mut messages).await;
        let storage = self.storage;
        let _ = tokio::task::spawn_blocking(move || storage.save()).await;
    }

    /// The scheduler's time: since the start of the node.
    pub(super) fn now(&self) -> Duration {
        self.started.elapsed()
    }

    /// Starts to scan the model folder at each change of it.
    fn watch_folder(&self) -> Option<FolderWatcher> {
        let started = FolderWatcher::start(&self.config.models, &self.config.extra_models);
        let (watcher, mut changes) = started
            .inspect_err(|error| {
                tracing::warn!(%error, "the model folder isn't watched; it is scanned when a request needs it");
            })
            .ok()?;
        let (inbox, scanner) = (self.inbox.clone(), self.models.scanner());
        tokio::spawn(async move {
            while changes.changed().await.is_ok() {
                let (inbox, scanner) = (inbox.clone(), Arc::clone(&scanner));
                let scan = move || Message::Scanned { files: models::scan(&scanner), then: None };
                let Ok(scanned) = tokio::task::spawn_blocking(scan).await else { return };
                if inbox.send(scanned).await.is_err() {
                    return;
                }
            }
        });
        Some(watcher)
    }

    fn load_defaults(&mut self) {
        // The chat model first, since a person waits for it.
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

    fn handle(&mut self, message: Message) {
        match message {
            Message::Submit { run, span, reply } => match self.models.has_file(&run.model) {
                true => {
                    let _ = reply.send(self.submit(*run, span));
                }
                false => self.scan_then(Message::Submit { run, span, reply }),
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
                    tracing::info!(%run, "the run has no reader; it is stopped");
                    self.cancel(run);
                }
            }
            Message::Load { model, reply } if self.models.has_file(&model) => {
                self.models.process(&model).clear_failures();
                let _ = reply.send(self.load(&model));
            }
            Message::Count { body, reply } if self.models.has_file(&body.model) => {
                self.count_tokens(body, reply);
            }
            Message::Unload { model, reply } if self.models.has_file(&model) => {
                let _ = reply.send(self.unload(&model));
            }
            Message::Remove { model, reply } if self.models.has_file(&model) => self.remove(&model, reply),
            Message::Configure { settings, reply } => self.configure(settings, reply),
            message @ (Message::Load { .. }
            | Message::Count { .. }
            | Message::Unload { .. }
            | Message::Remove { .. }
            | Message::Status(_)) => self.scan_then(message),
            Message::Scanned { files, then } => {
                self.models.set_files(files);
                self.handle_after_scan(then);
            }
            Message::Report { model, epoch, report } => self.report(&model, epoch, report),
            Message::Exited { model, epoch, reason, signal } => self.exited(&model, epoch, &reason, signal),
            Message::BackendsSelected(selection) => self.backends_selected(*selection),
            Message::ShutDown => {}
        }
    }

    /// Scans the model folder on another thread, and then handles the message.
    fn scan_then(&self, then: Message) {
        let (inbox, scanner) = (self.inbox.clone(), self.models.scanner());
        tokio::task::spawn_blocking(move || {
            let files = models::scan(&scanner);
            let _ = inbox.blocking_send(Message::Scanned { files, then: Some(Box::new(then)) });
        });
    }

    /// Handles a message that waited for a scan: a model without a file doesn't exist.
    fn handle_after_scan(&mut self, message: Option<Box<Message>>) {
        match message.map(|message| *message) {
            Some(Message::Submit { run, span, reply }) => drop(reply.send(self.submit(*run, span))),
            Some(Message::Load { model, reply }) => drop(reply.send(self.load(&model))),
            Some(Message::Count { body, reply }) => self.count_tokens(body, reply),
            Some(Message::Unload { model, reply }) => drop(reply.send(self.unload(&model))),
            Some(Message::Remove { model, reply }) => self.remove(&model, reply),
            Some(Message::Status(reply)) => {
                let models = self.models.list(&self.config, |model| self.scheduler.run_counts(model));
                let default_models = self.config.default_models.clone();
                let storage = Some(self.storage_status());
                let backends = self.backends.list();
                let memory = self.scheduler.memory_in_use();
                let memory = memory.map(|(limit_bytes, used_bytes)| NodeMemory { limit_bytes, used_bytes });
                let model_settings = self.config.model_settings.clone();
                let _ = reply.send(NodeStatus {
                    default_models,
                    models,
                    storage,
                    memory,
                    backends,
                    model_settings,
                    ..NodeStatus::default()
                });
            }
            _ => {}
        }
    }

    fn submit(&mut self, request: NodeRun, mut span: Span) -> Result<Arc<RunLog>, ApiError> {
        match self.schedule(&request) {
            Ok((modality, effects)) => Ok(self.start_run(request, modality, effects, span)),
            Err(error) => {
                span.fail(error.code.as_str());
                Err(error)
            }
        }
    }

    /// Puts a run into the scheduler's queue; returns its modality and the scheduler's effects.
    fn schedule(&mut self, request: &NodeRun) -> Result<(Modality, Vec<Effect>), ApiError> {
        let model = request.model.clone();
        let file = self.models.file(&model)?;
        let process = self.models.process(&model);
        if let Some(reason) = self.config.problem_of(&file).as_ref().or(process.error.as_ref()) {
            return Err(load_failed(&model, reason));
        }
        if request.task.modality() != file.description.modality {
            return Err(other_modality(&model, file.description.modality));
        }
        self.runs.check_new(request.run)?;
        request.task.check().map_err(|error| invalid_task(&error))?;
        let submission = runs::submission(request);
        self.update_memory_estimate(&model);
        let effects = self
            .scheduler
            .submit(self.now(), submission)
            .inspect_err(|_| metrics::run_dropped("refused"))
            .map_err(|refusal| refused(&model, &refusal))?;
        Ok((file.description.modality, effects))
    }

    fn start_run(
        &mut self,
        request: NodeRun,
        modality: Modality,
        effects: Vec<Effect>,
        span: Span,
    ) -> Arc<RunLog> {
        let is_detached = request.detached;
        let log = self.runs.start(request, modality, span);
        if !is_detached {
            self.watch_readers(&log);
        }
        self.apply(effects);
        log
    }

    /// Stops the run when it has had no reader for the grace time.
    fn watch_readers(&self, log: &Arc<RunLog>) {
        let (abandoned, run) = (log.abandoned(), log.run());
        let (inbox, grace, log) = (self.inbox.clone(), self.config.orphan_grace, Arc::downgrade(log));
        tokio::spawn(async move {
            while log.upgrade().is_some_and(|log| !log.has_ended()) {
                if tokio::time::timeout(TICK_INTERVAL, abandoned.notified()).await.is_ok() {
                    tokio::time::sleep(grace).await;
                    let _ = inbox.send(Message::Abandoned { run }).await;
                }
            }
        });
    }

    pub(super) fn cancel(&mut self, run: RunId) {
        let effects = self.scheduler.cancel(self.now(), run);
        self.apply(effects);
    }

    pub(super) fn load(&mut self, model: &str) -> Result<(), ApiError> {
        let file = self.models.file(model)?;
        if let Some(reason) = self.config.problem_of(&file) {
            return Err(load_failed(model, &reason));
        }
        self.update_memory_estimate(model);
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

    /// Updates the scheduler's estimate of a model's memory: as measured before, else as predicted.
    fn update_memory_estimate(&mut self, model: &str) {
        if let Some(bytes) = self.models.memory_estimate(model, &self.config) {
            let effects = self.scheduler.set_memory_need(self.now(), model, bytes);
            self.apply(effects);
        }
    }

    pub(super) fn apply(&mut self, effects: Vec<Effect>) {
        for effect in effects {
            match effect {
                Effect::Start(model) => self.start(&model),
                Effect::Stop(model, reason) => self.stop(&model, reason),
                Effect::Dispatch(run) => {
                    self.storage.record_use(&self.runs.model_of(run));
                    if let Some(command) = self.runs.dispatch(run) {
                        self.send_to_worker(run, command);
                    }
                }
                Effect::Position(run, position) => self.runs.push(run, RunEventBody::Queued { position }),
                Effect::Abort(run) => self.send_to_worker(run, Command::Cancel { run }),
                Effect::Dropped(run) => self.runs.end_dropped(run),
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
        metrics::queue_depth(self.scheduler.queued_count());
    }

    pub(super) fn end_run(&mut self, run: RunId, last: RunEventBody) {
        self.runs.end(run, last);
        let effects = self.scheduler.run_finished(self.now(), run);
        self.apply(effects);
    }

    fn tick(&mut self) {
        for run in self.runs.expire_waiting(self.config.settings.queue_timeout()) {
            self.cancel(run);
        }
        let effects = self.scheduler.tick(self.now());
        self.apply(effects);
        self.kill_hung_workers();
        self.runs.remove_expired_logs(self.config.keep_runs);
        self.apply_storage_policy();
    }
}

async fn sleep_until(deadline: Option<Instant>) {
    match deadline {
        Some(deadline) => tokio::time::sleep_until(deadline.into()).await,
        None => std::future::pending().await,
    }
}
