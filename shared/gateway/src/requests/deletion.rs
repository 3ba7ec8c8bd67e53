//! Deletion of recorded runs by their users.

use std::time::Duration;

use hearth_domain::{RunId, Timestamp};
use hearth_wire::{ApiError, ErrorCode};

use super::Requests;
use crate::{Gateway, access::Caller, error};

/// Time after a run's end within which its last writes are done.
const LATE_WRITE_GRACE: Duration = Duration::from_secs(5);

impl Gateway {
    /// Deletes everything of the caller's run, which must have ended.
    ///
    /// # Errors
    /// `not_found` as for [`Gateway::request`]; `conflict` while it goes on.
    #[crate::boxed_future]
    pub async fn delete_request(&self, caller: &Caller, id: RunId) -> Result<(), ApiError> {
        self.0.requests.delete(caller, id).await
    }
}

impl Requests {
    /// Deletes everything of the caller's run, which must have ended: its record, output, events, request, conversation and files.
    ///
    /// # Errors
    /// `not_found` as for [`Requests::get`]; `conflict` while it goes on; `internal` if the store fails: then it may be deleted in
    /// part, and can be deleted again.
    pub(crate) async fn delete(&self, caller: &Caller, id: RunId) -> Result<(), ApiError> {
        let run = self.get(caller, id).await?;
        if !run.state.is_terminal() {
            let message =
                "the request is still in progress; cancel it first, by POST /v1/requests/{id}/cancel";
            return Err(ApiError::new(ErrorCode::Conflict, message));
        }
        self.store.delete_run(&run).await.map_err(error::store)?;
        // The conversation of a response is stored after the end of its run, and a write whose answer was lost is repeated.
        let settled_at = run.finished_at.unwrap_or(run.created_at).plus(LATE_WRITE_GRACE);
        let wait = Timestamp::now().until(settled_at);
        if !wait.is_zero() {
            let store = self.store.clone();
            let again = async move {
                tokio::time::sleep(wait).await;
                if let Err(error) = store.delete_run(&run).await {
                    tracing::warn!(run = %run.id, %error, "late writes of a deleted run may be left until they expire");
                }
            };
            self.background.spawn_or_wait(again).await;
        }
        Ok(())
    }
}
