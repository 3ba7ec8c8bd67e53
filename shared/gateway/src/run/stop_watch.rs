//! Stops a run at the time limit of its process, or when another process has cancelled it.

use std::{sync::Arc, time::Duration};

use hearth_domain::{RunId, Timestamp};
use tokio::time::sleep;

use super::{active::StopReason, context::RunContext, output::RunOutput};

/// Interval of the reads of a run's cancel mark, each of which costs one read unit. The first comes after one interval: most
/// runs have ended by then.
const CANCEL_MARK_INTERVAL: Duration = Duration::from_secs(3);

/// Watches one run.
pub(super) struct StopWatch {
    context: Arc<RunContext>,
    id: RunId,
    deadline: Option<Timestamp>,
}

impl StopWatch {
    pub(super) fn new(output: &RunOutput) -> Self {
        Self { context: Arc::clone(&output.context), id: output.id, deadline: output.generation.deadline }
    }

    /// Stops the run when it is time. Never returns, so its type fits every `select!`.
    pub(super) async fn watch<T>(&self) -> T {
        let (active, time_limit) = (&self.context.active, self.time_limit());
        tokio::pin!(time_limit);
        tokio::select! {
            () = &mut time_limit => {}
            () = self.cancel_mark() => {
                active.stop(self.id, StopReason::Cancelled);
                // A cancelled run may go on for a little.
                time_limit.await;
            }
        }
        active.stop(self.id, StopReason::TimeLimit);
        std::future::pending().await
    }

    async fn time_limit(&self) {
        match self.deadline {
            Some(deadline) => sleep(Timestamp::now().until(deadline)).await,
            None => std::future::pending().await,
        }
    }

    /// Waits for the mark of another process that cancels the run.
    async fn cancel_mark(&self) {
        if !self.context.records.are_shared() {
            return std::future::pending().await;
        }
        loop {
            sleep(CANCEL_MARK_INTERVAL).await;
            match self.context.records.is_cancel_marked(self.id).await {
                Ok(false) => {}
                Ok(true) => return,
                Err(error) => tracing::warn!(run = %self.id, %error, "a run's cancel mark can't be read"),
            }
        }
    }
}
