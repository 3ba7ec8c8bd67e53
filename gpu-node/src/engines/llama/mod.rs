//! The llama.cpp engine: the inside of a worker process.
//!
//! Two sides share the model. The I/O side reads commands from the socket that is the process'
//! standard input, has prompts prepared on threads beside it, and writes reports. The [`steps`] side is
//! one OS thread that owns context, batch and samplers, and never waits for the socket. When the socket
//! closes the supervisor is gone, and the process ends, whatever the other side is doing.

mod answer;
mod attempt;
pub(crate) mod backend;
mod cache;
mod candidates;
mod context;
mod embed;
mod fit;
mod grammar;
mod load;
mod prefix_files;
mod prefixes;
mod preparation;
mod progress;
mod prompt;
mod sampler;
mod shield;
mod slot;
mod special;
mod steps;
mod stop;
mod template;
mod template_probe;
mod text;
mod thoughts;
mod thread;
mod tokenizer;
mod tools;
mod turns;
mod vocabulary;

use std::{
    collections::HashMap,
    os::{fd::AsFd as _, unix::net::UnixStream as StdUnixStream},
    path::PathBuf,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
        mpsc,
    },
    time::Duration,
};

use hearth_domain::{FinishReason, RunId, Usage};
use hearth_wire::ApiError;
use tokio::{net::UnixStream, sync::mpsc as async_mpsc};

use crate::frames::{self, Command, FrameError, FrameReader, FrameWriter, Report, Timings};
use preparation::Preparation;
use prompt::Preparer;
use thread::Work;

/// How often the supervisor is told that runs are being prepared.
const PREPARING_INTERVAL: Duration = Duration::from_secs(1);

/// How long a worker that isn't needed any more waits for its last step, and for what it writes then.
const LAST_STEP: Duration = Duration::from_secs(10);

/// The folders that backends and their libraries are loaded from.
pub(crate) fn backend_folders() -> Vec<PathBuf> {
    let beside = std::env::current_exe().ok().and_then(|binary| Some(binary.parent()?.to_owned()));
    #[cfg(feature = "dynamic-backends")]
    let built = llama_cpp_sys_2::BACKENDS_DIR.map(PathBuf::from);
    #[cfg(not(feature = "dynamic-backends"))]
    let built: Option<PathBuf> = None;
    beside.into_iter().chain(built).collect()
}

/// What can end a worker.
#[derive(Debug, thiserror::Error)]
pub enum WorkerError {
    /// Standard input isn't the supervisor's socket.
    #[error("this command is started by the node, with a socket as standard input: {0}")]
    NoSocket(std::io::Error),
    /// The socket failed.
    #[error(transparent)]
    Frame(#[from] FrameError),
    /// The first command wasn't `Load`.
    #[error("the first command must be a load")]
    NoLoad,
}

/// Runs a worker until its supervisor hangs up.
///
/// # Errors
/// If the socket fails, or the supervisor breaks the protocol. A model that can't be loaded is
/// reported to the supervisor, and is no error here.
pub async fn run() -> Result<(), WorkerError> {
    let (mut commands, reports) = frames::split(socket().map_err(WorkerError::NoSocket)?);
    let Some(Command::Load(spec)) = commands.next().await? else {
        return Err(WorkerError::NoLoad);
    };
    let (report, outbox) = async_mpsc::unbounded_channel();
    let writer = tokio::spawn(write(reports, outbox));
    let (work, inbox) = mpsc::channel();
    let (loaded, ready) = tokio::sync::oneshot::channel();
    let (step_reports, inbox) = (report.clone(), (work.clone(), inbox));
    let steps = std::thread::spawn(move || thread::thread_main(&spec, inbox, &step_reports, loaded));
    // The supervisor may hang up while the model is still being read: watch for that too.
    let mut early = Vec::new();
    let preparer = tokio::select! {
        preparer = ready => preparer,
        () = hold(&mut commands, &mut early) => return Ok(()),
    };
    // Without a preparer the load has failed, and was reported so.
    if let Ok(preparer) = preparer {
        let served = Desk::new(preparer, work, report).serve(early, commands).await;
        // Nobody can hand over work any more, so the thread ends after its step. A process that ends in the
        // middle of one pulls llama.cpp's ground from under it.
        let ended = tokio::task::spawn_blocking(move || steps.join());
        let _ = tokio::time::timeout(LAST_STEP, ended).await;
        return served;
    }
    drop(report);
    // Let the last report out before the process ends.
    let _ = writer.await;
    Ok(())
}

/// Keeps commands that come before the model is loaded; returns when the supervisor hangs up.
async fn hold(commands: &mut FrameReader, early: &mut Vec<Command>) {
    while let Ok(Some(command)) = commands.next().await {
        early.push(command);
    }
}

/// The I/O side, once the model is loaded.
struct Desk {
    preparer: Arc<Preparer>,
    /// Runs that are being prepared. One that is cancelled meanwhile leaves.
    preparing: HashMap<RunId, Preparation>,
    /// Counts what preparations do, and how much of it was reported.
    progress: Arc<AtomicU64>,
    reported: u64,
    prepared: async_mpsc::UnboundedSender<Prepared>,
    inbox: async_mpsc::UnboundedReceiver<Prepared>,
    work: mpsc::Sender<Work>,
    report: async_mpsc::UnboundedSender<Report>,
}

type Prepared = (RunId, Result<Work, ApiError>);

impl Desk {
    fn new(
        preparer: Preparer,
        work: mpsc::Sender<Work>,
        report: async_mpsc::UnboundedSender<Report>,
    ) -> Self {
        let (prepared, inbox) = async_mpsc::unbounded_channel();
        let (preparer, preparing, progress) = (Arc::new(preparer), HashMap::new(), Arc::default());
        Self { preparer, preparing, progress, reported: 0, prepared, inbox, work, report }
    }

    /// Serves until the supervisor hangs up.
    async fn serve(mut self, early: Vec<Command>, mut commands: FrameReader) -> Result<(), WorkerError> {
        for command in early {
            self.take(command);
        }
        let mut ticks = tokio::time::interval(PREPARING_INTERVAL);
        ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                command = commands.next() => match command? {
                    Some(command) => self.take(command),
                    None => return Ok(()),
                },
                _ = ticks.tick(), if !self.preparing.is_empty() => self.report_preparing(),
                Some((run, work)) = self.inbox.recv() => self.hand_over(run, work),
            }
        }
    }

    fn take(&mut self, command: Command) {
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
            Command::Run { run, task, whole } => {
                let preparation = Preparation::counted_in(&self.progress);
                self.preparing.insert(run, preparation.clone());
                let (preparer, prepared) = (Arc::clone(&self.preparer), self.prepared.clone());
                // A long prompt, or a large schema, delays nobody else.
                tokio::task::spawn_blocking(move || {
                    let _ = prepared.send((run, preparer.prepare(run, *task, whole, &preparation)));
                });
            }
        }
    }

    fn hand_over(&mut self, run: RunId, work: Result<Work, ApiError>) {
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

    /// Tells the supervisor how many runs are being prepared, if anything of that has gone on.
    fn report_preparing(&mut self) {
        let progress = self.progress.load(Ordering::Relaxed);
        if progress != std::mem::replace(&mut self.reported, progress) {
            let runs = u32::try_from(self.preparing.len()).unwrap_or(u32::MAX);
            let _ = self.report.send(Report::Preparing { runs });
        }
    }

    /// The steps' thread ends only with the process.
    fn send(&self, work: Work) {
        if self.work.send(work).is_err() {
            tracing::error!("the engine's thread is gone");
            std::process::exit(70);
        }
    }
}

impl Drop for Desk {
    /// The engine's thread has a sender of its own, so it must be told that no work comes any more.
    fn drop(&mut self) {
        let _ = self.work.send(Work::Stop);
    }
}

async fn write(mut reports: FrameWriter, mut outbox: async_mpsc::UnboundedReceiver<Report>) {
    let mut batch = Vec::new();
    // A step gives a report for each slot: they go out together.
    while outbox.recv_many(&mut batch, 256).await > 0 {
        for report in batch.drain(..) {
            if reports.feed(&report).await.is_err() {
                return;
            }
        }
        if reports.flush().await.is_err() {
            return;
        }
    }
}

/// The supervisor's socket, which the process was given as its standard input.
fn socket() -> std::io::Result<UnixStream> {
    let stdin = std::io::stdin().as_fd().try_clone_to_owned()?;
    let socket = StdUnixStream::from(stdin);
    socket.peer_addr()?;
    socket.set_nonblocking(true)?;
    UnixStream::from_std(socket)
}

/// An error of the prompt's own making.
fn invalid_prompt(message: impl Into<String>) -> ApiError {
    ApiError::invalid("messages", message)
}
