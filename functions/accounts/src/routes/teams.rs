//! `/v1/organisations/{id}/teams`: teams of an organisation.

use axum::{Extension, Json, extract::State, http::StatusCode};
use hearth_domain::{OrganisationId, TeamId, UserId};
use hearth_gateway::Caller;
use hearth_http::{AppState, AuditNote, HttpError, JsonBody, PathParam};
use hearth_wire::{
    error::ErrorEnvelope,
    native::organisations::{TeamBody, TeamList, TeamName},
};

/// List the teams of the organisation of the caller's credential.
#[utoipa::path(
    get, path = "/v1/organisations/{id}/teams", operation_id = "list_teams", tag = "organisations",
    security(("token" = [])), params(("id" = String, Path, description = "The organisation's id, `org_...`")),
    responses(
        (status = 200, description = "The teams", body = TeamList),
        (status = 404, description = "The credential doesn't act in this organisation", body = ErrorEnvelope),
    ),
)]
pub(crate) async fn list(
    State(state): State<AppState>,
    Extension(caller): Extension<Caller>,
    PathParam(id): PathParam<OrganisationId>,
) -> Result<Json<TeamList>, HttpError> {
    Ok(Json(state.gateway.organisations().teams(&caller, id).await?))
}

/// Create a team.
#[utoipa::path(
    post, path = "/v1/organisations/{id}/teams", operation_id = "create_team", tag = "organisations",
    security(("token" = [])), params(("id" = String, Path, description = "The organisation's id, `org_...`")),
    request_body(content = TeamName, example = json!({"name": "platform"})),
    responses(
        (status = 201, description = "The team", body = TeamBody),
        (status = 400, description = "The request is malformed; `param` names the field", body = ErrorEnvelope),
        (status = 404, description = "The credential doesn't act in this organisation", body = ErrorEnvelope),
        (status = 409, description = "The organisation has too many teams", body = ErrorEnvelope),
    ),
)]
pub(crate) async fn create(
    State(state): State<AppState>,
    Extension(caller): Extension<Caller>,
    PathParam(id): PathParam<OrganisationId>,
    note: AuditNote,
    JsonBody(request): JsonBody<TeamName>,
) -> Result<(StatusCode, Json<TeamBody>), HttpError> {
    let team = state.gateway.organisations().create_team(&caller, id, &request.name).await?;
    note.resource(&team.id);
    Ok((StatusCode::CREATED, Json(team)))
}

/// Describe a team.
#[utoipa::path(
    get, path = "/v1/organisations/{id}/teams/{team}", operation_id = "get_team", tag = "organisations",
    security(("token" = [])), params(
        ("id" = String, Path, description = "The organisation's id, `org_...`"),
        ("team" = String, Path, description = "The team's id, `team_...`"),
    ),
    responses(
        (status = 200, description = "The team", body = TeamBody),
        (status = 404, description = "No such team", body = ErrorEnvelope),
    ),
)]
pub(crate) async fn get(
    State(state): State<AppState>,
    Extension(caller): Extension<Caller>,
    PathParam((id, team)): PathParam<(OrganisationId, TeamId)>,
) -> Result<Json<TeamBody>, HttpError> {
    Ok(Json(state.gateway.organisations().team(&caller, id, team).await?))
}

/// Rename a team.
#[utoipa::path(
    patch, path = "/v1/organisations/{id}/teams/{team}", operation_id = "rename_team", tag = "organisations",
    security(("token" = [])), params(
        ("id" = String, Path, description = "The organisation's id, `org_...`"),
        ("team" = String, Path, description = "The team's id, `team_...`"),
    ),
    request_body(content = TeamName, example = json!({"name": "research"})),
    responses(
        (status = 200, description = "The team", body = TeamBody),
        (status = 400, description = "The request is malformed; `param` names the field", body = ErrorEnvelope),
        (status = 404, description = "No such team", body = ErrorEnvelope),
    ),
)]
pub(crate) async fn rename(
    State(state): State<AppState>,
    Extension(caller): Extension<Caller>,
    PathParam((id, team)): PathParam<(OrganisationId, TeamId)>,
    JsonBody(request): JsonBody<TeamName>,
) -> Result<Json<TeamBody>, HttpError> {
    Ok(Json(state.gateway.organisations().rename_team(&caller, id, team, &request.name).await?))
}

/// Delete a team. Its members stay members of the organisation.
#[utoipa::path(
    delete, path = "/v1/organisations/{id}/teams/{team}", operation_id = "delete_team", tag = "organisations",
    security(("token" = [])), params(
        ("id" = String, Path, description = "The organisation's id, `org_...`"),
        ("team" = String, Path, description = "The team's id, `team_...`"),
    ),
    responses(
        (status = 204, description = "The team is deleted"),
        (status = 404, description = "No such team", body = ErrorEnvelope),
    ),
)]
pub(crate) async fn delete(
    State(state): State<AppState>,
    Extension(caller): Extension<Caller>,
    PathParam((id, team)): PathParam<(OrganisationId, TeamId)>,
) -> Result<StatusCode, HttpError> {
    state.gateway.organisations().delete_team(&caller, id, team).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Add a member of the organisation to a team.
#[utoipa::path(
    put, path = "/v1/organisations/{id}/teams/{team}/members/{user}", operation_id = "add_team_member",
    tag = "organisations", security(("token" = [])), params(
        ("id" = String, Path, description = "The organisation's id, `org_...`"),
        ("team" = String, Path, description = "The team's id, `team_...`"),
        ("user" = String, Path, description = "The user's id, `usr_...`"),
    ),
    responses(
        (status = 204, description = "The member is in the team"),
        (status = 400, description = "The member is in too many teams", body = ErrorEnvelope),
        (status = 404, description = "No such team or member", body = ErrorEnvelope),
    ),
)]
pub(crate) async fn add_member(
    State(state): State<AppState>,
    Extension(caller): Extension<Caller>,
    PathParam((id, team, user)): PathParam<(OrganisationId, TeamId, UserId)>,
) -> Result<StatusCode, HttpError> {
    state.gateway.organisations().add_to_team(&caller, id, team, user).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Remove a member of the organisation from a team.
#[utoipa::path(
    delete, path = "/v1/organisations/{id}/teams/{team}/members/{user}", operation_id = "remove_team_member",
    tag = "organisations", security(("token" = [])), params(
        ("id" = String, Path, description = "The organisation's id, `org_...`"),
        ("team" = String, Path, description = "The team's id, `team_...`"),
        ("user" = String, Path, description = "The user's id, `usr_...`"),
    ),
    responses(
        (status = 204, description = "The member isn't in the team"),
        (status = 404, description = "No such team or member", body = ErrorEnvelope),
    ),
)]
pub(crate) async fn remove_member(
    State(state): State<AppState>,
    Extension(caller): Extension<Caller>,
    PathParam((id, team, user)): PathParam<(OrganisationId, TeamId, UserId)>,
) -> Result<StatusCode, HttpError> {
    state.gateway.organisations().remove_from_team(&caller, id, team, user).await?;
    Ok(StatusCode::NO_CONTENT)
}
