//! The scheduler's output: actions for its caller, and refusals.

use hearth_domain::RunId;

/// An action for the caller. Effects are carried out in order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Effect {
    /// Start a worker for the model. Then call `model_loaded`, `worker_exited` or `load_failed`.
    Start(String),
    /// Stop the model's worker, which is idle. Then call `worker_exited`.
    Stop(String, StopReason),
    /// Send the run to its model's worker. Then call `run_finished`.
    Dispatch(RunId),
    /// Report the run's position in the queue, from 1, to its client.
    Position(RunId, u32),
    /// Have the model's worker stop the run. Then call `run_finished`.
    Abort(RunId),
    /// End the run, which was cancelled in the queue.
    Dropped(RunId),
    /// Fail the run, whose model can't be loaded.
    Unservable(RunId),
    /// Fail the queued run, whose model can't fit in memory any more: other models were pinned since, or the model needs
    /// more memory than was estimated.
    Refused(RunId, Refusal),
}

/// The reason why a worker is stopped.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum StopReason {
    /// Another model needs the memory.
    Evicted,
    /// It was unused for the idle timeout.
    Idle,
    /// A client unloads it.
    Requested,
}

/// The reason why a call is refused. It has changed nothing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Refusal {
    /// The model's queue is full, or all queues together are.
    QueueFull,
    /// The maximum number of models is in memory: these, which are pinned or in use.
    NoRoom(Vec<String>),
    /// The model doesn't fit into memory with the models that are pinned or in use.
    NoMemory {
        /// Bytes that the model needs.
        needed: u64,
        /// Bytes that are free beside the other models.
        free: u64,
        /// The other models, with the bytes that each uses.
        holding: Vec<(String, u64)>,
    },
    /// The model has runs.
    InUse,
}
