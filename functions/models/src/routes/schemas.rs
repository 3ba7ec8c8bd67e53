//! `/v1/schemas`: schemas of answers, in versions.

use axum::{Extension, Json, extract::State, http::StatusCode};
use hearth_domain::DefinitionKind;
use hearth_http::{HttpError, JsonBody, PathParam, QueryParams};
use hearth_wire::{
    error::ErrorEnvelope,
    native::{
        definitions::{
            ChangeDefinition, CheckSchema, CompatibilityBody, CreateSchema, DefinitionDeleted,
            DefinitionEntry, DefinitionList, DefinitionQuery, DiffBody, DiffQuery, MoveLabel,
            RemoveLabelQuery, StoredSchemaBody, UpdateSchema, VersionList, VersionQuery,
        },
        organisations::PageQuery,
    },
};

use super::definitions::{self, Answer, Context};

const KIND: DefinitionKind = DefinitionKind::Schema;

/// Create a schema, with its first version.
///
/// A request refers to it by `schema_id` on every route that generates, in place of a schema of its own.
#[utoipa::path(
    post, path = "/v1/schemas", operation_id = "create_schema", tag = "definitions", security(("token" = [])),
    request_body(content = CreateSchema, example = json!({
        "name": "receipt",
        "description": "Total and shop of a receipt",
        "tags": ["finance"],
        "schema": {
            "type": "object",
            "properties": {"shop": {"type": "string"}, "total": {"type": "number"}},
            "required": ["shop", "total"],
            "additionalProperties": false,
        },
    })),
    responses(
        (status = 201, description = "The schema", body = StoredSchemaBody),
        (status = 400, description = "A field is invalid; `param` names it", body = ErrorEnvelope),
        (status = 403, description = "The caller may not publish schemas", body = ErrorEnvelope),
        (status = 404, description = "No such team", body = ErrorEnvelope),
        (status = 409, description = "There is one with this name", body = ErrorEnvelope),
    ),
)]
pub(crate) async fn create(
    context: Context,
    JsonBody(request): JsonBody<CreateSchema>,
) -> Result<(StatusCode, Json<StoredSchemaBody>), HttpError> {
    let (State(state), Extension(caller)) = context;
    let created = state.gateway.definitions().create_schema(&caller, request).await?;
    Ok((StatusCode::CREATED, Json(created)))
}

/// List schemas: one's own, those of one's teams and of the organisation, public and built-in ones.
#[utoipa::path(
    get, path = "/v1/schemas", operation_id = "list_schemas", tag = "definitions", security(("token" = [])),
    params(DefinitionQuery),
    responses(
        (status = 200, description = "A page of schemas", body = DefinitionList),
        (status = 400, description = "The request is malformed; `param` names the field", body = ErrorEnvelope),
    ),
)]
pub(crate) async fn list(context: Context, query: QueryParams<DefinitionQuery>) -> Answer<DefinitionList> {
    definitions::list(KIND, context, query).await
}

/// Get a schema in one version, by default the latest.
#[utoipa::path(
    get, path = "/v1/schemas/{id}", operation_id = "get_schema_definition", tag = "definitions", security(("token" = [])),
    params(
        ("id" = String, Path, description = "Id or name, alone or with a version or a label, such as `invoice@1.0.0`", example = "invoice"),
        VersionQuery,
    ),
    responses(
        (status = 200, description = "The schema", body = StoredSchemaBody),
        (status = 400, description = "A parameter is malformed; `param` names it", body = ErrorEnvelope),
        (status = 404, description = "No such schema, or no such version", body = ErrorEnvelope),
    ),
)]
pub(crate) async fn get(
    context: Context,
    PathParam(id): PathParam<String>,
    QueryParams(query): QueryParams<VersionQuery>,
) -> Answer<StoredSchemaBody> {
    let (State(state), Extension(caller)) = context;
    Ok(Json(state.gateway.definitions().get_schema(&caller, &id, query.version.as_deref()).await?))
}

/// Store a new version of a schema. The earlier versions stay as they are.
///
/// Its number follows from the comparison with the latest version: `major` if earlier answers may not fit the new schema, `patch` if only descriptions have changed, else `minor`. The same content again stores nothing, and returns the latest version.
#[utoipa::path(
    put, path = "/v1/schemas/{id}", operation_id = "update_schema", tag = "definitions", security(("token" = [])),
    params(("id" = String, Path, description = "Id or name", example = "receipt")),
    request_body(content = UpdateSchema, example = json!({
        "schema": {
            "type": "object",
            "properties": {"shop": {"type": "string"}, "total": {"type": "number"}, "currency": {"type": "string"}},
            "required": ["shop", "total"],
            "additionalProperties": false,
        },
        "message": "The currency, where it is printed",
    })),
    responses(
        (status = 200, description = "The schema in the new version", body = StoredSchemaBody),
        (status = 400, description = "A field is invalid, or the number is too small for the change; `param` names it", body = ErrorEnvelope),
        (status = 403, description = "The schema is another user's, or built in", body = ErrorEnvelope),
        (status = 404, description = "No such schema", body = ErrorEnvelope),
        (status = 409, description = "The latest version isn't the expected one", body = ErrorEnvelope),
    ),
)]
pub(crate) async fn update(
    context: Context,
    PathParam(id): PathParam<String>,
    JsonBody(request): JsonBody<UpdateSchema>,
) -> Answer<StoredSchemaBody> {
    let (State(state), Extension(caller)) = context;
    Ok(Json(state.gateway.definitions().update_schema(&caller, &id, request).await?))
}

/// Change the description, the tags or the visibility of a schema, which have no versions.
#[utoipa::path(
    patch, path = "/v1/schemas/{id}", operation_id = "change_schema", tag = "definitions", security(("token" = [])),
    params(("id" = String, Path, description = "Id or name", example = "receipt")),
    request_body(content = ChangeDefinition, example = json!({"description": "Total, shop and currency of a receipt", "tags": ["finance"]})),
    responses(
        (status = 200, description = "The schema, without its content", body = DefinitionEntry),
        (status = 400, description = "A field is invalid; `param` names it", body = ErrorEnvelope),
        (status = 403, description = "The schema is another user's or built in, or the caller may not publish it", body = ErrorEnvelope),
        (status = 404, description = "No such schema", body = ErrorEnvelope),
        (status = 409, description = "There is one with this name among those of the new visibility", body = ErrorEnvelope),
    ),
)]
pub(crate) async fn change(
    context: Context,
    path: PathParam<String>,
    body: JsonBody<ChangeDefinition>,
) -> Answer<DefinitionEntry> {
    definitions::change(KIND, context, path, body).await
}

/// Delete a schema with its versions. One that is in use is refused: one with a label, and one that a template of the organisation names.
#[utoipa::path(
    delete, path = "/v1/schemas/{id}", operation_id = "delete_schema", tag = "definitions", security(("token" = [])),
    params(("id" = String, Path, description = "Id or name", example = "receipt")),
    responses(
        (status = 200, description = "It is deleted", body = DefinitionDeleted),
        (status = 400, description = "A parameter is malformed; `param` names it", body = ErrorEnvelope),
        (status = 403, description = "The schema is another user's, or built in", body = ErrorEnvelope),
        (status = 404, description = "No such schema", body = ErrorEnvelope),
        (status = 409, description = "It is in use", body = ErrorEnvelope),
    ),
)]
pub(crate) async fn delete(context: Context, path: PathParam<String>) -> Answer<DefinitionDeleted> {
    definitions::delete(KIND, context, path).await
}

/// List the versions of a schema, the latest first.
#[utoipa::path(
    get, path = "/v1/schemas/{id}/versions", operation_id = "list_schema_definition_versions", tag = "definitions",
    security(("token" = [])),
    params(("id" = String, Path, description = "Id or name", example = "invoice"), PageQuery),
    responses(
        (status = 200, description = "A page of versions", body = VersionList),
        (status = 400, description = "A parameter is malformed; `param` names it", body = ErrorEnvelope),
        (status = 404, description = "No such schema", body = ErrorEnvelope),
    ),
)]
pub(crate) async fn versions(
    context: Context,
    path: PathParam<String>,
    query: QueryParams<PageQuery>,
) -> Answer<VersionList> {
    definitions::versions(KIND, context, path, query).await
}

/// Compare two versions of a schema: their differences, and whether answers of the earlier one fit the later one.
#[utoipa::path(
    get, path = "/v1/schemas/{id}/diff", operation_id = "diff_schema", tag = "definitions", security(("token" = [])),
    params(("id" = String, Path, description = "Id or name", example = "invoice"), DiffQuery),
    responses(
        (status = 200, description = "The differences", body = DiffBody),
        (status = 400, description = "A parameter is malformed; `param` names it", body = ErrorEnvelope),
        (status = 404, description = "No such schema, or no such version", body = ErrorEnvelope),
        (status = 409, description = "There is no earlier version", body = ErrorEnvelope),
    ),
)]
pub(crate) async fn diff(
    context: Context,
    path: PathParam<String>,
    query: QueryParams<DiffQuery>,
) -> Answer<DiffBody> {
    definitions::diff(KIND, context, path, query).await
}

/// Check a changed schema against a stored version, without storing it: whether answers of the earlier one fit the later one.
#[utoipa::path(
    post, path = "/v1/schemas/{id}/check", operation_id = "check_schema", tag = "definitions", security(("token" = [])),
    params(("id" = String, Path, description = "Id or name, alone or with a version or a label", example = "invoice")),
    request_body(content = CheckSchema, example = json!({"schema": {"type": "object", "properties": {"total": {"type": "number"}}, "required": ["total"]}})),
    responses(
        (status = 200, description = "The comparison, and the number that a new version gets", body = CompatibilityBody),
        (status = 400, description = "A field is invalid; `param` names it", body = ErrorEnvelope),
        (status = 404, description = "No such schema, or no such version", body = ErrorEnvelope),
    ),
)]
pub(crate) async fn check(
    context: Context,
    PathParam(id): PathParam<String>,
    JsonBody(request): JsonBody<CheckSchema>,
) -> Answer<CompatibilityBody> {
    let (State(state), Extension(caller)) = context;
    Ok(Json(state.gateway.definitions().check_schema(&caller, &id, request).await?))
}

/// Have a label of a schema point to a version. With `expected` only if it points to that version now: compare and set.
#[utoipa::path(
    put, path = "/v1/schemas/{id}/labels/{label}", operation_id = "move_schema_label", tag = "definitions",
    security(("token" = [])),
    params(
        ("id" = String, Path, description = "Id or name", example = "receipt"),
        ("label" = String, Path, description = "Label, such as `production`", example = "production"),
    ),
    request_body(content = MoveLabel, example = json!({"version": "1.0.0"})),
    responses(
        (status = 200, description = "The schema, without its content", body = DefinitionEntry),
        (status = 400, description = "The label is malformed", body = ErrorEnvelope),
        (status = 403, description = "The schema is another user's, or built in", body = ErrorEnvelope),
        (status = 404, description = "No such schema, or no such version", body = ErrorEnvelope),
        (status = 409, description = "The label points to another version than the expected one", body = ErrorEnvelope),
    ),
)]
pub(crate) async fn move_label(
    context: Context,
    path: PathParam<(String, String)>,
    body: JsonBody<MoveLabel>,
) -> Answer<DefinitionEntry> {
    definitions::move_label(KIND, context, path, body).await
}

/// Remove a label of a schema.
#[utoipa::path(
    delete, path = "/v1/schemas/{id}/labels/{label}", operation_id = "remove_schema_label", tag = "definitions",
    security(("token" = [])),
    params(
        ("id" = String, Path, description = "Id or name", example = "receipt"),
        ("label" = String, Path, description = "Label", example = "production"),
        RemoveLabelQuery,
    ),
    responses(
        (status = 200, description = "The schema, without its content", body = DefinitionEntry),
        (status = 400, description = "A parameter is malformed; `param` names it", body = ErrorEnvelope),
        (status = 403, description = "The schema is another user's, or built in", body = ErrorEnvelope),
        (status = 404, description = "No such schema, or no such label", body = ErrorEnvelope),
        (status = 409, description = "The label points to another version than the expected one", body = ErrorEnvelope),
    ),
)]
pub(crate) async fn remove_label(
    context: Context,
    path: PathParam<(String, String)>,
    query: QueryParams<RemoveLabelQuery>,
) -> Answer<DefinitionEntry> {
    definitions::remove_label(KIND, context, path, query).await
}
