//! The worker's end of the socket to its supervisor, which is the process' standard input.

use std::{
    io,
    os::{fd::AsFd as _, unix::net::UnixStream as StdUnixStream},
};

use tokio::{net::UnixStream, sync::mpsc};

use crate::frames::{self, Command, FrameError, FrameReader, FrameWriter, LoadSpec, Report};

/// Reports that are sent with one flush.
const REPORTS_MAX_COUNT: usize = 256;

/// Why a worker ended with an error.
#[derive(Debug, thiserror::Error)]
pub enum WorkerError {
    /// Standard input isn't the supervisor's socket.
    #[error("this command is started by the node, with a socket as standard input: {0}")]
    NoSocket(io::Error),
    /// The socket failed.
    #[error(transparent)]
    Frame(#[from] FrameError),
    /// The first command wasn't `Load`.
    #[error("the first command must be a load")]
    NoLoad,
}

/// Opens the socket, and waits for the first command.
///
/// # Errors
/// If standard input is no socket, or the supervisor breaks the protocol.
pub async fn accept_load() -> Result<(LoadSpec, FrameReader, FrameWriter), WorkerError> {
    let (mut commands, reports) = frames::split(socket().map_err(WorkerError::NoSocket)?);
    match commands.next().await? {
        Some(Command::Load(spec)) => Ok((spec, commands, reports)),
        _ => Err(WorkerError::NoLoad),
    }
}

/// Collects commands that come before the model is loaded. Returns when the supervisor hangs up.
pub async fn collect_early(commands: &mut FrameReader, early: &mut Vec<Command>) {
    while let Ok(Some(command)) = commands.next().await {
        early.push(command);
    }
}

/// Sends the reports of `outbox` until it is closed or the supervisor hangs up.
pub async fn write_reports(mut reports: FrameWriter, mut outbox: mpsc::UnboundedReceiver<Report>) {
    let mut batch = Vec::new();
    while outbox.recv_many(&mut batch, REPORTS_MAX_COUNT).await > 0 {
        if write_batch(&mut reports, &mut batch).await.is_err() {
            return;
        }
    }
}

/// Sends the reports of a bounded `outbox`, for an engine whose reports are large: it waits while the supervisor reads.
pub async fn write_bounded_reports(mut reports: FrameWriter, mut outbox: mpsc::Receiver<Report>) {
    let mut batch = Vec::new();
    while outbox.recv_many(&mut batch, REPORTS_MAX_COUNT).await > 0 {
        if write_batch(&mut reports, &mut batch).await.is_err() {
            return;
        }
    }
}

/// Sends a batch with one flush: each slot reports after a step.
async fn write_batch(reports: &mut FrameWriter, batch: &mut Vec<Report>) -> Result<(), FrameError> {
    for report in batch.drain(..) {
        reports.feed(&report).await?;
    }
    reports.flush().await
}

fn socket() -> io::Result<UnixStream> {
    let stdin = io::stdin().as_fd().try_clone_to_owned()?;
    let socket = StdUnixStream::from(stdin);
    socket.peer_addr()?;
    socket.set_nonblocking(true)?;
    UnixStream::from_std(socket)
}
