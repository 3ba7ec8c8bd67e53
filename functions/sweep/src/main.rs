//! The Lambda function `sweep`: seals the audit log, ends the runs whose processes have died, queues jobs again
//! whose messages are lost, deletes files and closed
//! sessions whose time is over, and goes on with the erasures of users. A schedule invokes it.

use std::time::Duration;

/// Time for erasures in one invocation: less than the function's timeout, by what the rest takes. The next one goes on.
const ERASURE_TIMEOUT: Duration = Duration::from_secs(90);

#[tokio::main]
async fn main() -> Result<(), hearth_lambda::Error> {
    hearth_lambda::run_scheduled(async |gateway| {
        // Before what may fail.
        gateway.audit().finish().await;
        let ended = gateway.sweep_runs().await?;
        if ended > 0 {
            tracing::warn!(ended, "runs were ended whose processes had died");
        }
        let looked_at = gateway.sweep_jobs().await?;
        if looked_at > 0 {
            tracing::info!(looked_at, "jobs were queued again, expired or deleted");
        }
        let erased = gateway.sweep_erasures(ERASURE_TIMEOUT).await?;
        if erased > 0 {
            tracing::info!(erased, "users were erased");
        }
        let removed = gateway.sweep_files().await?;
        if removed > 0 {
            tracing::info!(removed, "files were deleted whose time was over");
        }
        let deleted = gateway.sweep_sessions().await?;
        if deleted > 0 {
            tracing::info!(deleted, "closed sessions were deleted");
        }
        // After the runs: their ends are events too.
        let sent = gateway.sweep_events().await?;
        if sent > 0 {
            tracing::warn!(sent, "events were sent whose processes had died");
        }
        Ok(())
    })
    .await
}
