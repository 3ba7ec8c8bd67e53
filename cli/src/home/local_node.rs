//! The link between the gateway and the node in the same process.

use axum::body::Body;
use futures::FutureExt as _;
use hearth_domain::NodeId;
use hearth_node::Node;
use hearth_providers::LocalNode;
pub(crate) use hearth_store::nodes::IN_PROCESS_URL as ADDRESS;
use tower::ServiceExt as _;

/// Connects the node `id` by calls of its routes, without a socket.
pub(crate) fn connect(id: NodeId, node: Node) -> LocalNode {
    let router = hearth_node::server::local_router(node);
    LocalNode::new(id, move |request| {
        let answer = router.clone().oneshot(request.map(Body::from));
        let answer = answer.map(|answer| {
            let answer = answer.unwrap_or_else(|never| match never {});
            answer.map(|body| reqwest::Body::wrap_stream(body.into_data_stream()))
        });
        answer.boxed()
    })
}
