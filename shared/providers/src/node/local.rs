//! A node in this process.

use std::sync::Arc;

use bytes::Bytes;
use futures::future::BoxFuture;
use hearth_domain::NodeId;
use reqwest::{Body, Response};

type Answer = dyn Fn(http::Request<Bytes>) -> BoxFuture<'static, http::Response<Body>> + Send + Sync;

/// A node in this process: takes the requests of the link, and answers as its server would. Nobody else can call it
/// so, and no credential is asked for.
#[derive(Clone)]
pub struct LocalNode {
    id: NodeId,
    answer: Arc<Answer>,
}

impl LocalNode {
    /// The node `id`, whose requests `answer` carries out.
    pub fn new(
        id: NodeId,
        answer: impl Fn(http::Request<Bytes>) -> BoxFuture<'static, http::Response<Body>> + Send + Sync + 'static,
    ) -> Self {
        Self { id, answer: Arc::new(answer) }
    }

    /// The node's id.
    #[must_use]
    pub fn id(&self) -> NodeId {
        self.id
    }

    pub(super) async fn answer(&self, request: http::Request<Bytes>) -> Response {
        (self.answer)(request).await.into()
    }
}

impl std::fmt::Debug for LocalNode {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "LocalNode({})", self.id)
    }
}
