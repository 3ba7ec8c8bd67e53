//! Authentication of nodes: each request has a JWT that its node signed for this call and body.

use std::convert::Infallible;

use axum::{
    body::{Body, Bytes},
    extract::{FromRequest, Request, State},
    middleware::Next,
    response::{IntoResponse as _, Response},
};
use hearth_gateway::nodes::NodeRecord;
use hearth_wire::{ApiError, ErrorCode, json_body::parse_json};
use http::{HeaderMap, header::AUTHORIZATION};
use serde::de::DeserializeOwned;

use crate::{body_budget, error::HttpError, extract::read, state::AppState};

/// A request of a node: the node, and the JSON body. `()` stands for no body. Its routes are inside
/// [`crate::serve::of_nodes`].
#[derive(Debug, Clone)]
pub struct SignedNode<T> {
    /// Record of the node that signed the request.
    pub node: NodeRecord,
    /// Body.
    pub body: T,
}

/// A request whose signature is verified, in its extensions.
#[derive(Debug, Clone)]
struct Signed {
    node: NodeRecord,
    body: Bytes,
}

impl<S: Send + Sync, T: DeserializeOwned> FromRequest<S> for SignedNode<T> {
    type Rejection = HttpError;

    async fn from_request(mut request: Request, _: &S) -> Result<Self, HttpError> {
        let signed = request.extensions_mut().remove::<Signed>();
        let Signed { node, body } = signed.ok_or_else(|| HttpError(no_credential()))?;
        let body = parse_json(if body.is_empty() { b"null" } else { &body })?;
        Ok(Self { node, body })
    }
}

/// Layer of the routes of nodes: answers a request that no enrolled node has signed with 401.
pub(crate) async fn require_node(
    State(state): State<AppState>,
    request: Request,
    next: Next,
) -> Result<Response, Infallible> {
    match verified(&state, request).await {
        Ok(request) => Ok(next.run(request).await),
        Err(error) => Ok(HttpError(error).into_response()),
    }
}

/// Verifies a request, and adds the node and the body to its extensions.
async fn verified(state: &AppState, request: Request) -> Result<Request, ApiError> {
    let (mut parts, body) = request.into_parts();
    let credential = bearer(&parts.headers).ok_or_else(no_credential)?;
    // Before the body is read: that of a stranger takes no memory.
    let node = state.gateway.node_authentication().claimed(credential).await?;
    body_budget::admit(&parts.extensions, &parts.headers).await?;
    let body = read(body).await?;
    let path = parts.uri.path_and_query().map_or("/", http::uri::PathAndQuery::as_str);
    let node = node.verify(credential, &format!("{} {path}", parts.method), &body)?;
    parts.extensions.insert(Signed { node, body });
    Ok(Request::from_parts(parts, Body::empty()))
}

fn bearer(headers: &HeaderMap) -> Option<&str> {
    let (scheme, credential) = headers.get(AUTHORIZATION)?.to_str().ok()?.trim().split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then_some(credential.trim())
}

fn no_credential() -> ApiError {
    let message = "no credential of a node was sent; a node signs each of its requests, as `Authorization: Bearer <jwt>`";
    ApiError::new(ErrorCode::Unauthorized, message)
}
