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
    routing::{MethodRouter, get, post},
};
use hearth_auth::LinkVerifier;

use crate::{link::NodeIdentity, supervisor::Node};

/// A function that creates the handler of a route.
type NewHandler = fn() -> MethodRouter<Node>;

/// The path of a node's proof that it has its key.
const CHALLENGE: &str = "/v1/challenge";
/// The other routes of the node link, with their handlers.
const ROUTES: [(&str, NewHandler); 15] = [
    ("/v1/status", || get(routes::status)),
    ("/v1/runs", || post(routes::submit)),
    ("/v1/runs/{id}/events", || get(routes::events)),
    ("/v1/runs/{id}/cancel", || post(routes::cancel)),
    ("/v1/models/load", || post(routes::load)),
    ("/v1/models/tokens", || post(routes::count_tokens)),
    ("/v1/models/unload", || post(routes::unload)),
    ("/v1/models/remove", || post(routes::remove)),
    ("/v1/models/settings", || post(routes::configure)),
    ("/v1/downloads", || post(downloads::begin)),
    ("/v1/downloads/states", || post(downloads::states)),
    ("/v1/downloads/{job}/cancel", || post(downloads::cancel)),
    ("/v1/downloads/{job}/pause", || post(downloads::pause)),
    ("/v1/downloads/{job}/resume", || post(downloads::resume)),
    ("/v1/wake", || post(routes::wake)),
];

/// The routes of the node link, for gateways in other processes. A node with an identity answers challenges by its own key.
pub fn router(node: Node, verifier: LinkVerifier, identity: Option<NodeIdentity>) -> Router {
    let mut router = local_router(node);
    if let Some(identity) = identity {
        let challenge = get(routes::answer_challenge).with_state(Arc::new(identity));
        router = router.route(CHALLENGE, challenge);
    }
    router.layer(middleware::from_fn_with_state(verifier, auth::check))
}

/// The routes of the node link without authentication, for a gateway in this process.
pub fn local_router(node: Node) -> Router {
    let routes = ROUTES.iter().fold(Router::new(), |router, (path, handler)| router.route(path, handler()));
    routes.with_state(node).layer(DefaultBodyLimit::max(auth::BODY_MAX_BYTES))
}

#[cfg(test)]
mod tests {
    use axum::{
        body::{Body, to_bytes},
        http::{Method, Request, StatusCode, header::AUTHORIZATION},
    };
    use hearth_auth::{LinkSigner, NodeKey};
    use hearth_domain::NodeId;
    use hearth_wire::ApiError;
    use tower::ServiceExt as _;

    use super::*;
    use crate::supervisor::scripted::ScriptedNode;

    /// Requests of every route: without a credential, with a credential of another gateway, and for another node.
    #[tokio::test]
    async fn every_route_refuses_requests_that_its_gateway_has_not_signed() {
        let scripted = ScriptedNode::start();
        let own = LinkSigner::from_seed(&[7; 32]);
        let node = NodeId::new();
        let identity = NodeIdentity {
            gateway: "https://gateway.example.com".parse().unwrap(),
            node,
            gateway_key: own.public_key(),
            key: NodeKey::generate(),
        };
        let verifier = LinkVerifier::new(&node.to_string(), &own.public_key()).unwrap();
        let router = router(scripted.node.clone(), verifier, Some(identity));
        let send = async |method: &Method, path: &str, credential: Option<String>| {
            let mut request = Request::builder().method(method).uri(path);
            if let Some(credential) = credential {
                request = request.header(AUTHORIZATION, format!("Bearer {credential}"));
            }
            router.clone().oneshot(request.body(Body::from("{}")).unwrap()).await.unwrap()
        };
        let stranger = LinkSigner::from_seed(&[8; 32]);
        for path in ROUTES.iter().map(|(path, _)| *path).chain([CHALLENGE]) {
            for method in [Method::GET, Method::POST] {
                let call = format!("{method} {path}");
                let sign =
                    |signer: &LinkSigner, node: &str| signer.sign(node, "req_1", &call, b"{}").unwrap();
                let foreign = sign(&stranger, &node.to_string());
                let others = sign(&own, "node_other");
                for credential in [None, Some(String::new()), Some(foreign), Some(others)] {
                    let response = send(&method, path, credential.clone()).await;
                    assert_eq!(response.status(), StatusCode::UNAUTHORIZED, "{call} with {credential:?}");
                    let body = to_bytes(response.into_body(), usize::MAX).await.unwrap();
                    let error: ApiError = serde_json::from_slice(&body).unwrap();
                    assert_eq!(error.code.as_str(), "unauthorized", "{call}");
                }
            }
        }
        let signed = own.sign(&node.to_string(), "req_1", "GET /v1/status", b"{}").unwrap();
        assert_eq!(send(&Method::GET, "/v1/status", Some(signed)).await.status(), StatusCode::OK);
    }
}
