//! Work on events beside requests: events that were left in the outbox, and nodes that have fallen silent.

use std::time::Duration;

use hearth_wire::ApiError;

use crate::{Gateway, error};

/// Interval at which this is done at home.
const MAINTENANCE_INTERVAL: Duration = Duration::from_secs(10);
/// Age of an entry of the outbox at which its process must have died, or the store failed.
const ENTRY_GRACE: Duration = Duration::from_secs(60);

impl Gateway {
    /// Sends the events that processes have left in the outbox, and those of nodes that have fallen silent; returns their
    /// number. After the runs of dead processes have ended.
    ///
    /// # Errors
    /// `internal` if the store fails.
    #[crate::boxed_future]
    pub async fn sweep_events(&self) -> Result<usize, ApiError> {
        let offline = self.0.node_presence.end_silent().await.map_err(error::store)?;
        let recovered = self.0.events.recover(ENTRY_GRACE).await.map_err(error::store)?;
        Ok(offline + recovered)
    }

    /// Does [`Gateway::sweep_events`] as long as it is polled, for a process that has the store for itself. It begins with all
    /// entries: those of an earlier process.
    #[crate::boxed_future]
    pub async fn maintain_events(&self) {
        match self.0.events.recover(Duration::ZERO).await {
            Ok(0) => {}
            Ok(recovered) => tracing::info!(recovered, "events of an earlier process were sent"),
            Err(error) => tracing::warn!(%error, "events of an earlier process can't be sent yet"),
        }
        loop {
            tokio::time::sleep(MAINTENANCE_INTERVAL).await;
            if let Err(error) = self.sweep_events().await {
                tracing::warn!(%error, "events can't be sent yet");
            }
        }
    }
}
