//! `/v1/node/...`: the requests of nodes that fetch their runs.

use std::time::Duration;

use axum::{Json, extract::State, http::StatusCode};
use hearth_domain::{NodeCallId, RunId};
use hearth_http::{AppState, HttpError, PathParam, QueryParams, SignedNode};
use hearth_wire::{
    error::ErrorEnvelope,
    relay::{
        ClaimBody, ClaimedRun, NodeBatchAccepted, NodeCallAnswer, NodeEventBatch, NodeOrders, NodeRefusal,
        NodeReport, OrdersQuery,
    },
};

/// Report the state of a node, at its start, after a change, and at the interval that the gateway sets. Returns its orders.
#[utoipa::path(
    post, path = "/v1/node/report", operation_id = "report_node", tag = "nodes", security(("token_of_node" = [])),
    request_body(content = NodeReport, example = json!({"version": "0.1.0", "now": "2026-01-31T09:30:00.000Z"})),
    responses(
        (status = 200, description = "Runs and calls for the node", body = NodeOrders),
        (status = 400, description = "The status has too many models, or too long names", body = ErrorEnvelope),
        (status = 401, description = "No enrolled node has signed the request", body = ErrorEnvelope),
        (status = 413, description = "The status is too large", body = ErrorEnvelope),
    ),
)]
pub(crate) async fn report(
    State(state): State<AppState>,
    request: SignedNode<NodeReport>,
) -> Result<Json<NodeOrders>, HttpError> {
    Ok(Json(state.gateway.relay().report(&request.node, request.body).await?))
}

/// Get the orders of a node. Waits for new ones where the gateway is one process.
#[utoipa::path(
    get, path = "/v1/node/orders", operation_id = "get_node_orders", tag = "nodes", security(("token_of_node" = [])),
    params(("wait" = Option<u32>, Query, description = "Seconds to wait for new orders, 25 at most")),
    responses(
        (status = 200, description = "Runs and calls for the node", body = NodeOrders),
        (status = 401, description = "No enrolled node has signed the request", body = ErrorEnvelope),
    ),
)]
pub(crate) async fn orders(
    State(state): State<AppState>,
    QueryParams(query): QueryParams<OrdersQuery>,
    request: SignedNode<()>,
) -> Result<Json<NodeOrders>, HttpError> {
    let wait = Duration::from_secs(query.wait.into());
    Ok(Json(state.gateway.relay().orders(&request.node, wait).await?))
}

/// Claim a run that is assigned to the node.
#[utoipa::path(
    post, path = "/v1/node/runs/{id}/claim", operation_id = "claim_run", tag = "nodes", security(("token_of_node" = [])),
    params(("id" = String, Path, description = "The run's id, `req_...`")),
    request_body(content = ClaimBody, example = json!({"process": "a-random-name"})),
    responses(
        (status = 200, description = "The run, and the fencing token for its events", body = ClaimedRun),
        (status = 401, description = "No enrolled node has signed the request", body = ErrorEnvelope),
        (status = 404, description = "The run isn't assigned to this node", body = ErrorEnvelope),
        (status = 409, description = "The run has ended, or is in progress", body = ErrorEnvelope),
    ),
)]
pub(crate) async fn claim(
    State(state): State<AppState>,
    PathParam(run): PathParam<RunId>,
    request: SignedNode<ClaimBody>,
) -> Result<Json<ClaimedRun>, HttpError> {
    Ok(Json(state.gateway.relay().claim(&request.node, run, request.body).await?))
}

/// Post events of a claimed run, or nothing to renew the claim.
#[utoipa::path(
    post, path = "/v1/node/runs/{id}/events", operation_id = "post_run_events", tag = "nodes", security(("token_of_node" = [])),
    params(("id" = String, Path, description = "The run's id, `req_...`")),
    request_body(
        content = NodeEventBatch,
        example = json!({"fence": 1, "events": [{"seq": 1, "event": "started", "prompt_tokens": 7}]}),
    ),
    responses(
        (status = 200, description = "The last event that the gateway has, and whether to stop", body = NodeBatchAccepted),
        (status = 400, description = "A node may not post these events", body = ErrorEnvelope),
        (status = 401, description = "No enrolled node has signed the request", body = ErrorEnvelope),
        (status = 404, description = "The run isn't assigned to this node", body = ErrorEnvelope),
        (status = 409, description = "The run was taken from the node", body = ErrorEnvelope),
        (status = 413, description = "The batch, or the answer, is too large", body = ErrorEnvelope),
    ),
)]
pub(crate) async fn events(
    State(state): State<AppState>,
    PathParam(run): PathParam<RunId>,
    request: SignedNode<NodeEventBatch>,
) -> Result<Json<NodeBatchAccepted>, HttpError> {
    Ok(Json(state.gateway.relay().append(&request.node, run, request.body).await?))
}

/// Refuse a claimed run before its first event.
#[utoipa::path(
    post, path = "/v1/node/runs/{id}/refuse", operation_id = "refuse_run", tag = "nodes", security(("token_of_node" = [])),
    params(("id" = String, Path, description = "The run's id, `req_...`")),
    request_body(
        content = NodeRefusal,
        example = json!({"fence": 1, "error": {"code": "queue_full", "message": "the queue of the model is full"}}),
    ),
    responses(
        (status = 204, description = "The run goes elsewhere"),
        (status = 401, description = "No enrolled node has signed the request", body = ErrorEnvelope),
        (status = 404, description = "The run isn't assigned to this node", body = ErrorEnvelope),
        (status = 409, description = "The run has events, or was taken from the node", body = ErrorEnvelope),
    ),
)]
pub(crate) async fn refuse(
    State(state): State<AppState>,
    PathParam(run): PathParam<RunId>,
    request: SignedNode<NodeRefusal>,
) -> Result<StatusCode, HttpError> {
    state.gateway.relay().refuse(&request.node, run, request.body).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Answer a call of the gateway.
#[utoipa::path(
    post, path = "/v1/node/calls/{id}/answer", operation_id = "answer_node_call", tag = "nodes", security(("token_of_node" = [])),
    params(("id" = String, Path, description = "The call's id, `call_...`")),
    request_body(content = NodeCallAnswer, example = json!({"status": 200, "body": {}})),
    responses(
        (status = 204, description = "The answer is stored"),
        (status = 401, description = "No enrolled node has signed the request", body = ErrorEnvelope),
        (status = 404, description = "The node has no such call, or nobody waits for it", body = ErrorEnvelope),
    ),
)]
pub(crate) async fn answer_call(
    State(state): State<AppState>,
    PathParam(call): PathParam<NodeCallId>,
    request: SignedNode<NodeCallAnswer>,
) -> Result<StatusCode, HttpError> {
    state.gateway.relay().answer_call(&request.node, call, request.body).await?;
    Ok(StatusCode::NO_CONTENT)
}
