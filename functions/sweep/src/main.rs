//! The Lambda function `sweep`: seals the audit log, ends the runs whose processes have died, queues jobs again whose messages are
//! lost or whose pause has ended, deletes files and closed sessions whose time is over, and goes on with the erasures of users. A
//! schedule invokes it.

use std::{fmt::Display, time::Duration};

use hearth_lambda::Error;

/// Time for due jobs in one invocation, and for erasures: together less than the function's timeout, by what the rest takes. The next
/// invocation goes on.
const JOBS_TIMEOUT: Duration = Duration::from_secs(90);
const ERASURE_TIMEOUT: Duration = Duration::from_secs(90);

/// The steps of a sweep. One that fails doesn't hold up the others.
#[derive(Default)]
struct Steps {
    error: Option<Error>,
}

impl Steps {
    /// Returns the number of things that a step has done; 0 if it has failed.
    fn count(&mut self, step: &str, done: Result<usize, impl Into<Error> + Display>) -> usize {
        done.unwrap_or_else(|error| {
            tracing::error!(step, %error, "a step of the sweep has failed");
            self.error.get_or_insert(error.into());
            0
        })
    }
}

#[tokio::main]
async fn main() -> Result<(), Error> {
    hearth_lambda::run_scheduled(async |gateway| {
        let mut steps = Steps::default();
        // Before what may fail.
        gateway.audit().finish().await;
        let ended = steps.count("runs", gateway.sweep_runs().await);
        if ended > 0 {
            tracing::warn!(ended, "runs were ended whose processes had died");
        }
        let looked_at = steps.count("jobs", gateway.sweep_jobs(JOBS_TIMEOUT).await);
        if looked_at > 0 {
            tracing::info!(looked_at, "jobs were queued again, held, expired or deleted");
        }
        let erased = steps.count("erasures", gateway.sweep_erasures(ERASURE_TIMEOUT).await);
        if erased > 0 {
            tracing::info!(erased, "users were erased");
        }
        let removed = steps.count("files", gateway.sweep_files().await);
        if removed > 0 {
            tracing::info!(removed, "files were deleted whose time was over");
        }
        let deleted = steps.count("sessions", gateway.sweep_sessions().await);
        if deleted > 0 {
            tracing::info!(deleted, "closed sessions were deleted");
        }
        // After the runs: their ends are events too.
        let sent = steps.count("events", gateway.sweep_events().await);
        if sent > 0 {
            tracing::warn!(sent, "events were sent whose processes had died");
        }
        steps.error.map_or(Ok(()), Err)
    })
    .await
}
