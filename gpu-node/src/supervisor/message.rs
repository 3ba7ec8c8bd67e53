//! The messages that the actor handles.

use std::sync::Arc;

use hearth_domain::RunId;
use hearth_telemetry::traces::Span;
use hearth_wire::{
    ApiError,
    node::{NodeCountBody, NodeModelSettings, NodeRemoved, NodeRun, NodeStatus, NodeTokenCount},
};
use tokio::sync::oneshot;

use super::run_log::RunLog;
use crate::{backends::Selection, frames::Report, model_files::ModelFiles};

pub(super) type Reply<T> = oneshot::Sender<T>;

#[derive(Debug)]
pub(super) enum Message {
    Submit {
        run: Box<NodeRun>,
        /// The span of the request; empty without a trace.
        span: Span,
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
    /// The run had no reader for the grace time.
    Abandoned {
        run: RunId,
    },
    Load {
        model: String,
        reply: Reply<Result<(), ApiError>>,
    },
    /// Counts tokens by the tokenizer of a model, which is loaded first.
    Count {
        body: Box<NodeCountBody>,
        reply: Reply<Result<NodeTokenCount, ApiError>>,
    },
    Unload {
        model: String,
        reply: Reply<Result<(), ApiError>>,
    },
    Remove {
        model: String,
        reply: Reply<Result<NodeRemoved, ApiError>>,
    },
    /// The gateway has sent settings of models.
    Configure {
        settings: NodeModelSettings,
        reply: Reply<Result<(), ApiError>>,
    },
    Status(Reply<NodeStatus>),
    /// The model folder was scanned. `then` is the message that waited for the scan.
    Scanned {
        files: ModelFiles,
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
        reason: String,
        /// The signal that ended the process.
        signal: Option<i32>,
    },
    BackendsSelected(Box<Selection>),
    ShutDown,
}
