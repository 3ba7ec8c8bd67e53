//! The llama.cpp engine: the inside of a worker process.
//!
//! Two sides share the model. The I/O side reads commands from the socket that is the process'
//! standard input, renders and tokenizes prompts, and writes reports. The [`steps`] side is one OS
//! thread that owns context, batch and samplers, and never waits for the socket. When the socket
//! closes the supervisor is gone, and the process ends, whatever the other side is doing.

mod load;
mod prompt;
mod sampler;
mod slot;
mod steps;
mod stop;
mod template;
mod text;

use std::{
    os::{fd::AsFd as _, unix::net::UnixStream as StdUnixStream},
    sync::mpsc,
    thread,
};

use hearth_wire::ApiError;
use tokio::{net::UnixStream, sync::mpsc as async_mpsc};

use crate::frames::{self, Command, FrameError, FrameReader, FrameWriter, Report};
use prompt::Prompter;

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
    let step_reports = report.clone();
    thread::spawn(move || steps::thread_main(&spec, inbox, &step_reports, loaded));
    // The supervisor may hang up while the model is still being read: watch for that too.
    let mut early = Vec::new();
    let prompter = tokio::select! {
        prompter = ready => prompter,
        () = hold(&mut commands, &mut early) => return Ok(()),
    };
    // Without a prompter the load has failed, and was reported so.
    if let Ok(prompter) = prompter {
        for command in early {
            serve(command, &prompter, &work, &report);
        }
        while let Some(command) = commands.next().await? {
            serve(command, &prompter, &work, &report);
        }
        return Ok(());
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

fn serve(
    command: Command,
    prompter: &Prompter,
    work: &mpsc::Sender<steps::Work>,
    report: &async_mpsc::UnboundedSender<Report>,
) {
    match command {
        Command::Load(_) => tracing::warn!("a second load was ignored"),
        Command::Cancel { run } => send(work, steps::Work::Cancel(run)),
        Command::Generate(generate) => {
            let run = generate.run;
            match prompter.prepare(generate) {
                Ok(admission) => {
                    let _ = report.send(Report::Started { run, prompt_tokens: admission.prompt_tokens() });
                    send(work, steps::Work::Admit(Box::new(admission)));
                }
                Err(error) => {
                    let _ = report.send(Report::Failed { run, error });
                }
            }
        }
    }
}

/// The steps' thread ends only with the process.
fn send(work: &mpsc::Sender<steps::Work>, item: steps::Work) {
    if work.send(item).is_err() {
        tracing::error!("the engine's thread is gone");
        std::process::exit(70);
    }
}

async fn write(mut reports: FrameWriter, mut outbox: async_mpsc::UnboundedReceiver<Report>) {
    while let Some(report) = outbox.recv().await {
        if reports.send(&report).await.is_err() {
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
