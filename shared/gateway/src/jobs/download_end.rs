//! The ends of downloads, with their events.

use hearth_domain::{EventKind, JobState};
use hearth_store::jobs::JobRecord;
use hearth_wire::ApiError;

use super::{Jobs, body};
use crate::{error, events::Event};

impl Jobs {
    /// Stores a later state of a download. Returns false if the stored one is terminal or not older. The first process that
    /// stores an end publishes its event.
    pub(super) async fn advance(&self, after: &JobRecord) -> Result<bool, ApiError> {
        let kind = match after.state {
            JobState::Completed => EventKind::DownloadCompleted,
            JobState::Failed => EventKind::DownloadFailed,
            _ => return self.store.jobs().advance(after).await.map_err(error::store),
        };
        let data = serde_json::to_value(body::of(after.clone(), None)).unwrap_or_default();
        let event = Event::new(kind, after.id.to_string(), data).at(after.ended_at);
        let announcement = self.events.announce(after.owner(), event).await;
        let written = self.store.jobs().advance(after).await;
        match written {
            Ok(true) => announcement.send().await,
            // Another process may have stored the end, or the answer of this write was lost.
            Ok(false) | Err(_) => {
                announcement.confirm().await;
            }
        }
        written.map_err(error::store)
    }
}
