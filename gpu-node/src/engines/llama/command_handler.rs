//! Handles the supervisor's commands, once the model is loaded.

use std::{
    collections::HashMap,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
        mpsc,
    },
    time::Duration,
};

use hearth_domain::{FinishReason, RunId, Usage};
use hearth_wire::{ApiError, node::NodeTokenCount};
use tokio::sync::mpsc as async_mpsc;

use super::{preparation::Preparation, preparer::Preparer, work::Work};
use crate::frames::{Command, FrameError, FrameReader, Report, Timings};

/// Interval of the reports about runs that are being prepared.
const PREPARING_INTERVAL: Duration = Duration::from_secs(1);

/// Prepared runs that weren't handed to the engine's thread. A preparing thread waits while there are so many.
const PREPARED_MAX_COUNT: usize = 64;

/// The I/O side of a worker: has runs prepared on threads, and hands them to the engine's thread.
pub(super) struct CommandHandler {
    preparer: Arc<Preparer>,
    /// Runs that are being prepared and were not cancelled.
    preparing: HashMap<RunId, Preparation>,
    /// Checkpoints that the preparations have passed.
    progress: Arc<AtomicU64>,
    /// The value of `progress` at the last report.
    reported_progress: u64,
    prepared: async_mpsc::Sender<Prepared>,
    prepared_runs: async_mpsc::Receiver<Prepared>,
    work: mpsc::Sender<Work>,
    report: async_mpsc::UnboundedSender<Report>,
}

/// A run and the result of its preparation.
type Prepared = (RunId, Result<Work, ApiError>);

impl CommandHandler {
    pub(super) fn new(
        preparer: Preparer,
        work: mpsc::Sender<Work>,
        report: async_mpsc::UnboundedSender<Report>,
    ) -> Self {
        let (prepared, prepared_runs) = async_mpsc::channel(PREPARED_MAX_COUNT);
        let (preparer, preparing, progress) = (Arc::new(preparer), HashMap::new(), Arc::default());
        Self { preparer, preparing, progress, reported_progress: 0, prepared, prepared_runs, work, report }
    }

    /// Handles the `early` commands, then `commands` until the supervisor hangs up.
    pub(super) async fn serve(
        mut self,
        early: Vec<Command>,
        mut commands: FrameReader,
    ) -> Result<(), FrameError> {
        for command in early {
            self.handle(command);
        }
        let mut ticks = tokio::time::interval(PREPARING_INTERVAL);
        ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                command = commands.next() => match command? {
                    Some(command) => self.handle(command),
                    None => return Ok(()),
                },
                _ = ticks.tick(), if !self.preparing.is_empty() => self.report_preparing(),
                Some((run, work)) = self.prepared_runs.recv() => self.submit(run, work),
            }
        }
    }

    fn handle(&mut self, command: Command) {
        match command {
            Command::Load(_) => tracing::warn!("a second load was ignored"),
            Command::Cancel { run } if self.preparing.contains_key(&run) => {
                if let Some(preparation) = self.preparing.remove(&run) {
                    preparation.cancel();
                }
                let (reason, usage) = (FinishReason::Cancelled, Usage::default());
                let _ =
                    self.report.send(Report::Finished { run, reason, usage, timings: Timings::default() });
            }
            Command::Cancel { run } => self.send(Work::Cancel(run)),
            Command::Count { request, body } => {
                let (preparer, report) = (Arc::clone(&self.preparer), self.report.clone());
                tokio::task::spawn_blocking(move || {
                    let (count, error) = match preparer.count_tokens(&body) {
                        Ok(count) => (count, None),
                        Err(error) => (NodeTokenCount::default(), Some(error)),
                    };
                    let _ = report.send(Report::Counted { request, count, error });
                });
            }
            Command::Run { run, task, whole } => {
                let preparation = Preparation::with_progress(&self.progress);
                self.preparing.insert(run, preparation.clone());
                let (preparer, prepared) = (Arc::clone(&self.preparer), self.prepared.clone());
                // On a thread, so that a long prompt or a large schema delays no other run.
                tokio::task::spawn_blocking(move || {
                    let _ = prepared.blocking_send((run, preparer.prepare(run, *task, whole, &preparation)));
                });
            }
        }
    }

    /// Sends a prepared run to the engine's thread, unless it was cancelled.
    fn submit(&mut self, run: RunId, work: Result<Work, ApiError>) {
        if self.preparing.remove(&run).is_none() {
            return;
        }
        match work {
            Ok(work) => self.send(work),
            Err(error) => {
                let _ = self.report.send(Report::Failed { run, error });
            }
        }
    }

    /// Reports how many runs are being prepared, if any preparation has progressed since the last report.
    fn report_preparing(&mut self) {
        let progress = self.progress.load(Ordering::Relaxed);
        if progress != std::mem::replace(&mut self.reported_progress, progress) {
            let runs = u32::try_from(self.preparing.len()).unwrap_or(u32::MAX);
            let _ = self.report.send(Report::Preparing { runs });
        }
    }

    /// Sends work to the engine's thread, which ends only with the process.
    fn send(&self, work: Work) {
        if self.work.send(work).is_err() {
            tracing::error!("the engine's thread is gone");
            std::process::exit(70);
        }
    }
}

impl Drop for CommandHandler {
    /// Stops the engine's thread. It has a sender of its own, so its channel never closes by itself.
    fn drop(&mut self) {
        let _ = self.work.send(Work::Stop);
    }
}
