//! The HTTP server of the node link.
//!
//! Each request has the gateway's JWT for this node and body, except those of a gateway in the same process.

mod auth;
mod downloads;
mod json_body;
mod routes;

use std::sync::Arc;

use axum::{
    Router,
    extract::DefaultBodyLimit,
    middleware,
    routing::{get, post},
};
use hearth_auth::LinkVerifier;

use crate::{link::NodeIdentity, supervisor::Node};

/// The routes of the node link, for gateways in other processes. A node with an identity answers challenges by its own key.
pub fn router(node: Node, verifier: LinkVerifier, identity: Option<NodeIdentity>) -> Router {
    let mut router = local_router(node);
    if let Some(identity) = identity {
        let challenge = get(routes::answer_challenge).with_state(Arc::new(identity));
        router = router.route("/v1/challenge", challenge);
    }
    router.layer(middleware::from_fn_with_state(verifier, auth::check))
}

/// The routes of the node link without authentication, for a gateway in this process.
pub fn local_router(node: Node) -> Router {
    Router::new()
        .route("/v1/status", get(routes::status))
        .route("/v1/runs", post(routes::submit))
        .route("/v1/runs/{id}/events", get(routes::events))
        .route("/v1/runs/{id}/cancel", post(routes::cancel))
        .route("/v1/models/load", post(routes::load))
        .route("/v1/models/tokens", post(routes::count_tokens))
        .route("/v1/models/unload", post(routes::unload))
        .route("/v1/models/remove", post(routes::remove))
        .route("/v1/models/settings", post(routes::configure))
        .route("/v1/downloads", post(downloads::begin))
        .route("/v1/downloads/states", post(downloads::states))
        .route("/v1/downloads/{job}/cancel", post(downloads::cancel))
        .route("/v1/downloads/{job}/pause", post(downloads::pause))
        .route("/v1/downloads/{job}/resume", post(downloads::resume))
        .route("/v1/wake", post(routes::wake))
        .with_state(node)
        .layer(DefaultBodyLimit::max(auth::BODY_MAX_BYTES))
}
