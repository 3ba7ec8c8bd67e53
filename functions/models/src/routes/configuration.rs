//! `/v1/config`: the configuration of routing that all processes of the gateway share.

use axum::{Extension, Json, extract::State};
use hearth_gateway::Caller;
use hearth_http::{AppState, HttpError, JsonBody, PathParam};
use hearth_wire::{
    error::ErrorEnvelope,
    native::configuration::{
        ConfigurationBody, ConfigurationHistory, PutConfiguration, RestoreConfiguration, StoredConfiguration,
    },
};

/// Get the current configuration of routing, and the state of this process.
///
/// It lies over the settings of each process: a name in it replaces the same name there.
#[utoipa::path(
    get, path = "/v1/config", operation_id = "get_config", tag = "models", security(("token" = [])),
    responses(
        (status = 200, description = "The current version, with its settings", body = ConfigurationBody),
        (status = 403, description = "The token lacks the scope `providers`", body = ErrorEnvelope),
    ),
)]
pub(crate) async fn get(State(state): State<AppState>) -> Result<Json<ConfigurationBody>, HttpError> {
    Ok(Json(state.gateway.configuration().get().await?))
}

/// Store the next version of the configuration, and put it in force.
///
/// It is checked whole before it is stored. This process follows it at once, others within their refresh interval (a minute by
/// default); requests in progress follow the one that they began with.
#[utoipa::path(
    put, path = "/v1/config", operation_id = "put_config", tag = "models", security(("token" = [])),
    request_body(
        content = PutConfiguration,
        example = json!({
            "version": 0,
            "configuration": {"aliases": {"fast": ["groq:llama-3.3-70b-versatile", "tiny-chat"]}},
            "message": "Groq first",
        }),
    ),
    responses(
        (status = 200, description = "The version that is stored", body = ConfigurationBody),
        (status = 400, description = "A setting is invalid; `param` names it", body = ErrorEnvelope),
        (status = 403, description = "The token lacks the scope `providers`", body = ErrorEnvelope),
        (status = 409, description = "Another version has been stored meanwhile; `details.current_version` is its number", body = ErrorEnvelope),
    ),
)]
pub(crate) async fn put(
    State(state): State<AppState>,
    Extension(caller): Extension<Caller>,
    JsonBody(request): JsonBody<PutConfiguration>,
) -> Result<Json<ConfigurationBody>, HttpError> {
    Ok(Json(state.gateway.configuration().put(&caller, request).await?))
}

/// List the stored versions of the configuration, newest first.
#[utoipa::path(
    get, path = "/v1/config/versions", operation_id = "list_config_versions", tag = "models", security(("token" = [])),
    responses(
        (status = 200, description = "The versions, without their settings", body = ConfigurationHistory),
    ),
)]
pub(crate) async fn list(State(state): State<AppState>) -> Result<Json<ConfigurationHistory>, HttpError> {
    Ok(Json(state.gateway.configuration().history().await?))
}

/// Get a version of the configuration with its settings.
#[utoipa::path(
    get, path = "/v1/config/versions/{version}", operation_id = "get_config_version", tag = "models", security(("token" = [])),
    params(("version" = u64, Path, description = "The version's number")),
    responses(
        (status = 200, description = "The version", body = StoredConfiguration),
        (status = 404, description = "It isn't stored", body = ErrorEnvelope),
    ),
)]
pub(crate) async fn version(
    State(state): State<AppState>,
    PathParam(number): PathParam<u64>,
) -> Result<Json<StoredConfiguration>, HttpError> {
    Ok(Json(state.gateway.configuration().version(number).await?))
}

/// Store a copy of an earlier version as the next one, and put it in force.
#[utoipa::path(
    post, path = "/v1/config/versions/{version}/restore", operation_id = "restore_config_version", tag = "models",
    security(("token" = [])),
    params(("version" = u64, Path, description = "The number of the version to restore", example = 1)),
    request_body(content = RestoreConfiguration, example = json!({"version": 1})),
    responses(
        (status = 200, description = "The version that is stored", body = ConfigurationBody),
        (status = 400, description = "The version is no longer valid; `param` names the setting", body = ErrorEnvelope),
        (status = 404, description = "It isn't stored", body = ErrorEnvelope),
        (status = 409, description = "Another version has been stored meanwhile; `details.current_version` is its number", body = ErrorEnvelope),
    ),
)]
pub(crate) async fn restore(
    State(state): State<AppState>,
    Extension(caller): Extension<Caller>,
    PathParam(number): PathParam<u64>,
    JsonBody(request): JsonBody<RestoreConfiguration>,
) -> Result<Json<ConfigurationBody>, HttpError> {
    Ok(Json(state.gateway.configuration().restore(&caller, number, request).await?))
}
