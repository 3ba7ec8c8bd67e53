//! `/v1/nodes`: nodes, listed, changed and revoked.

use axum::{Extension, Json, extract::State, http::StatusCode};
use hearth_domain::NodeId;
use hearth_gateway::Caller;
use hearth_http::{AppState, HttpError, JsonBody, PathParam};
use hearth_wire::{
    error::ErrorEnvelope,
    native::nodes::{ChangeNode, NodeBody, NodeList},
};

/// List the nodes that the caller may use, with their state; an admin of the organisation gets all of its nodes.
#[utoipa::path(
    get, path = "/v1/nodes", operation_id = "list_nodes", tag = "nodes", security(("token" = [])),
    responses((status = 200, description = "The nodes, oldest first", body = NodeList)),
)]
pub(crate) async fn list(
    State(state): State<AppState>,
    Extension(caller): Extension<Caller>,
) -> Result<Json<NodeList>, HttpError> {
    Ok(Json(state.gateway.list_nodes(&caller).await?))
}

/// Describe a node.
#[utoipa::path(
    get, path = "/v1/nodes/{id}", operation_id = "get_node", tag = "nodes", security(("token" = [])),
    params(("id" = String, Path, description = "The node's id, `node_...`")),
    responses(
        (status = 200, description = "The node", body = NodeBody),
        (status = 404, description = "No such node, or the caller may not use it", body = ErrorEnvelope),
    ),
)]
pub(crate) async fn get(
    State(state): State<AppState>,
    Extension(caller): Extension<Caller>,
    PathParam(id): PathParam<NodeId>,
) -> Result<Json<NodeBody>, HttpError> {
    Ok(Json(state.gateway.node(&caller, id).await?))
}

/// Rename, share or drain a node, or set its power and price. Its owner and the organisation's admins may do that.
#[utoipa::path(
    patch, path = "/v1/nodes/{id}", operation_id = "change_node", tag = "nodes", security(("token" = [])),
    params(("id" = String, Path, description = "The node's id, `node_...`")),
    request_body(content = ChangeNode, example = json!({"name": "box in the cellar", "sharing": {"organisation": true}})),
    responses(
        (status = 200, description = "The node after the change", body = NodeBody),
        (status = 400, description = "The request is malformed; `param` names the field", body = ErrorEnvelope),
        (status = 403, description = "The node is another member's", body = ErrorEnvelope),
        (status = 404, description = "No such node, or the caller may not use it", body = ErrorEnvelope),
        (status = 409, description = "Others change the node at the same time", body = ErrorEnvelope),
    ),
)]
pub(crate) async fn change(
    State(state): State<AppState>,
    Extension(caller): Extension<Caller>,
    PathParam(id): PathParam<NodeId>,
    JsonBody(request): JsonBody<ChangeNode>,
) -> Result<Json<NodeBody>, HttpError> {
    Ok(Json(state.gateway.change_node(&caller, id, request).await?))
}

/// Revoke a node: its key is no longer accepted, and the runs that it has end.
#[utoipa::path(
    delete, path = "/v1/nodes/{id}", operation_id = "revoke_node", tag = "nodes", security(("token" = [])),
    params(("id" = String, Path, description = "The node's id, `node_...`")),
    responses(
        (status = 204, description = "The node is revoked"),
        (status = 403, description = "The node is another member's", body = ErrorEnvelope),
        (status = 404, description = "No such node, or the caller may not use it", body = ErrorEnvelope),
        (status = 409, description = "The node is in the gateway's process", body = ErrorEnvelope),
    ),
)]
pub(crate) async fn revoke(
    State(state): State<AppState>,
    Extension(caller): Extension<Caller>,
    PathParam(id): PathParam<NodeId>,
) -> Result<StatusCode, HttpError> {
    state.gateway.revoke_node(&caller, id).await?;
    Ok(StatusCode::NO_CONTENT)
}
