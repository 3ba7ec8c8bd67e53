//! The gateway's way to the node in the same process.

use axum::body::Body;
use futures::FutureExt as _;
use hearth_domain::NodeId;
use hearth_node::Node;
use hearth_providers::LocalNode;
use tower::ServiceExt as _;

/// Stands in the node's record for an address.
pub(super) const ADDRESS: &str = "in-process";

/// The node `id`: its own routes answer, without a socket between.
pub(super) fn local(id: NodeId, node: Node) -> LocalNode {
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
