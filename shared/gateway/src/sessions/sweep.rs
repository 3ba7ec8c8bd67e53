//! Deletes the closed sessions whose time is over.

use std::time::Duration;

use hearth_domain::Timestamp;
use hearth_wire::ApiError;

use crate::{Gateway, error};

/// Interval between two searches.
const SWEEP_INTERVAL: Duration = Duration::from_secs(3600);
/// Sessions that are searched for at a time.
const CHUNK_MAX_COUNT: u32 = 50;
/// Sessions that one search deletes.
const SWEEP_MAX_COUNT: usize = 1000;

impl Gateway {
    /// Deletes the closed sessions whose time is over, up to a limit; returns their number.
    ///
    /// # Errors
    /// `internal` if the store fails.
    #[crate::boxed_future]
    pub async fn sweep_sessions(&self) -> Result<usize, ApiError> {
        let (sessions, mut deleted) = (self.0.store.sessions(), 0);
        while deleted < SWEEP_MAX_COUNT {
            let expired = sessions.expired(Timestamp::now(), CHUNK_MAX_COUNT).await.map_err(error::store)?;
            if expired.is_empty() {
                break;
            }
            let before = deleted;
            for session in &expired {
                match sessions.delete(session).await {
                    Ok(()) => deleted += 1,
                    Err(error) => {
                        tracing::warn!(session = %session.id, %error, "a closed session can't be deleted")
                    }
                }
            }
            if deleted == before {
                break;
            }
        }
        Ok(deleted)
    }

    /// Deletes them once an hour. For a process that runs on.
    #[crate::boxed_future]
    pub async fn maintain_sessions(&self) {
        let mut ticks = tokio::time::interval(SWEEP_INTERVAL);
        loop {
            ticks.tick().await;
            match self.sweep_sessions().await {
                Ok(0) => {}
                Ok(deleted) => tracing::info!(deleted, "closed sessions were deleted"),
                Err(error) => tracing::warn!(%error, "closed sessions can't be deleted"),
            }
        }
    }
}
