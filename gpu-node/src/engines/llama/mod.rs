//! The llama.cpp engine, which runs inside a worker process.
//!
//! Two sides share the model. The I/O side ([`command_handler`]) reads commands from the socket that is the process'
//! standard input, has prompts prepared on threads, and writes reports. The engine's thread ([`engine_thread`],
//! [`engine_loop`]) owns context, batch and samplers, and never waits for the socket. When the socket closes the
//! supervisor is gone, and the process ends, whatever the engine's thread is doing.
//!
//! The modules depend on each other in one direction, from `mod.rs` down to `vocabulary`. Messages between the two
//! sides ([`work`], [`prepared_run`], [`answer_attempt`]) are below both.

mod answer_attempt;
mod answer_decoder;
mod command_handler;
mod context;
mod embedder;
mod engine_loop;
mod engine_thread;
mod errors;
mod gpu_fit;
mod grammar;
mod grammar_schema;
mod kv_cache;
mod load;
mod prefix_files;
mod prefix_index;
mod preparation;
mod prepared_run;
mod preparer;
mod reasoning;
mod run_progress;
mod sampler;
mod shield;
mod slot;
mod special_tokens;
mod step_planner;
mod stop_texts;
mod template;
mod template_sandbox;
mod text;
mod token_candidates;
mod tokenizer;
mod tools;
mod vocabulary;
mod work;

use std::{
    os::{fd::AsFd as _, unix::net::UnixStream as StdUnixStream},
    path::PathBuf,
    sync::mpsc,
    time::Duration,
};

use tokio::{net::UnixStream, sync::mpsc as async_mpsc};

use crate::frames::{self, Command, FrameError, FrameReader, FrameWriter, Report};
use command_handler::CommandHandler;

/// Time for the engine's thread to finish its step and save its prefixes, when the supervisor has hung up.
const SHUTDOWN_GRACE: Duration = Duration::from_secs(10);

/// The folders that backends and their libraries are loaded from.
pub(crate) fn backend_folders() -> Vec<PathBuf> {
    let binary_folder = std::env::current_exe().ok().and_then(|binary| Some(binary.parent()?.to_owned()));
    #[cfg(feature = "dynamic-backends")]
    let built = llama_cpp_sys_2::BACKENDS_DIR.map(PathBuf::from);
    #[cfg(not(feature = "dynamic-backends"))]
    let built: Option<PathBuf> = None;
    binary_folder.into_iter().chain(built).collect()
}

/// Why a worker ended with an error.
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
/// If the socket fails, or the supervisor breaks the protocol. A failed load is reported to the supervisor, and is no
/// error here.
pub async fn run() -> Result<(), WorkerError> {
    let (mut commands, reports) = frames::split(socket().map_err(WorkerError::NoSocket)?);
    let Some(Command::Load(spec)) = commands.next().await? else {
        return Err(WorkerError::NoLoad);
    };
    let (report, outbox) = async_mpsc::unbounded_channel();
    let writer = tokio::spawn(write_reports(reports, outbox));
    let (work, inbox) = mpsc::channel();
    let (loaded, ready) = tokio::sync::oneshot::channel();
    let (engine_reports, inbox) = (report.clone(), (work.clone(), inbox));
    let engine = std::thread::spawn(move || engine_thread::run(&spec, inbox, &engine_reports, loaded));
    // The supervisor may hang up while the model is still loading.
    let mut early = Vec::new();
    let preparer = tokio::select! {
        preparer = ready => preparer,
        () = collect_early(&mut commands, &mut early) => return Ok(()),
    };
    // Without a preparer the load has failed, and was reported so.
    if let Ok(preparer) = preparer {
        let served = CommandHandler::new(preparer, work, report).serve(early, commands).await;
        // No more work can come, so the thread ends after its step. If the process ended in the middle of a step,
        // llama.cpp's backends would be unloaded under it.
        let ended = tokio::task::spawn_blocking(move || engine.join());
        let _ = tokio::time::timeout(SHUTDOWN_GRACE, ended).await;
        return Ok(served?);
    }
    drop(report);
    // Send the last report before the process ends.
    let _ = writer.await;
    Ok(())
}

/// Collects commands that come before the model is loaded. Returns when the supervisor hangs up.
async fn collect_early(commands: &mut FrameReader, early: &mut Vec<Command>) {
    while let Ok(Some(command)) = commands.next().await {
        early.push(command);
    }
}

async fn write_reports(mut reports: FrameWriter, mut outbox: async_mpsc::UnboundedReceiver<Report>) {
    let mut batch = Vec::new();
    // Each slot reports after a step: their reports are sent with one flush.
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

/// The supervisor's socket: the process' standard input.
fn socket() -> std::io::Result<UnixStream> {
    let stdin = std::io::stdin().as_fd().try_clone_to_owned()?;
    let socket = StdUnixStream::from(stdin);
    socket.peer_addr()?;
    socket.set_nonblocking(true)?;
    UnixStream::from_std(socket)
}
