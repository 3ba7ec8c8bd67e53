//! `/v1/organisations`: organisations.

use axum::{Extension, Json, extract::State, http::StatusCode};
use hearth_domain::OrganisationId;
use hearth_gateway::Caller;
use hearth_http::{AppState, AuditNote, HttpError, JsonBody, PathParam};
use hearth_wire::{
    error::ErrorEnvelope,
    native::organisations::{ChangeOrganisation, CreateOrganisation, OrganisationBody, OwnOrganisations},
};

/// Create an organisation. Its owner is a user of this gateway; the gateway's operators create organisations.
#[utoipa::path(
    post, path = "/v1/organisations", operation_id = "create_organisation", tag = "organisations",
    security(("token" = [])), request_body(content = CreateOrganisation, example = json!({"name": "Foundry"})),
    responses(
        (status = 201, description = "The organisation", body = OrganisationBody),
        (status = 400, description = "The request is malformed; `param` names the field", body = ErrorEnvelope),
    ),
)]
pub(crate) async fn create(
    State(state): State<AppState>,
    Extension(caller): Extension<Caller>,
    note: AuditNote,
    JsonBody(request): JsonBody<CreateOrganisation>,
) -> Result<(StatusCode, Json<OrganisationBody>), HttpError> {
    let body = state.gateway.organisations().create(&caller, request).await?;
    note.resource(&body.id);
    Ok((StatusCode::CREATED, Json(body)))
}

/// List the caller's organisations, oldest first. A membership of the last second may be missing.
#[utoipa::path(
    get, path = "/v1/organisations", operation_id = "list_organisations", tag = "organisations",
    security(("token" = [])),
    responses((status = 200, description = "The organisations", body = OwnOrganisations)),
)]
pub(crate) async fn list(
    State(state): State<AppState>,
    Extension(caller): Extension<Caller>,
) -> Result<Json<OwnOrganisations>, HttpError> {
    Ok(Json(state.gateway.organisations().own(&caller).await?))
}

/// Describe the organisation of the caller's credential.
#[utoipa::path(
    get, path = "/v1/organisations/{id}", operation_id = "get_organisation", tag = "organisations",
    security(("token" = [])), params(("id" = String, Path, description = "The organisation's id, `org_...`")),
    responses(
        (status = 200, description = "The organisation", body = OrganisationBody),
        (status = 404, description = "The credential doesn't act in this organisation", body = ErrorEnvelope),
    ),
)]
pub(crate) async fn get(
    State(state): State<AppState>,
    Extension(caller): Extension<Caller>,
    PathParam(id): PathParam<OrganisationId>,
) -> Result<Json<OrganisationBody>, HttpError> {
    Ok(Json(state.gateway.organisations().get(&caller, id).await?))
}

/// Change the name or the regions of the organisation of the caller's credential.
#[utoipa::path(
    patch, path = "/v1/organisations/{id}", operation_id = "change_organisation", tag = "organisations",
    security(("token" = [])), params(("id" = String, Path, description = "The organisation's id, `org_...`")),
    request_body(content = ChangeOrganisation, example = json!({"regions": ["eu-central-1"]})),
    responses(
        (status = 200, description = "The organisation", body = OrganisationBody),
        (status = 400, description = "The request is malformed; `param` names the field", body = ErrorEnvelope),
        (status = 404, description = "The credential doesn't act in this organisation", body = ErrorEnvelope),
    ),
)]
pub(crate) async fn change(
    State(state): State<AppState>,
    Extension(caller): Extension<Caller>,
    PathParam(id): PathParam<OrganisationId>,
    JsonBody(request): JsonBody<ChangeOrganisation>,
) -> Result<Json<OrganisationBody>, HttpError> {
    Ok(Json(state.gateway.organisations().change(&caller, id, request).await?))
}

/// Delete the organisation of the caller's credential, with its teams and memberships.
#[utoipa::path(
    delete, path = "/v1/organisations/{id}", operation_id = "delete_organisation", tag = "organisations",
    security(("token" = [])), params(("id" = String, Path, description = "The organisation's id, `org_...`")),
    responses(
        (status = 204, description = "The organisation is deleted; its credentials no longer work"),
        (status = 404, description = "The credential doesn't act in this organisation", body = ErrorEnvelope),
        (status = 409, description = "It is the operator's organisation, or has nodes", body = ErrorEnvelope),
    ),
)]
pub(crate) async fn delete(
    State(state): State<AppState>,
    Extension(caller): Extension<Caller>,
    PathParam(id): PathParam<OrganisationId>,
) -> Result<StatusCode, HttpError> {
    state.gateway.organisations().delete(&caller, id).await?;
    Ok(StatusCode::NO_CONTENT)
}
