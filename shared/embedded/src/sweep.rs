//! Deletes what has expired. DynamoDB does so by itself; dynoxide when it is told.

use std::time::Duration;

use dynoxide::Database;

const EVERY: Duration = Duration::from_secs(60);

/// Sweeps now and then, for as long as the runtime lives.
pub(crate) fn start(db: Database) {
    let Ok(runtime) = tokio::runtime::Handle::try_current() else { return };
    runtime.spawn(async move {
        let mut ticks = tokio::time::interval(EVERY);
        loop {
            ticks.tick().await;
            let db = db.clone();
            match tokio::task::spawn_blocking(move || db.sweep_ttl()).await {
                Ok(Ok(swept)) => tracing::debug!(?swept, "expired items were deleted"),
                Ok(Err(error)) => tracing::warn!(%error, "expired items can't be deleted"),
                Err(_) => return,
            }
        }
    });
}
