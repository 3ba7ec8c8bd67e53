//! Sockets of nodes and clients: opened, rung, closed.
//!
//! - [`sender`]: the seam, by which messages are sent.
//! - [`hub`]: the sockets of this process.
//!
//! In the cloud API Gateway has the sockets, and invokes a function for each message. At home the process has them itself.

mod hub;
mod sender;

use std::{sync::Arc, time::Duration};

use hearth_auth::node_key::claimed_node;
use hearth_domain::{Action, NodeId, Timestamp};
use hearth_settings::SocketSettings;
use hearth_store::{
    Store,
    sockets::{SocketOwner, SocketRecord},
};
use hearth_wire::{
    ApiError, ErrorCode,
    json_body::parse_message,
    native::sockets::{SocketMessage, SocketRequest},
    relay::{Doorbell, NodeMessage},
};

use serde::de::DeserializeOwned;

use crate::{
    access::{Access, Caller},
    background::Background,
    error,
    node_link::{NodeAuthentication, NodeLeases},
};
pub use hub::{HubSocket, SOCKET_QUEUE_MAX_COUNT, SocketHub};
pub use sender::{SocketError, SocketId, SocketSender, SocketService};

/// The call that a node's credential for its socket is signed for.
pub const NODE_SOCKET_CALL: &str = "GET /v1/socket";
/// Limit of the number of sockets of a node: a new one is opened before the old one ends. One more closes the oldest.
const NODE_SOCKET_MAX_COUNT: usize = 4;
/// Limit of the number of sockets of a user. One more closes the oldest.
const USER_SOCKET_MAX_COUNT: usize = 32;

/// The other end of a socket.
#[derive(Debug, Clone)]
pub enum SocketPeer {
    /// A node.
    Node(NodeId),
    /// A person's program.
    Client(Box<Caller>),
}

impl SocketPeer {
    fn owner(&self) -> SocketOwner {
        match self {
            Self::Node(node) => SocketOwner::Node(*node),
            Self::Client(caller) => SocketOwner::User(caller.user),
        }
    }

    /// Time until the client's credential ends; none if it has no end.
    fn credential_ends_in(&self) -> Option<Duration> {
        let Self::Client(caller) = self else { return None };
        let left = caller.expires_at?.unix_millis().saturating_sub(Timestamp::now().unix_millis());
        Some(Duration::from_millis(left))
    }
}

/// The sockets of nodes and clients.
#[derive(Debug)]
pub struct Sockets {
    store: Store,
    access: Arc<Access>,
    nodes: Arc<NodeAuthentication>,
    sender: Arc<dyn SocketSender>,
    /// The sockets of this process; none where a service has them.
    hub: Option<SocketHub>,
    /// The address of the service that has the sockets.
    url: Option<String>,
    settings: SocketSettings,
    /// A node's heartbeat renews its lease.
    leases: NodeLeases,
}

impl Sockets {
    pub(crate) fn new(
        store: Store,
        access: Arc<Access>,
        nodes: Arc<NodeAuthentication>,
        service: Option<SocketService>,
        settings: SocketSettings,
        leases: NodeLeases,
        background: Background,
    ) -> Self {
        let hub = SocketHub::default();
        match service {
            Some(SocketService { url, sender }) => {
                Self { store, access, nodes, sender, hub: None, url: Some(url), settings, leases }
            }
            None => {
                let sender = Arc::new(hub.clone());
                let hub = background.outlives_response().then_some(hub);
                Self { store, access, nodes, sender, hub, url: None, settings, leases }
            }
        }
    }

    /// The address of the service that has the sockets, `wss://...`. None where the process has them itself, at `/v1/socket`, and on
    /// Lambda without a WebSocket API, where there are none.
    #[must_use]
    pub fn url(&self) -> Option<&str> {
        self.url.as_deref()
    }

    /// The sockets of this process; none where a service has them.
    #[must_use]
    pub fn hub(&self) -> Option<&SocketHub> {
        self.hub.as_ref()
    }

    /// Time after which a socket of `peer` is closed: its credential may end before the longest time.
    #[must_use]
    pub fn lifetime(&self, peer: &SocketPeer) -> Duration {
        peer.credential_ends_in().map_or(self.settings.lifetime(), |left| left.min(self.settings.lifetime()))
    }

    /// Time without a message after which a socket is closed.
    #[must_use]
    pub fn idle_timeout(&self) -> Duration {
        self.settings.idle_timeout()
    }

    /// Authenticates the other end of a new socket of the service, and stores the socket. Closes the oldest of its owner if there
    /// are too many.
    ///
    /// # Errors
    /// As [`Sockets::authenticate`]; `internal` if the store fails.
    #[crate::boxed_future]
    pub async fn connect(&self, id: &SocketId, credential: &str) -> Result<SocketPeer, ApiError> {
        let peer = self.authenticate(credential).await?;
        let owner = peer.owner();
        let mut open = self.store.sockets().of(owner).await.map_err(error::store)?;
        open.sort_by_key(|socket| std::cmp::Reverse(socket.connected_at));
        for oldest in open.iter().skip(max_count(owner) - 1) {
            self.hang_up(&SocketId::new(&oldest.id)).await;
        }
        self.put(id, owner).await?;
        Ok(peer)
    }

    /// The other end of a new socket. `credential`: a node's JWT for [`NODE_SOCKET_CALL`], or a person's token.
    ///
    /// # Errors
    /// `unauthorized` if the credential isn't valid; `forbidden` if the token may not see models; `internal` if the store fails.
    #[crate::boxed_future]
    pub async fn authenticate(&self, credential: &str) -> Result<SocketPeer, ApiError> {
        if claimed_node(credential).is_some() {
            let node = self.nodes.authenticate(credential, NODE_SOCKET_CALL, b"").await?;
            return Ok(SocketPeer::Node(node.id));
        }
        let caller = self.access.authenticate(credential).await?;
        caller.require(Action::ReadModels)?;
        Ok(SocketPeer::Client(Box::new(caller)))
    }

    /// Opens a socket of this process, whatever it carries, and stores it. Closes the oldest of its owner if there are too many.
    /// Its end is told by [`Sockets::disconnect`].
    ///
    /// # Errors
    /// `overloaded` if the process has too many sockets; `internal` if the store fails.
    #[crate::boxed_future]
    pub async fn open(&self, hub: &SocketHub, peer: &SocketPeer) -> Result<HubSocket, ApiError> {
        let (id, owner) = (SocketId::generate(), peer.owner());
        let socket = hub.open(&id, owner, max_count(owner)).ok_or_else(|| {
            let message = "the gateway has reached its limit of sockets; try again later, or poll";
            ApiError::new(ErrorCode::Overloaded, message)
        })?;
        self.put(&id, owner).await?;
        Ok(socket)
    }

    async fn put(&self, id: &SocketId, owner: SocketOwner) -> Result<(), ApiError> {
        let record = SocketRecord { id: id.as_str().to_owned(), owner, connected_at: Timestamp::now() };
        self.store.sockets().put(&record).await.map_err(error::store)?;
        if let SocketOwner::Node(node) = owner {
            // After the record: the end of an earlier socket at this moment shortens the lease of a node that wasn't heard of.
            self.leases.renew(node).await?;
        }
        tracing::debug!(socket = %id, ?owner, "a socket is open");
        Ok(())
    }

    /// Waits until the credential of a client is revoked in this process. For a node it never returns: the gateway closes its
    /// sockets when it is revoked.
    #[crate::boxed_future]
    pub async fn revoked(&self, peer: &SocketPeer) {
        match peer {
            SocketPeer::Client(caller) => self.access.revoked(caller.credential).await,
            SocketPeer::Node(_) => std::future::pending().await,
        }
    }

    /// Handles a message of a socket; returns the reply.
    ///
    /// # Errors
    /// `unauthorized` if the socket isn't known, or no longer: it is to be closed. `invalid_request` if the message can't be read.
    #[crate::boxed_future]
    pub async fn message(&self, id: &SocketId, text: &str) -> Result<Option<String>, ApiError> {
        let socket = self.store.sockets().get(id.as_str()).await.map_err(error::store)?;
        let socket = socket.ok_or_else(|| {
            ApiError::new(ErrorCode::Unauthorized, "the gateway doesn't know this socket; open another")
        })?;
        match socket.owner {
            SocketOwner::Node(node) => self.node_message(node, text).await,
            SocketOwner::User(_) => client_message(text),
        }
    }

    /// Handles a message of a node.
    ///
    /// # Errors
    /// `invalid_request` if it can't be read; `unauthorized` if the node has ended.
    async fn node_message(&self, node: NodeId, text: &str) -> Result<Option<String>, ApiError> {
        match parse(text)? {
            NodeMessage::Heartbeat => {
                self.leases.renew(node).await?;
                Ok(Some(to_text(&Doorbell::Heartbeat)?))
            }
        }
    }

    /// Forgets a socket that has closed. A node without another one counts as alive for a short time only, unless it is heard of.
    #[crate::boxed_future]
    pub async fn disconnect(&self, id: &SocketId) {
        let removed = async {
            let sockets = self.store.sockets();
            let Some(socket) = sockets.get(id.as_str()).await? else { return Ok(()) };
            sockets.remove(&socket).await?;
            let SocketOwner::Node(node) = socket.owner else { return Ok(()) };
            let state = self.store.relay().state(node).await?;
            match (state, sockets.of(socket.owner).await?.is_empty()) {
                (Some(state), true) => self.leases.shorten(node, &state).await,
                _ => Ok(()),
            }
        };
        if let Err(error) = removed.await {
            tracing::warn!(%error, "the record of a closed socket can't be removed");
        }
    }

    /// Sends a hint to a node. Returns false if the node has no open socket, or none can be reached.
    #[crate::boxed_future]
    pub async fn ring(&self, node: NodeId, doorbell: &Doorbell) -> bool {
        let text = match to_text(doorbell) {
            Ok(text) => text,
            Err(error) => {
                tracing::error!(%error, "a doorbell has no JSON");
                return false;
            }
        };
        let mut is_rung = false;
        for socket in self.of_node(node).await {
            match self.sender.send(&SocketId::new(socket.id), text.clone()).await {
                Ok(()) => is_rung = true,
                // Its record is deleted when its end is known, or expires.
                Err(SocketError::Gone) => {}
                Err(error) => tracing::warn!(%node, %error, "a node can't be rung"),
            }
        }
        is_rung
    }

    /// Closes the sockets of a node that is revoked.
    #[crate::boxed_future]
    pub async fn close_all_of(&self, node: NodeId) {
        for socket in self.of_node(node).await {
            self.hang_up(&SocketId::new(socket.id)).await;
        }
    }

    /// Closes a socket.
    #[crate::boxed_future]
    pub async fn hang_up(&self, id: &SocketId) {
        if let Err(error @ SocketError::Failed(_)) = self.sender.close(id).await {
            tracing::warn!(%error, "a socket can't be closed");
        }
    }

    async fn of_node(&self, node: NodeId) -> Vec<SocketRecord> {
        self.store.sockets().of(SocketOwner::Node(node)).await.unwrap_or_else(|error| {
            tracing::warn!(%error, "a node's sockets can't be read");
            Vec::new()
        })
    }
}

/// Limit of the number of sockets of an owner.
fn max_count(owner: SocketOwner) -> usize {
    match owner {
        SocketOwner::Node(_) => NODE_SOCKET_MAX_COUNT,
        SocketOwner::User(_) => USER_SOCKET_MAX_COUNT,
    }
}

/// Handles a message of a client, where a service has the sockets.
fn client_message(text: &str) -> Result<Option<String>, ApiError> {
    match parse(text)? {
        SocketRequest::Heartbeat => Ok(Some(to_text(&SocketMessage::Heartbeat)?)),
        SocketRequest::Subscribe { .. } | SocketRequest::Unsubscribe { .. } => Err(ApiError::new(
            ErrorCode::InvalidRequest,
            "this gateway's sockets carry no subscriptions; follow a run by GET /v1/requests/{id}/events",
        )),
    }
}

fn parse<T: DeserializeOwned>(text: &str) -> Result<T, ApiError> {
    parse_message(text).map_err(|error| {
        let message = format!("the message can't be read: {error}; docs/sockets.md lists the messages");
        ApiError::new(ErrorCode::InvalidRequest, message)
    })
}

fn to_text(message: &impl serde::Serialize) -> Result<String, ApiError> {
    serde_json::to_string(message).map_err(|error| error::internal(&error))
}
