//! Authentication of the requests of nodes, each of which its node signs.

use std::{
    sync::atomic::{AtomicU64, Ordering},
    time::Duration,
};

use hearth_auth::{LinkError, NodeVerifier, node_key::claimed_node};
use hearth_domain::{NodeId, Timestamp};
use hearth_store::{Store, nodes::NodeRecord};
use hearth_wire::{ApiError, ErrorCode};

use crate::{error, timed_cache::TimedCache};

/// Age at which a node's record is read again. Another process accepts a revoked node's requests for as long.
const RECORD_TTL: Duration = Duration::from_secs(10);
/// Limit of the number of cached records.
const RECORD_MAX_COUNT: usize = 10_000;

/// Verifies the requests of nodes by their public keys.
#[derive(Debug)]
pub struct NodeAuthentication {
    store: Store,
    /// Records by id. An id without a record is cached too: no node gets it later.
    records: TimedCache<NodeId, Option<NodeRecord>>,
    /// The number of times that a record was forgotten.
    changes: AtomicU64,
}

impl NodeAuthentication {
    pub(crate) fn new(store: Store) -> Self {
        let records = TimedCache::new(RECORD_TTL, RECORD_MAX_COUNT);
        Self { store, records, changes: AtomicU64::default() }
    }

    /// The node that a credential claims to be of. The claim is not verified: [`ClaimedNode::verify`] does that.
    ///
    /// # Errors
    /// `unauthorized` if there is no such node, or it has no key; `internal` if the store fails.
    #[crate::boxed_future]
    pub async fn claimed(&self, credential: &str) -> Result<ClaimedNode, ApiError> {
        let id: NodeId = claimed_node(credential).and_then(|id| id.parse().ok()).ok_or_else(unknown_node)?;
        let record = match self.records.get(&id) {
            Some(record) => record,
            None => {
                let changes = self.changes();
                let record = self.store.nodes().get(id).await.map_err(error::store)?;
                self.keep(id, record.clone(), changes);
                record
            }
        };
        record.filter(|record| record.public_key.is_some()).map(ClaimedNode).ok_or_else(unknown_node)
    }

    /// The node that sent a request. `credential`: its JWT. `call`: method and path with the query, as in
    /// `POST /v1/node/report`, without a path that the gateway's address has. `body`: the request's, empty if it has none.
    ///
    /// # Errors
    /// `unauthorized` if the credential isn't valid for the request; if the node's clock is the cause, `details.now` has the
    /// gateway's time. `internal` if the store fails.
    #[crate::boxed_future]
    pub async fn authenticate(
        &self,
        credential: &str,
        call: &str,
        body: &[u8],
    ) -> Result<NodeRecord, ApiError> {
        self.claimed(credential).await?.verify(credential, call, body)
    }

    /// Forgets a node's record, which was changed or deleted.
    pub(crate) fn forget(&self, id: NodeId) {
        self.changes.fetch_add(1, Ordering::SeqCst);
        self.records.remove(&id);
    }

    fn changes(&self) -> u64 {
        self.changes.load(Ordering::SeqCst)
    }

    /// Caches a record that was read after the `changes`-th change, unless one was forgotten since: it may be the old one.
    fn keep(&self, id: NodeId, record: Option<NodeRecord>, changes: u64) {
        self.records.put_if(id, record, || self.changes() == changes);
    }
}

/// The node that a credential claims to be of.
#[derive(Debug)]
pub struct ClaimedNode(NodeRecord);

impl ClaimedNode {
    /// Verifies that the credential is the node's, and is for this call and body. Returns the node's record.
    ///
    /// # Errors
    /// As [`NodeAuthentication::authenticate`].
    pub fn verify(self, credential: &str, call: &str, body: &[u8]) -> Result<NodeRecord, ApiError> {
        let Self(record) = self;
        let public_key = record.public_key.as_deref().unwrap_or_default();
        let verifier = NodeVerifier::new(&record.id.to_string(), public_key).map_err(refused)?;
        verifier.verify(credential, call, body).map_err(refused)?;
        Ok(record)
    }
}

#[expect(clippy::needless_pass_by_value, reason = "it is given to map_err")]
fn refused(error: LinkError) -> ApiError {
    let unauthorized = |message: &str| ApiError::new(ErrorCode::Unauthorized, message);
    match &error {
        LinkError::Invalid(_) if error.is_of_time() => {
            let message = "the node's clock differs from the gateway's, or the request took over a minute; \
                           details.now is the gateway's time: sign the request again by it";
            unauthorized(message).with("now", Timestamp::now().to_string())
        }
        LinkError::Invalid(_) => {
            unauthorized("the credential isn't signed by the node's key for this gateway")
        }
        LinkError::Request => unauthorized("the credential was signed for another request"),
        LinkError::Key => unauthorized("the node's stored key can't be read; enrol the node again"),
    }
}

/// The error for a node that there isn't, or not any more.
pub(crate) fn unknown_node() -> ApiError {
    let message = "the credential is of no enrolled node; enrol it by `hearth node enroll <gateway> <code>`";
    ApiError::new(ErrorCode::Unauthorized, message)
}

#[cfg(test)]
mod tests {
    use hearth_domain::{Owner, UserId};

    use super::*;

    #[tokio::test]
    async fn record_that_was_read_before_it_was_forgotten_is_not_kept() {
        let (authentication, id) = (NodeAuthentication::new(Store::unconnected()), NodeId::new());
        let record = NodeRecord::new(id, Owner::of_record(UserId::new(), None), "box");
        let changes = authentication.changes();
        authentication.keep(id, Some(record.clone()), changes);
        assert_eq!(authentication.records.get(&id), Some(Some(record.clone())));
        let changes = authentication.changes();
        authentication.forget(id);
        authentication.keep(id, Some(record), changes);
        assert_eq!(authentication.records.get(&id), None);
    }
}
