//! The node's HTTP side of the link, for gateways that reach it directly.
//!
//! Every request carries the gateway's JWT for this node and this body, but for those of a gateway in the same
//! process.

mod auth;
mod routes;

use axum::{
    Router,
    extract::DefaultBodyLimit,
    middleware,
    routing::{get, post},
};
use hearth_auth::LinkVerifier;

use crate::supervisor::Node;

/// A conversation is at most 10 MB at the gateway; JSON within JSON may grow.
const MAX_BODY: usize = 24 << 20;

/// The routes of the node link, for gateways elsewhere.
pub fn router(node: Node, verifier: LinkVerifier) -> Router {
    local_router(node).layer(middleware::from_fn_with_state(verifier, auth::check))
}

/// The same for the gateway in this process: it isn't asked who it is.
pub fn local_router(node: Node) -> Router {
    Router::new()
        .route("/v1/status", get(routes::status))
        .route("/v1/runs", post(routes::submit))
        .route("/v1/runs/{id}/events", get(routes::events))
        .route("/v1/runs/{id}/cancel", post(routes::cancel))
        .route("/v1/models/load", post(routes::load))
        .route("/v1/models/unload", post(routes::unload))
        .route("/v1/models/remove", post(routes::remove))
        .with_state(node)
        .layer(DefaultBodyLimit::max(MAX_BODY))
}
