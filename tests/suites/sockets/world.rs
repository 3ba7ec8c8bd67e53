//! A gateway in this process, whose sockets are served on a port, and nodes with keys.

use std::time::SystemTime;

use hearth_auth::{Keys, NodeKey};
use hearth_domain::{NodeId, Owner};
use hearth_gateway::{Gateway, HttpClients, Options, Routing};
use hearth_http::{AppState, finish};
use hearth_settings::{GatewaySettings, SocketSettings};
use hearth_store::{Store, home, nodes::NodeRecord};
use hearth_tests::create_token;
use tempfile::TempDir;
use tokio::{net::TcpListener, task::JoinHandle};

/// A gateway, and its sockets on a port.
pub(crate) struct World {
    pub(crate) gateway: Gateway,
    pub(crate) store: Store,
    /// The address of the sockets.
    pub(crate) url: String,
    /// A token of the operator.
    pub(crate) token: String,
    server: JoinHandle<()>,
    _folder: TempDir,
}

/// A node with its key.
pub(crate) struct EnrolledNode {
    pub(crate) id: NodeId,
    pub(crate) key: NodeKey,
}

impl EnrolledNode {
    pub(crate) fn new(id: NodeId, key: NodeKey) -> Self {
        Self { id, key }
    }

    /// A credential for a call without a body.
    pub(crate) fn sign(&self, call: &str, body: &[u8]) -> String {
        self.key.sign(&self.id.to_string(), call, body, SystemTime::now()).unwrap()
    }

    /// The credential of its socket.
    pub(crate) fn credential(&self) -> String {
        self.sign("GET /v1/socket", b"")
    }
}

impl World {
    pub(crate) async fn start() -> Self {
        Self::with(SocketSettings::default()).await
    }

    pub(crate) async fn with(sockets: SocketSettings) -> Self {
        let _ = rustls::crypto::ring::default_provider().install_default();
        let folder = TempDir::new().unwrap();
        let store = home::open(&folder.path().join("data"), hearth_settings::Durability::default()).unwrap();
        store.migrate().await.unwrap();
        let options = Options {
            private_nodes: true,
            long_lived: true,
            new_secret: Some(Keys::generate_secret),
            settings: GatewaySettings { sockets, ..GatewaySettings::default() },
            ..Options::default()
        };
        let gateway = Gateway::new(store.clone(), HttpClients::new().unwrap(), options, Routing::default());
        let operator = gateway.operator().await.unwrap();
        gateway.organisations().ensure_operators().await.unwrap();
        let token = create_token(&store, operator).await;
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("ws://{}/v1/socket", listener.local_addr().unwrap());
        let state = AppState { gateway: gateway.clone() };
        let routes = hearth_fn_socket::routes(&state).merge(hearth_fn_generate::routes(&state));
        let served = finish(routes, state);
        let server = tokio::spawn(async move {
            // It serves until it is aborted.
            let _ = axum::serve(listener, served).await;
        });
        Self { gateway, store, url, token, server, _folder: folder }
    }

    /// The address of the sockets for responses.
    pub(crate) fn responses_url(&self) -> String {
        self.url.replace("/v1/socket", "/v1/responses")
    }

    /// A node of the operator.
    pub(crate) async fn node(&self) -> EnrolledNode {
        let node = EnrolledNode::new(NodeId::new(), NodeKey::generate());
        let owner = Owner::of_record(self.gateway.operator().await.unwrap(), None);
        let public_key = Some(node.key.public_key());
        let record = NodeRecord { public_key, ..NodeRecord::new(node.id, owner, "box") };
        self.gateway.register_node(&record).await.unwrap();
        node
    }
}

impl Drop for World {
    fn drop(&mut self) {
        self.server.abort();
    }
}
