//! `/v1/nodes/{id}/wake`: Wake-on-LAN.

use axum::{Extension, Json, extract::State};
use hearth_domain::NodeId;
use hearth_gateway::Caller;
use hearth_http::{AppState, HttpError, PathParam};
use hearth_wire::{error::ErrorEnvelope, native::nodes::NodeWoken};

/// Wake a node that sleeps, by another node of its owner in the same network. Its owner and the organisation's admins may do that.
#[utoipa::path(
    post, path = "/v1/nodes/{id}/wake", operation_id = "wake_node", tag = "nodes", security(("token" = [])),
    params(("id" = String, Path, description = "The node's id, `node_...`")),
    responses(
        (status = 200, description = "The wake-up packet is sent; the node answers when it is up", body = NodeWoken),
        (status = 403, description = "The node is another member's", body = ErrorEnvelope),
        (status = 404, description = "No such node, or the caller may not use it", body = ErrorEnvelope),
        (status = 409, description = "The address of the node's network card isn't known", body = ErrorEnvelope),
        (status = 503, description = "No other node of its owner can wake it", body = ErrorEnvelope),
    ),
)]
pub(crate) async fn wake(
    State(state): State<AppState>,
    Extension(caller): Extension<Caller>,
    PathParam(id): PathParam<NodeId>,
) -> Result<Json<NodeWoken>, HttpError> {
    Ok(Json(state.gateway.wake_node(&caller, id).await?))
}
