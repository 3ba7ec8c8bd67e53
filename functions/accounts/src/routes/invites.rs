//! `/v1/users/invites`: invitations into the caller's organisation.

use axum::{Extension, Json, extract::State, http::StatusCode};
use hearth_domain::InviteId;
use hearth_gateway::Caller;
use hearth_http::{AppState, AuditNote, HttpError, JsonBody, PathParam};
use hearth_wire::{
    error::ErrorEnvelope,
    native::{
        invites::{AcceptInvite, CreateInvite, CreatedInvite, InviteList},
        users::MembershipBody,
    },
};

/// Invite somebody into the caller's organisation. The code is in this response and stored nowhere.
#[utoipa::path(
    post, path = "/v1/users/invites", operation_id = "create_invite", tag = "accounts", security(("token" = [])),
    request_body(content = CreateInvite, example = json!({"role": "developer", "email": "ada@example.org"})),
    responses(
        (status = 201, description = "The invitation; its code is shown this once", body = CreatedInvite),
        (status = 400, description = "The request is malformed; `param` names the field", body = ErrorEnvelope),
        (status = 403, description = "The role may do more than the caller's, or the permission is missing", body = ErrorEnvelope),
        (status = 409, description = "The organisation has too many open invitations", body = ErrorEnvelope),
    ),
)]
pub(crate) async fn create(
    State(state): State<AppState>,
    Extension(caller): Extension<Caller>,
    note: AuditNote,
    JsonBody(request): JsonBody<CreateInvite>,
) -> Result<(StatusCode, Json<CreatedInvite>), HttpError> {
    note.detail("role", request.role.as_str());
    let created = state.gateway.create_invite(&caller, request).await?;
    note.resource(&created.record.id);
    Ok((StatusCode::CREATED, Json(created)))
}

/// List the invitations that can still be accepted, oldest first.
#[utoipa::path(
    get, path = "/v1/users/invites", operation_id = "list_invites", tag = "accounts", security(("token" = [])),
    responses((status = 200, description = "The invitations, without their codes", body = InviteList)),
)]
pub(crate) async fn list(
    State(state): State<AppState>,
    Extension(caller): Extension<Caller>,
) -> Result<Json<InviteList>, HttpError> {
    Ok(Json(state.gateway.list_invites(&caller).await?))
}

/// Revoke an invitation.
#[utoipa::path(
    delete, path = "/v1/users/invites/{id}", operation_id = "revoke_invite", tag = "accounts", security(("token" = [])),
    params(("id" = String, Path, description = "The invitation's id, `inv_...`")),
    responses(
        (status = 204, description = "The invitation is revoked"),
        (status = 404, description = "No such invitation, or it was accepted", body = ErrorEnvelope),
    ),
)]
pub(crate) async fn revoke(
    State(state): State<AppState>,
    Extension(caller): Extension<Caller>,
    PathParam(id): PathParam<InviteId>,
) -> Result<StatusCode, HttpError> {
    state.gateway.revoke_invite(&caller, id).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Accept an invitation into another organisation, as a user who has an account.
#[utoipa::path(
    post, path = "/v1/users/me/invites/accept", operation_id = "accept_invite", tag = "accounts", security(("token" = [])),
    request_body(content = AcceptInvite, example = json!({"code": "hinv_..."})),
    responses(
        (status = 200, description = "The new membership", body = MembershipBody),
        (status = 400, description = "The request is malformed; `param` names the field", body = ErrorEnvelope),
        (status = 403, description = "The code isn't valid, or is for another address", body = ErrorEnvelope),
        (status = 409, description = "The caller is a member already", body = ErrorEnvelope),
    ),
)]
pub(crate) async fn accept(
    State(state): State<AppState>,
    Extension(caller): Extension<Caller>,
    JsonBody(request): JsonBody<AcceptInvite>,
) -> Result<Json<MembershipBody>, HttpError> {
    Ok(Json(state.gateway.accept_invite(&caller, &request.code).await?))
}
