//! Stops a run at the time limit of its process, when another process has cancelled it, when its credential is revoked, or
//! when nobody has read it for the time that its request allows. Reads the marks that other processes leave for the run.

use std::{sync::Arc, time::Duration};

use hearth_domain::{OnDisconnect, RunId, Timestamp};
use tokio::time::{Instant, sleep};

use super::{active::StopReason, context::RunContext, output::RunOutput, readers::Readers};
use crate::{access::Caller, record::Recording};

/// Interval of the reads of a run's marks, that of a cancel and that of a follower. Each of the two costs one read unit. The first
/// comes after one interval: most runs have ended by then.
const MARKS_INTERVAL: Duration = Duration::from_secs(3);

/// Interval of the reads of the record of a run's credential, each of which costs one read unit. A revocation in this process needs
/// none: it stops the credential's runs at once.
const CREDENTIAL_INTERVAL: Duration = Duration::from_secs(9);

/// Watches one run.
pub(super) struct StopWatch {
    context: Arc<RunContext>,
    caller: Caller,
    id: RunId,
    deadline: Option<Timestamp>,
    on_disconnect: OnDisconnect,
    readers: Arc<Readers>,
    recording: Recording,
}

impl StopWatch {
    pub(super) fn new(output: &RunOutput, caller: &Caller) -> Self {
        let (context, caller) = (Arc::clone(&output.context), caller.clone());
        let (deadline, on_disconnect) = (output.generation.deadline, output.generation.on_disconnect);
        let (readers, recording) = (Arc::clone(&output.readers), output.recording.clone());
        Self { context, caller, id: output.id, deadline, on_disconnect, readers, recording }
    }

    /// Stops the run when it is time. Never returns, so its type fits every `select!`.
    pub(super) async fn watch<T>(&self) -> T {
        let (active, time_limit) = (&self.context.active, self.time_limit());
        tokio::pin!(time_limit);
        tokio::select! {
            () = &mut time_limit => {}
            () = self.cancelled() => {
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

    /// Waits until the run's credential is revoked, another process cancels the run, or nobody reads it any more.
    async fn cancelled(&self) {
        let is_shared = self.context.records.are_shared();
        tokio::select! {
            () = self.context.access.revoked(self.caller.credential) => {}
            () = self.read_marks(), if is_shared => {}
            () = self.revoked_elsewhere(), if is_shared => {}
            () = self.abandoned(is_shared) => {}
        }
    }

    /// Waits until nobody has read the run for as long as its request allows, here or in another process.
    async fn abandoned(&self, is_shared: bool) {
        let OnDisconnect::ContinueFor(seconds) = self.on_disconnect else {
            return std::future::pending().await;
        };
        let grace = Duration::from_secs(seconds.into());
        loop {
            self.readers.absent_for(grace).await;
            let until = if is_shared { self.followed_elsewhere_until().await } else { None };
            let Some(until) = until else { break };
            let left = Timestamp::now().until(until.plus(grace));
            if left.is_zero() {
                break;
            }
            sleep(left).await;
        }
        tracing::info!(run = %self.id, seconds, "nobody reads the run any more; it is stopped");
    }

    /// The time up to which another process follows the run.
    async fn followed_elsewhere_until(&self) -> Option<Timestamp> {
        let until = self.context.records.followed_until(self.id).await;
        until.unwrap_or_else(|error| {
            tracing::warn!(run = %self.id, %error, "the mark of a run's followers can't be read");
            None
        })
    }

    /// Waits until another process has revoked or deleted the record of the run's credential.
    async fn revoked_elsewhere(&self) {
        loop {
            sleep(CREDENTIAL_INTERVAL).await;
            if self.context.access.is_revoked(&self.caller).await {
                return;
            }
        }
    }

    /// Waits for the mark of another process that cancels the run. Until then, passes those of processes that follow it to the
    /// recording.
    async fn read_marks(&self) {
        loop {
            sleep(MARKS_INTERVAL).await;
            let records = &self.context.records;
            let (cancelled, followed) =
                tokio::join!(records.is_cancel_marked(self.id), self.followed_elsewhere_until());
            if let Some(until) = followed {
                self.recording.set_followed(Instant::now() + Timestamp::now().until(until));
            }
            match cancelled {
                Ok(false) => {}
                Ok(true) => return,
                Err(error) => tracing::warn!(run = %self.id, %error, "a run's cancel mark can't be read"),
            }
        }
    }
}
