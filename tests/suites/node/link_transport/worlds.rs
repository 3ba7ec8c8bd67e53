//! A node, and a transport to it.

use std::sync::Arc;

use aws_emulator::AwsEmulator;
use axum::body::Body;
use bytes::Bytes;
use hearth_auth::{Keys, LinkVerifier};
use hearth_domain::{NodeId, Owner, RunId, UserId};
use hearth_gateway::{AllowedAddresses, Gateway, HttpClients, Options, Routing, nodes::NodeRecord};
use hearth_node::server;
use hearth_providers::{LinkEvents, LinkRequest, LinkResponse, LinkTransport, LocalNode, NodeLink};
use hearth_store::{Clients, Names, Store, database::Durability, home};
use hearth_wire::{ApiError, node::NodeRun};
use reqwest::Method;
use tempfile::TempDir;
use tokio::{net::TcpListener, task::JoinHandle};
use tower::ServiceExt as _;

use super::relayed_node::RelayedNode;
use crate::in_process::InProcessNode;

/// A node, and a transport to it.
pub(super) struct World {
    transport: Arc<dyn LinkTransport>,
    node: InProcessNode,
    /// Serves the node, or fetches its runs.
    task: Option<JoinHandle<()>>,
    _folder: Option<TempDir>,
}

impl World {
    /// A node at an address.
    pub(super) async fn direct() -> Self {
        let _ = rustls::crypto::ring::default_provider().install_default();
        let (node, id) = (InProcessNode::start(|_| {}).await, NodeId::new());
        let keys = Keys::derive(&Keys::generate_secret()).unwrap();
        let verifier = LinkVerifier::new(&id.to_string(), &keys.link().public_key()).unwrap();
        let routes = server::router(node.node.clone(), verifier, None);
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let task = tokio::spawn(async move { axum::serve(listener, routes).await.unwrap() });
        let http = hearth_providers::http_client(AllowedAddresses::All).unwrap();
        let link = NodeLink::new(id, &url, http, keys.link().clone());
        Self { transport: link.into_transport(), node, task: Some(task), _folder: None }
    }

    /// A node in the gateway's process.
    pub(super) async fn in_process() -> Self {
        let node = InProcessNode::start(|_| {}).await;
        let routes = server::local_router(node.node.clone());
        let local = LocalNode::new(NodeId::new(), move |request: http::Request<Bytes>| {
            let answer = routes.clone().oneshot(request.map(Body::from));
            Box::pin(async move {
                answer.await.unwrap().map(|body| reqwest::Body::wrap_stream(body.into_data_stream()))
            })
        });
        let link = NodeLink::local(local);
        Self { transport: link.into_transport(), node, task: None, _folder: None }
    }

    /// A node that fetches its runs from a gateway at home.
    pub(super) async fn relay_at_home() -> Self {
        let folder = TempDir::new().unwrap();
        let store = home::open(folder.path(), Durability::Os).unwrap();
        Self::relay(folder, store, true).await
    }

    /// A node that fetches its runs from the cloud.
    pub(super) async fn relay_in_the_cloud() -> Self {
        let folder = TempDir::new().unwrap();
        let emulator = AwsEmulator::open(folder.path(), "hearth-media").unwrap();
        let clients = Clients {
            dynamodb: emulator.dynamodb(),
            kms: emulator.kms(),
            s3: emulator.s3("http://s3.test"),
            secrets: emulator.secrets(),
        };
        let store = Store::new(clients, Names::at_home());
        Self::relay(folder, store, false).await
    }

    async fn relay(folder: TempDir, store: Store, long_lived: bool) -> Self {
        let _ = rustls::crypto::ring::default_provider().install_default();
        store.migrate().await.unwrap();
        let options = Options { long_lived, ..Options::default() };
        let gateway = Gateway::new(store.clone(), HttpClients::new().unwrap(), options, Routing::default());
        let node = InProcessNode::start(|_| {}).await;
        let record = NodeRecord::new(NodeId::new(), Owner::of_record(UserId::new(), None), "node");
        store.nodes().put(&record).await.unwrap();
        let transport = gateway.relay().transport(record.id);
        let routes = server::local_router(node.node.clone());
        let relayed = RelayedNode { gateway, record, node: node.node.clone(), routes, runs: Arc::default() };
        relayed.report().await;
        let task = tokio::spawn(relayed.work());
        Self { transport, node, task: Some(task), _folder: Some(folder) }
    }

    pub(super) async fn start(&self, run: &NodeRun) -> Result<LinkEvents, ApiError> {
        self.transport.start(run, &Default::default()).await
    }

    pub(super) async fn events(&self, run: RunId, after: u64) -> Result<LinkEvents, ApiError> {
        self.transport.events(run, after, &Default::default()).await
    }

    pub(super) async fn cancel(&self, run: RunId) -> bool {
        self.transport.cancel(run).await.unwrap()
    }

    pub(super) async fn request(&self, method: Method, path: &str, body: &'static str) -> LinkResponse {
        let body = Bytes::from_static(body.as_bytes());
        let request = LinkRequest { method, path: path.to_owned(), about: "test".to_owned(), body };
        self.transport.request(request).await.unwrap()
    }

    pub(super) async fn stop(self) {
        if let Some(task) = &self.task {
            task.abort();
        }
        self.node.stop().await;
    }
}
