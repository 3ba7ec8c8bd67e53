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

use std::{path::PathBuf, sync::mpsc, time::Duration};

use hearth_worker::socket::{WorkerError, accept_load, collect_early, write_reports};
use tokio::sync::mpsc as async_mpsc;

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

/// Runs a worker until its supervisor hangs up.
///
/// # Errors
/// If the socket fails, or the supervisor breaks the protocol. A failed load is reported to the supervisor, and is no
/// error here.
pub async fn run() -> Result<(), WorkerError> {
    let (spec, mut commands, reports) = accept_load().await?;
    // Unbounded, since the engine's thread doesn't wait for the socket. Its length is bounded all the same: the supervisor, which
    // reads the reports, dispatches as many runs as there are slots and further ones as it reads of ends and cancels, and a run has no
    // more events than its context has tokens.
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
