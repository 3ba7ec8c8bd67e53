//! Requests of the gateway to a node, other than runs: stored as calls, which the node answers.

use std::time::Duration;

use hearth_domain::{NodeCallId, NodeId};
use hearth_providers::{LinkRequest, LinkResponse};
use hearth_store::{StoreError, nodes::NodeRecord};
use hearth_wire::{
    ApiError, ErrorCode,
    relay::{Doorbell, NodeCall, NodeCallAnswer},
};
use tokio::time::{Instant, timeout};

use super::{Relay, errors};
use crate::error;

/// The call that a node's last report answers.
const STATUS_CALL: &str = "GET /v1/status";
/// Time for a node to answer: a little less than the node link waits, so that the call is deleted.
const ANSWER_TIMEOUT: Duration = Duration::from_millis(9_500);
/// Time after which the doorbell is rung again.
const RING_AGAIN_DELAY: Duration = Duration::from_secs(2);
/// Interval of the reads of a call: the shortest, and the longest.
const POLL_INTERVAL: (Duration, Duration) = (Duration::from_millis(100), Duration::from_millis(500));

impl Relay {
    /// Stores a node's answer to a call.
    ///
    /// # Errors
    /// `not_found` if the node has no such call, or nobody waits for it any more; `internal` if the store fails.
    #[crate::boxed_future]
    pub async fn answer_call(
        &self,
        node: &NodeRecord,
        call: NodeCallId,
        answer: NodeCallAnswer,
    ) -> Result<(), ApiError> {
        match self.0.store.relay().answer_call(node.id, call, &answer).await {
            Ok(()) => {
                self.0.calls.wake(&call);
                Ok(())
            }
            Err(StoreError::Conflict) => {
                let message = "this node has no such call, or nobody waits for its answer any more";
                Err(ApiError::new(ErrorCode::NotFound, message))
            }
            Err(failure) => Err(error::store(failure)),
        }
    }

    /// Sends a request to a node, and waits for the answer.
    pub(super) async fn request(&self, node: NodeId, request: LinkRequest) -> Result<LinkResponse, ApiError> {
        let LinkRequest { method, path, body, .. } = request;
        let call = format!("{method} {path}");
        if call == STATUS_CALL
            && let Some(status) = self.status(node).await?
        {
            return response(200, &*status);
        }
        let body = match body.is_empty() {
            true => serde_json::Value::Null,
            false => serde_json::from_slice(&body).map_err(|failure| error::internal(&failure))?,
        };
        let call = NodeCall { id: NodeCallId::new(), call, body };
        let mut wakeup = self.0.calls.subscribe(call.id);
        self.0.store.relay().put_call(node, &call).await.map_err(error::store)?;
        let (began, mut rings, mut wait) = (Instant::now(), 0, POLL_INTERVAL.0);
        let answer = loop {
            if began.elapsed() >= RING_AGAIN_DELAY * rings {
                rings += 1;
                self.ring(node, &Doorbell::Orders).await;
            }
            let _ = timeout(wait, wakeup.changed()).await;
            wait = (wait * 3 / 2).min(POLL_INTERVAL.1);
            let stored = self.0.store.relay().call(node, call.id).await.map_err(error::store)?;
            if let Some(answer) = stored.and_then(|stored| stored.answer) {
                break Some(answer);
            }
            if began.elapsed() >= ANSWER_TIMEOUT {
                break None;
            }
        };
        if let Err(failure) = self.0.store.relay().delete_call(node, call.id).await {
            tracing::debug!(error = %failure, "a call can't be deleted; it expires");
        }
        let answer = answer.ok_or_else(|| errors::offline(node, "it didn't answer in time"))?;
        response(answer.status, &answer.body)
    }
}

fn response(status: u16, body: &impl serde::Serialize) -> Result<LinkResponse, ApiError> {
    let body = serde_json::to_vec(body).map_err(|failure| error::internal(&failure))?;
    let status = status
        .try_into()
        .map_err(|_| ApiError::new(ErrorCode::ProviderError, "the node's answer has no valid HTTP status"))?;
    Ok(LinkResponse { status, body: body.into() })
}
