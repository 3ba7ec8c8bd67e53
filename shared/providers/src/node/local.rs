//! A node in this process.

use std::sync::Arc;

use bytes::Bytes;
use futures::future::BoxFuture;
use hearth_domain::NodeId;
use reqwest::{Body, Response};

type Handler = dyn Fn(http::Request<Bytes>) -> BoxFuture<'static, http::Response<Body>> + Send + Sync;

/// A node in this process, which handles requests as its server does. Requests have no credentials: only this process can
/// send them.
#[derive(Clone)]
pub struct LocalNode {
    id: NodeId,
    handler: Arc<Handler>,
}

impl LocalNode {
    /// Creates the node `id`, whose requests `handler` handles.
    pub fn new(
        id: NodeId,
        handler: impl Fn(http::Request<Bytes>) -> BoxFuture<'static, http::Response<Body>> + Send + Sync + 'static,
    ) -> Self {
        Self { id, handler: Arc::new(handler) }
    }

    /// The node's id.
    #[must_use]
    pub fn id(&self) -> NodeId {
        self.id
    }

    pub(super) async fn handle(&self, request: http::Request<Bytes>) -> Response {
        (self.handler)(request).await.into()
    }
}

impl std::fmt::Debug for LocalNode {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "LocalNode({})", self.id)
    }
}
