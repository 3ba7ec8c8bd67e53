//! Nodes, for the people who use them: listed with their state, changed, revoked.

use std::sync::Arc;

use futures::future::join_all;
use hearth_domain::{NodeId, NodeSharing, NodeTransport, TeamId, UserId};
use hearth_store::StoreError;
use hearth_wire::{
    ApiError, ErrorCode,
    native::nodes::{ChangeNode, NodeBody, NodeEnergyBody, NodeList, NodeSharingBody},
};

use super::{NodeRecord, may_manage, may_use};
use crate::{Caller, Gateway, error, names::check_name, node_link::check_energy};

/// Attempts at a change while others change the node at the same time.
const CHANGE_ATTEMPT_MAX_COUNT: usize = 8;
/// Limit of the teams, and of the users, that a node is shared with: each is read.
const SHARING_MAX_COUNT: usize = 50;

impl Gateway {
    /// The nodes that the caller may use or manage, oldest first, with their state.
    ///
    /// # Errors
    /// `node_offline` never: a node that doesn't answer is listed. `internal` if the store fails.
    #[crate::boxed_future]
    pub async fn list_nodes(&self, caller: &Caller) -> Result<NodeList, ApiError> {
        let records = self.0.store.nodes().of(caller.organisation).await.map_err(error::store)?;
        let records = records.into_iter().filter(|record| is_visible(caller, record));
        Ok(NodeList { nodes: join_all(records.map(|record| self.node_body(Arc::new(record)))).await })
    }

    /// A node that the caller may use or manage, with its state.
    ///
    /// # Errors
    /// `not_found` for another node; `internal` if the store fails.
    #[crate::boxed_future]
    pub async fn node(&self, caller: &Caller, id: NodeId) -> Result<NodeBody, ApiError> {
        let record = self.visible_node(caller, id).await?;
        Ok(self.node_body(Arc::new(record)).await)
    }

    /// Changes a node of the caller's, or any node of the organisation if the caller is an admin.
    ///
    /// # Errors
    /// `not_found` for a node that the caller doesn't see; `forbidden` for one that is shared with them; `invalid_request`;
    /// `conflict` if its owner has another node of the new name, or others change it at the same time.
    #[crate::boxed_future]
    pub async fn change_node(
        &self,
        caller: &Caller,
        id: NodeId,
        request: ChangeNode,
    ) -> Result<NodeBody, ApiError> {
        let ChangeNode { name, sharing, draining, energy } = request;
        let before = self.managed_node(caller, id).await?;
        let name = name.as_deref().map(check_name).transpose()?;
        if let Some(name) = name.as_ref().filter(|name| **name != before.name) {
            self.require_free_name(&before, name).await?;
        }
        let energy = energy.map(check_energy).transpose()?;
        let sharing = match sharing {
            Some(sharing) => Some(self.checked_sharing(&before, sharing).await?),
            None => None,
        };
        for _ in 0..CHANGE_ATTEMPT_MAX_COUNT {
            let mut record = self.managed_node(caller, id).await?;
            record.name = name.clone().unwrap_or(record.name);
            record.sharing = sharing.clone().unwrap_or(record.sharing);
            record.is_draining = draining.unwrap_or(record.is_draining);
            record.energy = energy.unwrap_or(record.energy);
            match self.0.store.nodes().change(&record).await {
                Ok(()) => {
                    self.0.node_ending.forget(&record);
                    return Ok(self.node_body(Arc::new(record)).await);
                }
                Err(StoreError::Conflict) => {}
                Err(error) => return Err(error::store(error)),
            }
        }
        let message = "others change this node at the same time; try again";
        Err(ApiError::new(ErrorCode::Conflict, message))
    }

    /// Revokes a node: its key is no longer accepted, its sockets are closed, and what it has of the gateway's runs ends.
    ///
    /// # Errors
    /// As for [`Gateway::change_node`]; `conflict` for the node in the gateway's process.
    #[crate::boxed_future]
    pub async fn revoke_node(&self, caller: &Caller, id: NodeId) -> Result<(), ApiError> {
        let record = self.managed_node(caller, id).await?;
        if self.0.nodes.transport_of(&record).await.0 == NodeTransport::InProcess {
            let message = "this node is a part of the gateway's process, which registers it at each start";
            return Err(ApiError::new(ErrorCode::Conflict, message));
        }
        self.0.node_ending.end(&record).await.map_err(error::store)?;
        tracing::info!(node = %id, by = %caller.user, "a node was revoked");
        Ok(())
    }

    async fn visible_node(&self, caller: &Caller, id: NodeId) -> Result<NodeRecord, ApiError> {
        let record = self.0.store.nodes().get(id).await.map_err(error::store)?;
        record.filter(|record| is_visible(caller, record)).ok_or_else(no_such_node)
    }

    pub(super) async fn managed_node(&self, caller: &Caller, id: NodeId) -> Result<NodeRecord, ApiError> {
        let record = self.visible_node(caller, id).await?;
        if may_manage(caller, &record) {
            return Ok(record);
        }
        let message = "the node is shared with you; its owner and the organisation's admins can change it";
        Err(ApiError::new(ErrorCode::Forbidden, message))
    }

    async fn require_free_name(&self, node: &NodeRecord, name: &str) -> Result<(), ApiError> {
        let nodes = self.0.store.nodes().of(node.owner().organisation).await.map_err(error::store)?;
        if nodes.iter().any(|other| other.owner == node.owner && other.name == name) {
            let message = "another node of its owner has this name";
            return Err(ApiError::new(ErrorCode::Conflict, message).at("name"));
        }
        Ok(())
    }

    /// The sharing, if the organisation has all of its teams and users.
    async fn checked_sharing(
        &self,
        node: &NodeRecord,
        sharing: NodeSharingBody,
    ) -> Result<NodeSharing, ApiError> {
        let (organisation, organisations) = (node.owner().organisation, self.0.store.organisations());
        let at = |field: &str| format!("sharing.{field}");
        for (field, ids) in [("teams", &sharing.teams), ("users", &sharing.users)] {
            if ids.len() > SHARING_MAX_COUNT {
                let message = format!("a node is shared with at most {SHARING_MAX_COUNT} {field}");
                return Err(ApiError::invalid(at(field), message));
            }
        }
        let (mut teams, mut users) = (Vec::new(), Vec::new());
        for id in &sharing.teams {
            let unknown = || ApiError::invalid(at("teams"), "the organisation has no team with this id");
            let id: TeamId = id.parse().map_err(|_| unknown())?;
            organisations.team(organisation, id).await.map_err(error::store)?.ok_or_else(unknown)?;
            teams.push(id);
        }
        for id in &sharing.users {
            let unknown = || ApiError::invalid(at("users"), "the organisation has no member with this id");
            let id: UserId = id.parse().map_err(|_| unknown())?;
            organisations.member(organisation, id).await.map_err(error::store)?.ok_or_else(unknown)?;
            users.push(id);
        }
        Ok(NodeSharing { organisation: sharing.organisation, teams, users })
    }

    async fn node_body(&self, record: Arc<NodeRecord>) -> NodeBody {
        let status = self.describe_node(&record).await;
        let NodeSharing { organisation, teams, users } = &record.sharing;
        NodeBody {
            id: record.id.to_string(),
            name: record.name.clone(),
            owner: record.owner.to_string(),
            region: record.region.clone(),
            sharing: NodeSharingBody {
                organisation: *organisation,
                teams: teams.iter().map(ToString::to_string).collect(),
                users: users.iter().map(ToString::to_string).collect(),
            },
            draining: record.is_draining,
            energy: record.energy.map(|energy| NodeEnergyBody {
                idle_watts: energy.idle_watts,
                busy_watts: energy.busy_watts,
                price_per_kwh: energy.price_per_kwh,
            }),
            created_at: record.created_at.to_string(),
            status,
        }
    }
}

/// True if the caller sees a node: who may use it, and who may manage it.
fn is_visible(caller: &Caller, record: &NodeRecord) -> bool {
    let is_same = record.owner().organisation == caller.organisation;
    is_same && (may_use(caller, record) || may_manage(caller, record))
}

fn no_such_node() -> ApiError {
    ApiError::new(ErrorCode::NotFound, "there is no node with this id")
}
