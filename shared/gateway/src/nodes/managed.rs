//! The nodes that a member manages and that answer: those that change their files for the member.

use std::sync::Arc;

use hearth_domain::{NodeId, NodeTransport};
use hearth_wire::{ApiError, ErrorCode};

use super::{LiveNode, Nodes, StatusAge, may_manage, may_use};
use crate::access::Caller;

impl Nodes {
    /// The node of this id, or without an id the first that the caller manages: the caller's own, then one in this process.
    ///
    /// # Errors
    /// `not_found` for a node that the caller doesn't see, `forbidden` for one of another member; `node_offline`; without an id
    /// `no_model_available` if the caller manages none.
    pub(crate) async fn managed(
        self: &Arc<Self>,
        caller: &Caller,
        id: Option<NodeId>,
    ) -> Result<LiveNode, ApiError> {
        let Some(id) = id else { return self.first_managed(caller).await };
        let records = self.records_for(caller).await?;
        let is_visible = |node: &&Arc<super::NodeRecord>| may_use(caller, node) || may_manage(caller, node);
        let record = records.iter().filter(|record| record.id == id).find(is_visible);
        let unknown = || ApiError::new(ErrorCode::NotFound, "there is no such node").at("node");
        let record = record.ok_or_else(unknown)?;
        if !may_manage(caller, record) {
            let message =
                "this node is shared with you; its owner, or an admin of the organisation, downloads to it";
            return Err(ApiError::new(ErrorCode::Forbidden, message).at("node"));
        }
        self.live_node(record, StatusAge::Current).await
    }

    async fn first_managed(self: &Arc<Self>, caller: &Caller) -> Result<LiveNode, ApiError> {
        let mut nodes = self.live_or_managed(caller).await?;
        nodes.retain(|node| may_manage(caller, &node.record));
        nodes.sort_by_key(|node| {
            let is_own = node.record.owner == caller.user;
            (!is_own, node.link.transport() != NodeTransport::InProcess)
        });
        nodes.into_iter().next().ok_or_else(|| {
            let message = "you manage no node that could download; enrol one (`hearth node code`)";
            ApiError::new(ErrorCode::NoModelAvailable, message)
        })
    }

    /// The node of this id in the caller's organisation, if it is registered.
    ///
    /// # Errors
    /// `node_offline`; `internal` if the store fails.
    pub(crate) async fn of_organisation(
        self: &Arc<Self>,
        caller: &Caller,
        id: NodeId,
    ) -> Result<Option<LiveNode>, ApiError> {
        let records = self.records_for(caller).await?;
        match records.iter().find(|record| record.id == id) {
            Some(record) => self.live_node(record, StatusAge::Cached).await.map(Some),
            None => Ok(None),
        }
    }

    /// Bytes of memory for models of the largest node that the caller manages and that answers.
    pub(crate) async fn managed_memory(self: &Arc<Self>, caller: &Caller) -> Option<u64> {
        let nodes = self.live(caller, StatusAge::Listed).await.ok()?;
        let managed = nodes.iter().filter(|node| may_manage(caller, &node.record));
        managed.filter_map(|node| Some(node.status.memory?.limit_bytes)).max()
    }
}
