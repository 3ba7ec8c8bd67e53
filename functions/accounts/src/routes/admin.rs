//! `/v1/admin`: organisations, users and tokens of the whole gateway.

use axum::{Extension, Json, extract::State, http::StatusCode};
use hearth_domain::{OrganisationId, TokenId, UserId};
use hearth_gateway::Caller;
use hearth_http::{AppState, AuditNote, HttpError, JsonBody, PathParam, QueryParams};
use hearth_wire::{
    error::ErrorEnvelope,
    native::{
        administration::{
            AdminTokenList, AdminTokenQuery, AdminUserBody, AdminUserDetails, AdminUserList,
            AdministerOrganisation, AdministerUser, OrganisationList, PutMember,
        },
        organisations::{MemberBody, OrganisationBody, PageQuery},
    },
};

/// List all organisations, oldest first.
#[utoipa::path(
    get, path = "/v1/admin/organisations", operation_id = "list_all_organisations", tag = "administration",
    security(("token" = [])), params(PageQuery),
    responses(
        (status = 200, description = "A page of organisations", body = OrganisationList),
        (status = 400, description = "The request is malformed; `param` names the field", body = ErrorEnvelope),
    ),
)]
pub(crate) async fn list_organisations(
    State(state): State<AppState>,
    Extension(caller): Extension<Caller>,
    QueryParams(query): QueryParams<PageQuery>,
) -> Result<Json<OrganisationList>, HttpError> {
    Ok(Json(state.gateway.organisations().list_all(&caller, &query).await?))
}

/// Describe any organisation.
#[utoipa::path(
    get, path = "/v1/admin/organisations/{id}", operation_id = "get_any_organisation", tag = "administration",
    security(("token" = [])), params(("id" = String, Path, description = "The organisation's id, `org_...`")),
    responses(
        (status = 200, description = "The organisation", body = OrganisationBody),
        (status = 404, description = "No such organisation", body = ErrorEnvelope),
    ),
)]
pub(crate) async fn get_organisation(
    State(state): State<AppState>,
    Extension(caller): Extension<Caller>,
    PathParam(id): PathParam<OrganisationId>,
) -> Result<Json<OrganisationBody>, HttpError> {
    Ok(Json(state.gateway.organisations().get_any(&caller, id).await?))
}

/// Change any organisation; disable or enable it. The credentials of a disabled organisation aren't accepted.
#[utoipa::path(
    patch, path = "/v1/admin/organisations/{id}", operation_id = "administer_organisation", tag = "administration",
    security(("token" = [])), params(("id" = String, Path, description = "The organisation's id, `org_...`")),
    request_body(content = AdministerOrganisation, example = json!({"disabled": true})),
    responses(
        (status = 200, description = "The organisation", body = OrganisationBody),
        (status = 400, description = "The request is malformed; `param` names the field", body = ErrorEnvelope),
        (status = 404, description = "No such organisation", body = ErrorEnvelope),
        (status = 409, description = "The operator's organisation can't be disabled", body = ErrorEnvelope),
    ),
)]
pub(crate) async fn change_organisation(
    State(state): State<AppState>,
    Extension(caller): Extension<Caller>,
    PathParam(id): PathParam<OrganisationId>,
    JsonBody(request): JsonBody<AdministerOrganisation>,
) -> Result<Json<OrganisationBody>, HttpError> {
    Ok(Json(state.gateway.organisations().administer(&caller, id, request).await?))
}

/// Delete any organisation, with its teams and memberships.
#[utoipa::path(
    delete, path = "/v1/admin/organisations/{id}", operation_id = "delete_any_organisation", tag = "administration",
    security(("token" = [])), params(("id" = String, Path, description = "The organisation's id, `org_...`")),
    responses(
        (status = 204, description = "The organisation is deleted; its credentials no longer work"),
        (status = 404, description = "No such organisation", body = ErrorEnvelope),
        (status = 409, description = "It is the operator's organisation, or has nodes", body = ErrorEnvelope),
    ),
)]
pub(crate) async fn delete_organisation(
    State(state): State<AppState>,
    PathParam(id): PathParam<OrganisationId>,
) -> Result<StatusCode, HttpError> {
    state.gateway.organisations().delete_any(id).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Add a user to any organisation, or change a member's role.
#[utoipa::path(
    put, path = "/v1/admin/organisations/{id}/members/{user}", operation_id = "put_any_member", tag = "administration",
    security(("token" = [])), params(
        ("id" = String, Path, description = "The organisation's id, `org_...`"),
        ("user" = String, Path, description = "The user's id, `usr_...`"),
    ),
    request_body(content = PutMember, example = json!({"role": "owner"})),
    responses(
        (status = 200, description = "The member", body = MemberBody),
        (status = 400, description = "The request is malformed; `param` names the field", body = ErrorEnvelope),
        (status = 404, description = "No such organisation or user", body = ErrorEnvelope),
        (status = 409, description = "It is the last owner", body = ErrorEnvelope),
    ),
)]
pub(crate) async fn put_member(
    State(state): State<AppState>,
    Extension(caller): Extension<Caller>,
    PathParam((id, user)): PathParam<(OrganisationId, UserId)>,
    note: AuditNote,
    JsonBody(request): JsonBody<PutMember>,
) -> Result<Json<MemberBody>, HttpError> {
    note.detail("role", request.role.as_str());
    Ok(Json(state.gateway.organisations().put_member(&caller, id, user, &request).await?))
}

/// Remove a member of any organisation.
#[utoipa::path(
    delete, path = "/v1/admin/organisations/{id}/members/{user}", operation_id = "remove_any_member",
    tag = "administration", security(("token" = [])), params(
        ("id" = String, Path, description = "The organisation's id, `org_...`"),
        ("user" = String, Path, description = "The user's id, `usr_...`"),
    ),
    responses(
        (status = 204, description = "The user is no longer a member"),
        (status = 404, description = "No such organisation or member", body = ErrorEnvelope),
        (status = 409, description = "It is the last owner", body = ErrorEnvelope),
    ),
)]
pub(crate) async fn remove_member(
    State(state): State<AppState>,
    Extension(caller): Extension<Caller>,
    PathParam((id, user)): PathParam<(OrganisationId, UserId)>,
) -> Result<StatusCode, HttpError> {
    state.gateway.organisations().remove_any_member(&caller, id, user).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// List all users, oldest first.
#[utoipa::path(
    get, path = "/v1/admin/users", operation_id = "list_all_users", tag = "administration",
    security(("token" = [])), params(PageQuery),
    responses(
        (status = 200, description = "A page of users", body = AdminUserList),
        (status = 400, description = "The request is malformed; `param` names the field", body = ErrorEnvelope),
    ),
)]
pub(crate) async fn list_users(
    State(state): State<AppState>,
    Extension(caller): Extension<Caller>,
    QueryParams(query): QueryParams<PageQuery>,
) -> Result<Json<AdminUserList>, HttpError> {
    Ok(Json(state.gateway.organisations().list_users(&caller, &query).await?))
}

/// Describe a user, with their organisations.
#[utoipa::path(
    get, path = "/v1/admin/users/{id}", operation_id = "get_any_user", tag = "administration",
    security(("token" = [])), params(("id" = String, Path, description = "The user's id, `usr_...`")),
    responses(
        (status = 200, description = "The user", body = AdminUserDetails),
        (status = 404, description = "No such user", body = ErrorEnvelope),
    ),
)]
pub(crate) async fn get_user(
    State(state): State<AppState>,
    PathParam(id): PathParam<UserId>,
) -> Result<Json<AdminUserDetails>, HttpError> {
    Ok(Json(state.gateway.organisations().user_details(id).await?))
}

/// Disable or enable a user. The credentials of a disabled user aren't accepted.
#[utoipa::path(
    patch, path = "/v1/admin/users/{id}", operation_id = "administer_user", tag = "administration",
    security(("token" = [])), params(("id" = String, Path, description = "The user's id, `usr_...`")),
    request_body(content = AdministerUser, example = json!({"disabled": true})),
    responses(
        (status = 200, description = "The user", body = AdminUserBody),
        (status = 400, description = "The request is malformed; `param` names the field", body = ErrorEnvelope),
        (status = 404, description = "No such user", body = ErrorEnvelope),
        (status = 409, description = "It is the caller, or the gateway's first operator", body = ErrorEnvelope),
    ),
)]
pub(crate) async fn change_user(
    State(state): State<AppState>,
    Extension(caller): Extension<Caller>,
    PathParam(id): PathParam<UserId>,
    JsonBody(request): JsonBody<AdministerUser>,
) -> Result<Json<AdminUserBody>, HttpError> {
    Ok(Json(state.gateway.organisations().administer_user(&caller, id, &request).await?))
}

/// List the tokens of one user, or of all users, without their texts.
#[utoipa::path(
    get, path = "/v1/admin/tokens", operation_id = "list_all_tokens", tag = "administration",
    security(("token" = [])), params(AdminTokenQuery),
    responses(
        (status = 200, description = "The tokens of a page of users", body = AdminTokenList),
        (status = 400, description = "The request is malformed; `param` names the field", body = ErrorEnvelope),
        (status = 404, description = "No such user", body = ErrorEnvelope),
    ),
)]
pub(crate) async fn list_tokens(
    State(state): State<AppState>,
    Extension(caller): Extension<Caller>,
    QueryParams(query): QueryParams<AdminTokenQuery>,
) -> Result<Json<AdminTokenList>, HttpError> {
    Ok(Json(state.gateway.organisations().list_tokens(&caller, query).await?))
}

/// Revoke a token of any user: here at once, in other processes within ten seconds.
#[utoipa::path(
    delete, path = "/v1/admin/users/{id}/tokens/{token}", operation_id = "revoke_any_token", tag = "administration",
    security(("token" = [])), params(
        ("id" = String, Path, description = "The user's id, `usr_...`"),
        ("token" = String, Path, description = "The token's id, `tok_...`"),
    ),
    responses(
        (status = 204, description = "The token is revoked"),
        (status = 404, description = "The user has no such token", body = ErrorEnvelope),
    ),
)]
pub(crate) async fn revoke_token(
    State(state): State<AppState>,
    Extension(caller): Extension<Caller>,
    PathParam((id, token)): PathParam<(UserId, TokenId)>,
) -> Result<StatusCode, HttpError> {
    state.gateway.organisations().revoke_token(&caller, id, token).await?;
    Ok(StatusCode::NO_CONTENT)
}
