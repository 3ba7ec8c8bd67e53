//! Messages from the I/O side to the engine's thread.

use std::{
    collections::VecDeque,
    sync::mpsc::{Receiver, RecvTimeoutError, TryRecvError},
    time::{Duration, Instant},
};

use hearth_domain::{RunId, Usage};
use llama_cpp_2::token::LlamaToken;

use super::{answer_attempt::FinishedAnswer, prepared_run::PreparedRun};

/// A message to the engine's thread.
pub(super) enum Work {
    /// A text run for the slots.
    Admit(Box<PreparedRun>),
    /// An embedding run.
    Embed(EmbedJob),
    /// Stop a run.
    Cancel(RunId),
    /// An answer was checked against its schema.
    Checked(Box<FinishedAnswer>),
    /// A grammar's mask is ready.
    Wake,
    /// No more work will come.
    Stop,
}

/// An embedding run.
pub(super) struct EmbedJob {
    pub(super) run: RunId,
    /// Texts that aren't embedded yet, with their indexes in the request.
    pub(super) inputs: VecDeque<(u32, Vec<LlamaToken>)>,
    pub(super) dimensions: Option<usize>,
    pub(super) tokens: u32,
    /// Time at which the engine's thread received it.
    pub(super) started_at: Option<Instant>,
}

impl EmbedJob {
    pub(super) fn new(run: RunId, inputs: Vec<Vec<LlamaToken>>, dimensions: Option<u32>) -> Self {
        let tokens = inputs.iter().map(Vec::len).sum::<usize>();
        let dimensions = dimensions.map(|n| n as usize);
        Self {
            run,
            inputs: (0..).zip(inputs).collect(),
            dimensions,
            tokens: u32::try_from(tokens).unwrap_or(u32::MAX),
            started_at: None,
        }
    }

    pub(super) fn usage(&self) -> Usage {
        Usage { prompt_tokens: self.tokens, ..Usage::default() }
    }
}

/// Time that [`receive`] waits.
#[derive(Debug, Clone, Copy)]
pub(super) enum Wait {
    No,
    AtMost(Duration),
    Forever,
}

/// Receives the next work; `Ok(None)` if none comes in time.
///
/// # Errors
/// If no more work can come.
pub(super) fn receive(work: &Receiver<Work>, wait: Wait) -> Result<Option<Work>, ()> {
    let received = match wait {
        Wait::Forever => work.recv().map(Some).map_err(drop),
        Wait::AtMost(limit) => match work.recv_timeout(limit) {
            Ok(work) => Ok(Some(work)),
            Err(RecvTimeoutError::Timeout) => Ok(None),
            Err(RecvTimeoutError::Disconnected) => Err(()),
        },
        Wait::No => match work.try_recv() {
            Ok(work) => Ok(Some(work)),
            Err(TryRecvError::Empty) => Ok(None),
            Err(TryRecvError::Disconnected) => Err(()),
        },
    };
    match received? {
        Some(Work::Stop) => Err(()),
        other => Ok(other),
    }
}
