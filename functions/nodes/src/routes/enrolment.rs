//! `/v1/nodes/codes` and `/v1/node/enroll`: codes, and the nodes that are enrolled by them.

use axum::{Extension, Json, extract::State, http::StatusCode};
use hearth_gateway::Caller;
use hearth_http::{AppState, AuditNote, ClientAddress, HttpError, JsonBody, PublicUrl};
use hearth_wire::{
    error::ErrorEnvelope,
    native::nodes::{CreateNodeCode, CreatedNodeCode},
    relay::{EnrollBody, Enrolled},
};

/// Text in a command for the gateway's address, if the client's request doesn't show it.
const UNKNOWN_ADDRESS: &str = "<gateway>";

/// Create a code, by which one node is enrolled within ten minutes. The code is in this response and stored nowhere.
#[utoipa::path(
    post, path = "/v1/nodes/codes", operation_id = "create_node_code", tag = "nodes", security(("token" = [])),
    request_body(content = CreateNodeCode, example = json!({"name": "box in the cellar"})),
    responses(
        (status = 201, description = "The code, shown this once, and the command to run on the node", body = CreatedNodeCode),
        (status = 400, description = "The request is malformed; `param` names the field", body = ErrorEnvelope),
        (status = 409, description = "The organisation has too many nodes", body = ErrorEnvelope),
    ),
)]
pub(crate) async fn create_code(
    State(state): State<AppState>,
    Extension(caller): Extension<Caller>,
    url: PublicUrl,
    JsonBody(request): JsonBody<CreateNodeCode>,
) -> Result<(StatusCode, Json<CreatedNodeCode>), HttpError> {
    let created = state.gateway.create_node_code(&caller, request).await?;
    let address = if url.0.is_empty() { UNKNOWN_ADDRESS } else { &url.0 };
    let code = created.code.expose().to_owned();
    let command = format!("hearth node enroll {address} {code}");
    let body = CreatedNodeCode { code, expires_at: created.expires_at.to_string(), command };
    Ok((StatusCode::CREATED, Json(body)))
}

/// Enrol a node by a code. The node signs its later requests by its key.
#[utoipa::path(
    post, path = "/v1/node/enroll", operation_id = "enroll_node", tag = "nodes",
    request_body(
        content = EnrollBody,
        example = json!({
            "code": "hnode_...", "public_key": "11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo=", "name": "box", "version": "0.1.0"
        }),
    ),
    responses(
        (status = 201, description = "The node's id, and the key of the gateway's requests", body = Enrolled),
        (status = 400, description = "The request is malformed; `param` names the field", body = ErrorEnvelope),
        (status = 403, description = "The code isn't valid", body = ErrorEnvelope),
        (status = 409, description = "The organisation has too many nodes", body = ErrorEnvelope),
        (status = 429, description = "Too many attempts from this address", body = ErrorEnvelope),
    ),
)]
pub(crate) async fn enroll(
    State(state): State<AppState>,
    ClientAddress(address): ClientAddress,
    note: AuditNote,
    JsonBody(request): JsonBody<EnrollBody>,
) -> Result<(StatusCode, Json<Enrolled>), HttpError> {
    let (owner, enrolled) = state.gateway.enroll_node(request, address).await?;
    note.subject(owner.user, Some(owner.organisation), None);
    note.resource(enrolled.node);
    Ok((StatusCode::CREATED, Json(enrolled)))
}
