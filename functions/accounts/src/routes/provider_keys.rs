//! `/v1/users/provider-keys` and `/v1/organisations/{id}/provider-keys`: stored credentials of providers.

use axum::{Extension, Json, extract::State, http::StatusCode};
use hearth_domain::{CredentialId, OrganisationId};
use hearth_gateway::{Caller, accounts::provider_keys::KeyScope};
use hearth_http::{AppState, AuditNote, HttpError, JsonBody, PathParam};
use hearth_wire::{
    error::ErrorEnvelope,
    native::provider_keys::{CreateProviderKey, ProviderKeyBody, ProviderKeyList, UpdateProviderKey},
};

/// Store a key of one's own for a provider. It pays for the caller's requests to this provider, before any other key.
#[utoipa::path(
    post, path = "/v1/users/provider-keys", operation_id = "create_own_provider_key", tag = "accounts", security(("token" = [])),
    request_body(content = CreateProviderKey, example = json!({"provider": "openai", "credential": {"key": "sk-..."}})),
    responses(
        (status = 201, description = "The stored key, without its secret", body = ProviderKeyBody),
        (status = 400, description = "The request is malformed; `param` names the field", body = ErrorEnvelope),
        (status = 409, description = "There are too many keys", body = ErrorEnvelope),
    ),
)]
pub(crate) async fn create_own(
    State(state): State<AppState>,
    Extension(caller): Extension<Caller>,
    note: AuditNote,
    JsonBody(request): JsonBody<CreateProviderKey>,
) -> Result<(StatusCode, Json<ProviderKeyBody>), HttpError> {
    create(&state, &caller, KeyScope::Own, note, request).await
}

/// List one's own keys of providers.
#[utoipa::path(
    get, path = "/v1/users/provider-keys", operation_id = "list_own_provider_keys", tag = "accounts", security(("token" = [])),
    responses((status = 200, description = "The keys, without their secrets", body = ProviderKeyList)),
)]
pub(crate) async fn list_own(
    State(state): State<AppState>,
    Extension(caller): Extension<Caller>,
) -> Result<Json<ProviderKeyList>, HttpError> {
    Ok(Json(state.gateway.provider_keys().list(&caller, KeyScope::Own).await?))
}

/// Change a key of one's own: its name, or its secret.
#[utoipa::path(
    patch, path = "/v1/users/provider-keys/{id}", operation_id = "change_own_provider_key", tag = "accounts", security(("token" = [])),
    params(("id" = String, Path, description = "The key's id, `cred_...`")),
    request_body(content = UpdateProviderKey, example = json!({"credential": {"key": "sk-..."}})),
    responses(
        (status = 200, description = "The changed key", body = ProviderKeyBody),
        (status = 400, description = "The request is malformed; `param` names the field", body = ErrorEnvelope),
        (status = 404, description = "No such key", body = ErrorEnvelope),
    ),
)]
pub(crate) async fn change_own(
    State(state): State<AppState>,
    Extension(caller): Extension<Caller>,
    PathParam(id): PathParam<CredentialId>,
    JsonBody(request): JsonBody<UpdateProviderKey>,
) -> Result<Json<ProviderKeyBody>, HttpError> {
    Ok(Json(state.gateway.provider_keys().update(&caller, KeyScope::Own, id, request).await?))
}

/// Delete a key of one's own.
#[utoipa::path(
    delete, path = "/v1/users/provider-keys/{id}", operation_id = "delete_own_provider_key", tag = "accounts", security(("token" = [])),
    params(("id" = String, Path, description = "The key's id, `cred_...`")),
    responses(
        (status = 204, description = "The key is deleted"),
        (status = 404, description = "No such key", body = ErrorEnvelope),
    ),
)]
pub(crate) async fn delete_own(
    State(state): State<AppState>,
    Extension(caller): Extension<Caller>,
    PathParam(id): PathParam<CredentialId>,
) -> Result<StatusCode, HttpError> {
    state.gateway.provider_keys().delete(&caller, KeyScope::Own, id).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Store a key of the organisation, or of one of its teams. It pays for its members' requests to this provider, if
/// they have none of their own.
#[utoipa::path(
    post, path = "/v1/organisations/{id}/provider-keys", operation_id = "create_organisation_provider_key", tag = "accounts",
    security(("token" = [])),
    params(("id" = String, Path, description = "The organisation's id, `org_...`")),
    request_body(content = CreateProviderKey, example = json!({"provider": "openai", "credential": {"key": "sk-..."}})),
    responses(
        (status = 201, description = "The stored key, without its secret", body = ProviderKeyBody),
        (status = 400, description = "The request is malformed; `param` names the field", body = ErrorEnvelope),
        (status = 404, description = "No such organisation or team", body = ErrorEnvelope),
        (status = 409, description = "There are too many keys", body = ErrorEnvelope),
    ),
)]
pub(crate) async fn create_of_organisation(
    State(state): State<AppState>,
    Extension(caller): Extension<Caller>,
    PathParam(organisation): PathParam<OrganisationId>,
    note: AuditNote,
    JsonBody(request): JsonBody<CreateProviderKey>,
) -> Result<(StatusCode, Json<ProviderKeyBody>), HttpError> {
    create(&state, &caller, KeyScope::Organisation(organisation), note, request).await
}

/// List the keys of the organisation and of its teams.
#[utoipa::path(
    get, path = "/v1/organisations/{id}/provider-keys", operation_id = "list_organisation_provider_keys", tag = "accounts",
    security(("token" = [])),
    params(("id" = String, Path, description = "The organisation's id, `org_...`")),
    responses(
        (status = 200, description = "The keys, without their secrets", body = ProviderKeyList),
        (status = 404, description = "No such organisation", body = ErrorEnvelope),
    ),
)]
pub(crate) async fn list_of_organisation(
    State(state): State<AppState>,
    Extension(caller): Extension<Caller>,
    PathParam(organisation): PathParam<OrganisationId>,
) -> Result<Json<ProviderKeyList>, HttpError> {
    let scope = KeyScope::Organisation(organisation);
    Ok(Json(state.gateway.provider_keys().list(&caller, scope).await?))
}

/// Change a key of the organisation or of one of its teams: its name, or its secret.
#[utoipa::path(
    patch, path = "/v1/organisations/{id}/provider-keys/{key}", operation_id = "change_organisation_provider_key",
    tag = "accounts", security(("token" = [])),
    params(
        ("id" = String, Path, description = "The organisation's id, `org_...`"),
        ("key" = String, Path, description = "The key's id, `cred_...`"),
    ),
    request_body(content = UpdateProviderKey, example = json!({"name": "production"})),
    responses(
        (status = 200, description = "The changed key", body = ProviderKeyBody),
        (status = 400, description = "The request is malformed; `param` names the field", body = ErrorEnvelope),
        (status = 404, description = "No such key", body = ErrorEnvelope),
    ),
)]
pub(crate) async fn change_of_organisation(
    State(state): State<AppState>,
    Extension(caller): Extension<Caller>,
    PathParam((organisation, id)): PathParam<(OrganisationId, CredentialId)>,
    JsonBody(request): JsonBody<UpdateProviderKey>,
) -> Result<Json<ProviderKeyBody>, HttpError> {
    let scope = KeyScope::Organisation(organisation);
    Ok(Json(state.gateway.provider_keys().update(&caller, scope, id, request).await?))
}

/// Delete a key of the organisation or of one of its teams.
#[utoipa::path(
    delete, path = "/v1/organisations/{id}/provider-keys/{key}", operation_id = "delete_organisation_provider_key",
    tag = "accounts", security(("token" = [])),
    params(
        ("id" = String, Path, description = "The organisation's id, `org_...`"),
        ("key" = String, Path, description = "The key's id, `cred_...`"),
    ),
    responses(
        (status = 204, description = "The key is deleted"),
        (status = 404, description = "No such key", body = ErrorEnvelope),
    ),
)]
pub(crate) async fn delete_of_organisation(
    State(state): State<AppState>,
    Extension(caller): Extension<Caller>,
    PathParam((organisation, id)): PathParam<(OrganisationId, CredentialId)>,
) -> Result<StatusCode, HttpError> {
    state.gateway.provider_keys().delete(&caller, KeyScope::Organisation(organisation), id).await?;
    Ok(StatusCode::NO_CONTENT)
}

async fn create(
    state: &AppState,
    caller: &Caller,
    scope: KeyScope,
    note: AuditNote,
    request: CreateProviderKey,
) -> Result<(StatusCode, Json<ProviderKeyBody>), HttpError> {
    let created = state.gateway.provider_keys().create(caller, scope, request).await?;
    note.resource(&created.id);
    Ok((StatusCode::CREATED, Json(created)))
}
