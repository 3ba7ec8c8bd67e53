//! `/v1/providers`: providers and their keys.

use axum::{Extension, Json, extract::State, http::StatusCode};
use hearth_gateway::Caller;
use hearth_http::{AppState, HttpError, JsonBody, PathParam};
use hearth_wire::{
    error::ErrorEnvelope,
    native::providers::{ProviderList, SetProviderKey},
};

/// List the configured providers, other than nodes.
#[utoipa::path(
    get, path = "/v1/providers", operation_id = "list_providers", tag = "models", security(("token" = [])),
    responses(
        (status = 200, description = "The providers, their models and their state", body = ProviderList),
    ),
)]
pub(crate) async fn list(
    State(state): State<AppState>,
    Extension(caller): Extension<Caller>,
) -> Result<Json<ProviderList>, HttpError> {
    Ok(Json(ProviderList { providers: state.gateway.list_providers(&caller).await? }))
}

/// Store a provider's key, in place of an earlier one.
///
/// The key alone configures a vendor, under the name of its kind. This process uses it at once, others within a minute.
#[utoipa::path(
    put, path = "/v1/providers/{name}/key", operation_id = "set_provider_key", tag = "models", security(("token" = [])),
    params(("name" = String, Path, description = "The provider's name, such as `openai`")),
    request_body(content = SetProviderKey, example = json!({"key": "sk-..."})),
    responses(
        (status = 204, description = "The key is stored"),
        (status = 400, description = "The request is malformed; `param` names the field", body = ErrorEnvelope),
        (status = 409, description = "The settings have a key for this provider", body = ErrorEnvelope),
    ),
)]
pub(crate) async fn set_key(
    State(state): State<AppState>,
    PathParam(name): PathParam<String>,
    JsonBody(body): JsonBody<SetProviderKey>,
) -> Result<StatusCode, HttpError> {
    state.gateway.set_provider_key(&name, &body.key).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Delete a provider's key.
#[utoipa::path(
    delete, path = "/v1/providers/{name}/key", operation_id = "remove_provider_key", tag = "models", security(("token" = [])),
    params(("name" = String, Path, description = "The provider's name, such as `openai`")),
    responses(
        (status = 204, description = "The key is deleted"),
        (status = 404, description = "There is no key for this provider", body = ErrorEnvelope),
    ),
)]
pub(crate) async fn remove_key(
    State(state): State<AppState>,
    PathParam(name): PathParam<String>,
) -> Result<StatusCode, HttpError> {
    state.gateway.remove_provider_key(&name).await?;
    Ok(StatusCode::NO_CONTENT)
}
