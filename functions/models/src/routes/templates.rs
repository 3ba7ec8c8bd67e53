//! `/v1/templates`: templates of prompts, in versions.

use axum::{Extension, Json, extract::State, http::StatusCode};
use hearth_domain::DefinitionKind;
use hearth_http::{HttpError, JsonBody, PathParam, QueryParams};
use hearth_wire::{
    error::ErrorEnvelope,
    native::{
        definitions::{
            ChangeDefinition, CheckTemplate, CompatibilityBody, CreateTemplate, DefinitionDeleted,
            DefinitionEntry, DefinitionList, DefinitionQuery, DiffBody, DiffQuery, MoveLabel,
            RemoveLabelQuery, RenderTemplate, RenderedBody, StoredTemplateBody, UpdateTemplate, VersionList,
            VersionQuery,
        },
        organisations::PageQuery,
    },
};

use super::definitions::{self, Answer, Context};

const KIND: DefinitionKind = DefinitionKind::Template;

/// Create a template, with its first version.
///
/// A request refers to it by `template_id`, with `variables`, on every route that generates. Its messages are written in Jinja, rendered within bounds of time and size; an undefined variable is an error that names it.
#[utoipa::path(
    post, path = "/v1/templates", operation_id = "create_template", tag = "definitions", security(("token" = [])),
    request_body(content = CreateTemplate, example = json!({
        "name": "summary",
        "description": "Summary of a text",
        "template": {
            "messages": [
                {"role": "system", "content": "You write summaries of {{ words }} words."},
                {"role": "user", "content": "{{ text }}"},
            ],
            "variables": {
                "type": "object",
                "properties": {"text": {"type": "string"}, "words": {"type": "integer", "default": 20}},
                "required": ["text"],
            },
            "parameters": {"temperature": 0.0},
        },
    })),
    responses(
        (status = 201, description = "The template", body = StoredTemplateBody),
        (status = 400, description = "A field is invalid; `param` names it", body = ErrorEnvelope),
        (status = 403, description = "The caller may not publish templates", body = ErrorEnvelope),
        (status = 404, description = "No such team, or no schema as the template names it", body = ErrorEnvelope),
        (status = 409, description = "There is one with this name", body = ErrorEnvelope),
    ),
)]
pub(crate) async fn create(
    context: Context,
    JsonBody(request): JsonBody<CreateTemplate>,
) -> Result<(StatusCode, Json<StoredTemplateBody>), HttpError> {
    let (State(state), Extension(caller)) = context;
    let created = state.gateway.definitions().create_template(&caller, request).await?;
    Ok((StatusCode::CREATED, Json(created)))
}

/// List templates: one's own, those of one's teams and of the organisation, public and built-in ones.
#[utoipa::path(
    get, path = "/v1/templates", operation_id = "list_templates", tag = "definitions", security(("token" = [])),
    params(DefinitionQuery),
    responses(
        (status = 200, description = "A page of templates", body = DefinitionList),
        (status = 400, description = "The request is malformed; `param` names the field", body = ErrorEnvelope),
    ),
)]
pub(crate) async fn list(context: Context, query: QueryParams<DefinitionQuery>) -> Answer<DefinitionList> {
    definitions::list(KIND, context, query).await
}

/// Get a template in one version, by default the latest.
#[utoipa::path(
    get, path = "/v1/templates/{id}", operation_id = "get_template", tag = "definitions", security(("token" = [])),
    params(
        ("id" = String, Path, description = "Id or name, alone or with a version or a label, such as `invoice@1.0.0`", example = "invoice"),
        VersionQuery,
    ),
    responses(
        (status = 200, description = "The template", body = StoredTemplateBody),
        (status = 400, description = "A parameter is malformed; `param` names it", body = ErrorEnvelope),
        (status = 404, description = "No such template, or no such version", body = ErrorEnvelope),
    ),
)]
pub(crate) async fn get(
    context: Context,
    PathParam(id): PathParam<String>,
    QueryParams(query): QueryParams<VersionQuery>,
) -> Answer<StoredTemplateBody> {
    let (State(state), Extension(caller)) = context;
    Ok(Json(state.gateway.definitions().get_template(&caller, &id, query.version.as_deref()).await?))
}

/// Store a new version of a template. The earlier versions stay as they are.
///
/// Its number follows from the comparison with the latest version: `major` if earlier variables may not fit the new template, `patch` if only texts have changed, else `minor`. The same content again stores nothing, and returns the latest version.
#[utoipa::path(
    put, path = "/v1/templates/{id}", operation_id = "update_template", tag = "definitions", security(("token" = [])),
    params(("id" = String, Path, description = "Id or name", example = "summary")),
    request_body(content = UpdateTemplate, example = json!({
        "template": {
            "messages": [
                {"role": "system", "content": "You write summaries of at most {{ words }} words."},
                {"role": "user", "content": "{{ text }}"},
            ],
            "variables": {
                "type": "object",
                "properties": {"text": {"type": "string"}, "words": {"type": "integer", "default": 20}},
                "required": ["text"],
            },
            "parameters": {"temperature": 0.0},
        },
        "message": "An upper bound",
    })),
    responses(
        (status = 200, description = "The template in the new version", body = StoredTemplateBody),
        (status = 400, description = "A field is invalid, or the number is too small for the change; `param` names it", body = ErrorEnvelope),
        (status = 403, description = "The template is another user's, or built in", body = ErrorEnvelope),
        (status = 404, description = "No such template", body = ErrorEnvelope),
        (status = 409, description = "The latest version isn't the expected one", body = ErrorEnvelope),
    ),
)]
pub(crate) async fn update(
    context: Context,
    PathParam(id): PathParam<String>,
    JsonBody(request): JsonBody<UpdateTemplate>,
) -> Answer<StoredTemplateBody> {
    let (State(state), Extension(caller)) = context;
    Ok(Json(state.gateway.definitions().update_template(&caller, &id, request).await?))
}

/// Change the description, the tags or the visibility of a template, which have no versions.
#[utoipa::path(
    patch, path = "/v1/templates/{id}", operation_id = "change_template", tag = "definitions", security(("token" = [])),
    params(("id" = String, Path, description = "Id or name", example = "summary")),
    request_body(content = ChangeDefinition, example = json!({"description": "Short summary of a text", "tags": ["finance"]})),
    responses(
        (status = 200, description = "The template, without its content", body = DefinitionEntry),
        (status = 400, description = "A field is invalid; `param` names it", body = ErrorEnvelope),
        (status = 403, description = "The template is another user's or built in, or the caller may not publish it", body = ErrorEnvelope),
        (status = 404, description = "No such template", body = ErrorEnvelope),
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

/// Delete a template with its versions. One that is in use is refused: one with a label.
#[utoipa::path(
    delete, path = "/v1/templates/{id}", operation_id = "delete_template", tag = "definitions", security(("token" = [])),
    params(("id" = String, Path, description = "Id or name", example = "summary")),
    responses(
        (status = 200, description = "It is deleted", body = DefinitionDeleted),
        (status = 400, description = "A parameter is malformed; `param` names it", body = ErrorEnvelope),
        (status = 403, description = "The template is another user's, or built in", body = ErrorEnvelope),
        (status = 404, description = "No such template", body = ErrorEnvelope),
        (status = 409, description = "It is in use", body = ErrorEnvelope),
    ),
)]
pub(crate) async fn delete(context: Context, path: PathParam<String>) -> Answer<DefinitionDeleted> {
    definitions::delete(KIND, context, path).await
}

/// List the versions of a template, the latest first.
#[utoipa::path(
    get, path = "/v1/templates/{id}/versions", operation_id = "list_template_versions", tag = "definitions",
    security(("token" = [])),
    params(("id" = String, Path, description = "Id or name", example = "invoice"), PageQuery),
    responses(
        (status = 200, description = "A page of versions", body = VersionList),
        (status = 400, description = "A parameter is malformed; `param` names it", body = ErrorEnvelope),
        (status = 404, description = "No such template", body = ErrorEnvelope),
    ),
)]
pub(crate) async fn versions(
    context: Context,
    path: PathParam<String>,
    query: QueryParams<PageQuery>,
) -> Answer<VersionList> {
    definitions::versions(KIND, context, path, query).await
}

/// Compare two versions of a template: their differences, and whether variables of the earlier one fit the later one.
#[utoipa::path(
    get, path = "/v1/templates/{id}/diff", operation_id = "diff_template", tag = "definitions", security(("token" = [])),
    params(("id" = String, Path, description = "Id or name", example = "invoice"), DiffQuery),
    responses(
        (status = 200, description = "The differences", body = DiffBody),
        (status = 400, description = "A parameter is malformed; `param` names it", body = ErrorEnvelope),
        (status = 404, description = "No such template, or no such version", body = ErrorEnvelope),
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

/// Check a changed template against a stored version, without storing it: whether variables of the earlier one fit the later one.
#[utoipa::path(
    post, path = "/v1/templates/{id}/check", operation_id = "check_template", tag = "definitions", security(("token" = [])),
    params(("id" = String, Path, description = "Id or name, alone or with a version or a label", example = "invoice")),
    request_body(content = CheckTemplate, example = json!({"template": {"messages": [{"role": "user", "content": "Invoice: {{ text }}"}]}})),
    responses(
        (status = 200, description = "The comparison, and the number that a new version gets", body = CompatibilityBody),
        (status = 400, description = "A field is invalid; `param` names it", body = ErrorEnvelope),
        (status = 404, description = "No such template, or no such version", body = ErrorEnvelope),
    ),
)]
pub(crate) async fn check(
    context: Context,
    PathParam(id): PathParam<String>,
    JsonBody(request): JsonBody<CheckTemplate>,
) -> Answer<CompatibilityBody> {
    let (State(state), Extension(caller)) = context;
    Ok(Json(state.gateway.definitions().check_template(&caller, &id, request).await?))
}

/// Have a label of a template point to a version. With `expected` only if it points to that version now: compare and set.
#[utoipa::path(
    put, path = "/v1/templates/{id}/labels/{label}", operation_id = "move_template_label", tag = "definitions",
    security(("token" = [])),
    params(
        ("id" = String, Path, description = "Id or name", example = "summary"),
        ("label" = String, Path, description = "Label, such as `production`", example = "production"),
    ),
    request_body(content = MoveLabel, example = json!({"version": "1.0.0"})),
    responses(
        (status = 200, description = "The template, without its content", body = DefinitionEntry),
        (status = 400, description = "The label is malformed", body = ErrorEnvelope),
        (status = 403, description = "The template is another user's, or built in", body = ErrorEnvelope),
        (status = 404, description = "No such template, or no such version", body = ErrorEnvelope),
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

/// Remove a label of a template.
#[utoipa::path(
    delete, path = "/v1/templates/{id}/labels/{label}", operation_id = "remove_template_label", tag = "definitions",
    security(("token" = [])),
    params(
        ("id" = String, Path, description = "Id or name", example = "summary"),
        ("label" = String, Path, description = "Label", example = "production"),
        RemoveLabelQuery,
    ),
    responses(
        (status = 200, description = "The template, without its content", body = DefinitionEntry),
        (status = 400, description = "A parameter is malformed; `param` names it", body = ErrorEnvelope),
        (status = 403, description = "The template is another user's, or built in", body = ErrorEnvelope),
        (status = 404, description = "No such template, or no such label", body = ErrorEnvelope),
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

/// Render a template with variables, without calling a model.
#[utoipa::path(
    post, path = "/v1/templates/{id}/render", operation_id = "render_template", tag = "definitions",
    security(("token" = [])),
    params(("id" = String, Path, description = "Id or name, alone or with a version or a label", example = "invoice")),
    request_body(content = RenderTemplate, example = json!({"variables": {"text": "Coffee 3.50", "currency": "EUR"}})),
    responses(
        (status = 200, description = "The messages, and what the template sets beside them", body = RenderedBody),
        (status = 400, description = "A variable is missing, unknown or doesn't fit; `param` names it", body = ErrorEnvelope),
        (status = 404, description = "No such template, or no such version", body = ErrorEnvelope),
    ),
)]
pub(crate) async fn render(
    context: Context,
    PathParam(id): PathParam<String>,
    JsonBody(request): JsonBody<RenderTemplate>,
) -> Answer<RenderedBody> {
    let (State(state), Extension(caller)) = context;
    Ok(Json(state.gateway.definitions().render_only(&caller, &id, request).await?))
}
