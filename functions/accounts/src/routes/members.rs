//! `/v1/organisations/{id}/members`: members of an organisation.

use axum::{Extension, Json, extract::State, http::StatusCode};
use hearth_domain::{OrganisationId, UserId};
use hearth_gateway::Caller;
use hearth_http::{AppState, AuditNote, HttpError, JsonBody, PathParam, QueryParams};
use hearth_wire::{
    error::ErrorEnvelope,
    native::organisations::{ChangeMember, MemberBody, MemberList, PageQuery},
};

/// List the members of the organisation of the caller's credential. Only members who manage others see addresses.
#[utoipa::path(
    get, path = "/v1/organisations/{id}/members", operation_id = "list_members", tag = "organisations",
    security(("token" = [])), params(("id" = String, Path, description = "The organisation's id, `org_...`"), PageQuery),
    responses(
        (status = 200, description = "A page of members", body = MemberList),
        (status = 400, description = "The request is malformed; `param` names the field", body = ErrorEnvelope),
        (status = 404, description = "The credential doesn't act in this organisation", body = ErrorEnvelope),
    ),
)]
pub(crate) async fn list(
    State(state): State<AppState>,
    Extension(caller): Extension<Caller>,
    PathParam(id): PathParam<OrganisationId>,
    QueryParams(query): QueryParams<PageQuery>,
) -> Result<Json<MemberList>, HttpError> {
    Ok(Json(state.gateway.organisations().members(&caller, id, &query).await?))
}

/// Describe a member.
#[utoipa::path(
    get, path = "/v1/organisations/{id}/members/{user}", operation_id = "get_member", tag = "organisations",
    security(("token" = [])), params(
        ("id" = String, Path, description = "The organisation's id, `org_...`"),
        ("user" = String, Path, description = "The user's id, `usr_...`"),
    ),
    responses(
        (status = 200, description = "The member", body = MemberBody),
        (status = 404, description = "No such member", body = ErrorEnvelope),
    ),
)]
pub(crate) async fn get(
    State(state): State<AppState>,
    Extension(caller): Extension<Caller>,
    PathParam((id, user)): PathParam<(OrganisationId, UserId)>,
) -> Result<Json<MemberBody>, HttpError> {
    Ok(Json(state.gateway.organisations().member(&caller, id, user).await?))
}

/// Change the role or the teams of a member. The caller's role must allow everything that the member's roles, before and
/// after, allow.
#[utoipa::path(
    patch, path = "/v1/organisations/{id}/members/{user}", operation_id = "change_member", tag = "organisations",
    security(("token" = [])), params(
        ("id" = String, Path, description = "The organisation's id, `org_...`"),
        ("user" = String, Path, description = "The user's id, `usr_...`"),
    ),
    request_body(content = ChangeMember, example = json!({"role": "admin"})),
    responses(
        (status = 200, description = "The member", body = MemberBody),
        (status = 400, description = "The request is malformed; `param` names the field", body = ErrorEnvelope),
        (status = 404, description = "No such member", body = ErrorEnvelope),
        (status = 409, description = "It is the last owner", body = ErrorEnvelope),
    ),
)]
pub(crate) async fn change(
    State(state): State<AppState>,
    Extension(caller): Extension<Caller>,
    PathParam((id, user)): PathParam<(OrganisationId, UserId)>,
    note: AuditNote,
    JsonBody(request): JsonBody<ChangeMember>,
) -> Result<Json<MemberBody>, HttpError> {
    if let Some(role) = request.role {
        note.detail("role", role.as_str());
    }
    Ok(Json(state.gateway.organisations().change_member(&caller, id, user, request).await?))
}

/// Remove a member. Their credentials in the organisation stop working: here at once, in other processes within ten seconds.
#[utoipa::path(
    delete, path = "/v1/organisations/{id}/members/{user}", operation_id = "remove_member", tag = "organisations",
    security(("token" = [])), params(
        ("id" = String, Path, description = "The organisation's id, `org_...`"),
        ("user" = String, Path, description = "The user's id, `usr_...`"),
    ),
    responses(
        (status = 204, description = "The user is no longer a member"),
        (status = 404, description = "No such member", body = ErrorEnvelope),
        (status = 409, description = "It is the last owner", body = ErrorEnvelope),
    ),
)]
pub(crate) async fn remove(
    State(state): State<AppState>,
    Extension(caller): Extension<Caller>,
    PathParam((id, user)): PathParam<(OrganisationId, UserId)>,
) -> Result<StatusCode, HttpError> {
    state.gateway.organisations().remove_member(&caller, id, user).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Leave the organisation of the caller's credential.
#[utoipa::path(
    post, path = "/v1/organisations/{id}/leave", operation_id = "leave_organisation", tag = "organisations",
    security(("token" = [])), params(("id" = String, Path, description = "The organisation's id, `org_...`")),
    responses(
        (status = 204, description = "The caller is no longer a member"),
        (status = 404, description = "The credential doesn't act in this organisation", body = ErrorEnvelope),
        (status = 409, description = "The caller is the last owner", body = ErrorEnvelope),
    ),
)]
pub(crate) async fn leave(
    State(state): State<AppState>,
    Extension(caller): Extension<Caller>,
    PathParam(id): PathParam<OrganisationId>,
) -> Result<StatusCode, HttpError> {
    state.gateway.organisations().leave(&caller, id).await?;
    Ok(StatusCode::NO_CONTENT)
}
