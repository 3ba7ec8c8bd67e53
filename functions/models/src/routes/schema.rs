//! `/v1/schema` and `/v1/models/{id}/schema`: schemas of the parameters of models.

use axum::{
    Extension, Json,
    extract::State,
    response::{IntoResponse as _, Response},
};
use hearth_gateway::Caller;
use hearth_http::{AppState, HttpError, JsonBody, PathParam, QueryParams};
use hearth_wire::{
    error::ErrorEnvelope,
    native::model_schemas::{PutSchema, SchemaBody, SchemaHistory, SchemaQuery},
};

use super::model_path::wrong_method;

/// End of the path of a model's schema.
const SCHEMA_END: &str = "/schema";

/// Get the schema of `parameters` of `POST /v1/generate`, for a model or for every model, with descriptions, examples and
/// guidance.
///
/// It is built from the model's metadata, unless an admin has stored an edited one. An edited one is also used to check the
/// parameters of `POST /v1/generate`.
#[utoipa::path(
    get, path = "/v1/schema", operation_id = "get_schema", tag = "models", security(("token" = [])),
    params(SchemaQuery),
    responses(
        (status = 200, description = "The schema", body = SchemaBody),
        (status = 404, description = "No such model, or no such version of its schema", body = ErrorEnvelope),
    ),
)]
pub(crate) async fn get(
    State(state): State<AppState>,
    Extension(caller): Extension<Caller>,
    QueryParams(query): QueryParams<SchemaQuery>,
) -> Result<Json<SchemaBody>, HttpError> {
    Ok(Json(state.gateway.model_schema(&caller, &query).await?))
}

/// Get the current schema of a model's parameters.
#[utoipa::path(
    get, path = "/v1/models/{id}/schema", operation_id = "get_model_schema", tag = "models", security(("token" = [])),
    params(("id" = String, Path, description = "The model's id, which may have slashes")),
    responses(
        (status = 200, description = "The schema", body = SchemaBody),
        (status = 404, description = "No such model", body = ErrorEnvelope),
    ),
)]
pub(crate) async fn of_model(
    state: &AppState,
    caller: &Caller,
    id: &str,
) -> Result<Json<SchemaBody>, HttpError> {
    let query = SchemaQuery { model: Some(id.to_owned()), version: None };
    Ok(Json(state.gateway.model_schema(caller, &query).await?))
}

/// List the latest 50 versions of a model's edited schema, the newest first. `GET /v1/schema?model=ID&version=N` has one of them.
#[utoipa::path(
    get, path = "/v1/models/{id}/schema/versions", operation_id = "list_schema_versions", tag = "models",
    security(("token" = [])),
    params(("id" = String, Path, description = "The model's id, which may have slashes")),
    responses(
        (status = 200, description = "The versions", body = SchemaHistory),
        (status = 404, description = "No such model", body = ErrorEnvelope),
    ),
)]
pub(crate) async fn versions(
    state: &AppState,
    caller: &Caller,
    id: &str,
) -> Result<Json<SchemaHistory>, HttpError> {
    Ok(Json(state.gateway.model_schema_history(caller, id).await?))
}

/// Dispatches `PUT` to `{id}/schema`.
pub(crate) async fn write(
    State(state): State<AppState>,
    Extension(caller): Extension<Caller>,
    PathParam(path): PathParam<String>,
    body: Result<JsonBody<PutSchema>, HttpError>,
) -> Result<Response, HttpError> {
    match path.strip_suffix(SCHEMA_END) {
        Some(id) => Ok(put(&state, &caller, id, body?).await?.into_response()),
        None => Ok(wrong_method(PathParam(path)).await),
    }
}

/// Store the next version of the schema of a model's parameters.
///
/// Earlier versions remain. `schema: null` has the schema apply again that is built from the metadata.
#[utoipa::path(
    put, path = "/v1/models/{id}/schema", operation_id = "put_model_schema", tag = "models", security(("token" = [])),
    params(("id" = String, Path, description = "The model's id, which may have slashes")),
    request_body(
        content = PutSchema,
        example = json!({
            "schema": {"properties": {"temperature": {"type": "number", "maximum": 1}}},
            "guidance": ["Use a temperature of at most 1."],
            "version": 0,
        }),
    ),
    responses(
        (status = 200, description = "The version that is stored", body = SchemaBody),
        (status = 400, description = "The schema or another field is invalid", body = ErrorEnvelope),
        (status = 404, description = "No such model", body = ErrorEnvelope),
        (status = 409, description = "Another version is current; `details.current_version` is its number", body = ErrorEnvelope),
    ),
)]
pub(crate) async fn put(
    state: &AppState,
    caller: &Caller,
    id: &str,
    JsonBody(request): JsonBody<PutSchema>,
) -> Result<Json<SchemaBody>, HttpError> {
    Ok(Json(state.gateway.put_model_schema(caller, id, request).await?))
}
