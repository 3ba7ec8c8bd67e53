//! The HTTP server of the node link.
//!
//! Each request has the gateway's JWT for this node and body, except those of a gateway in the same process.

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

/// The routes of the node link, for gateways in other processes.
pub fn router(node: Node, verifier: LinkVerifier) -> Router {
    local_router(node).layer(middleware::from_fn_with_state(verifier, auth::check))
}

/// The routes of the node link without authentication, for a gateway in this process.
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
        .layer(DefaultBodyLimit::max(auth::BODY_MAX_BYTES))
}
