//! The actions on definitions that are equal for both kinds. `schemas` and `templates` have the routes, with their documentation.

use axum::{Extension, Json, extract::State};
use hearth_domain::DefinitionKind;
use hearth_gateway::Caller;
use hearth_http::{AppState, HttpError, JsonBody, PathParam, QueryParams};
use hearth_wire::native::{
    definitions::{
        ChangeDefinition, DefinitionDeleted, DefinitionEntry, DefinitionList, DefinitionQuery, DiffBody,
        DiffQuery, MoveLabel, RemoveLabelQuery, VersionList,
    },
    organisations::PageQuery,
};

/// The gateway and its caller.
pub(crate) type Context = (State<AppState>, Extension<Caller>);
/// A response with a body.
pub(crate) type Answer<T> = Result<Json<T>, HttpError>;

pub(super) async fn list(
    kind: DefinitionKind,
    (State(state), Extension(caller)): Context,
    QueryParams(query): QueryParams<DefinitionQuery>,
) -> Answer<DefinitionList> {
    Ok(Json(state.gateway.definitions().list(&caller, kind, &query).await?))
}

pub(super) async fn change(
    kind: DefinitionKind,
    (State(state), Extension(caller)): Context,
    PathParam(id): PathParam<String>,
    JsonBody(request): JsonBody<ChangeDefinition>,
) -> Answer<DefinitionEntry> {
    Ok(Json(state.gateway.definitions().change(&caller, kind, &id, request).await?))
}

pub(super) async fn delete(
    kind: DefinitionKind,
    (State(state), Extension(caller)): Context,
    PathParam(id): PathParam<String>,
) -> Answer<DefinitionDeleted> {
    Ok(Json(state.gateway.definitions().delete(&caller, kind, &id).await?))
}

pub(super) async fn versions(
    kind: DefinitionKind,
    (State(state), Extension(caller)): Context,
    PathParam(id): PathParam<String>,
    QueryParams(query): QueryParams<PageQuery>,
) -> Answer<VersionList> {
    Ok(Json(state.gateway.definitions().versions(&caller, kind, &id, &query).await?))
}

pub(super) async fn diff(
    kind: DefinitionKind,
    (State(state), Extension(caller)): Context,
    PathParam(id): PathParam<String>,
    QueryParams(query): QueryParams<DiffQuery>,
) -> Answer<DiffBody> {
    Ok(Json(state.gateway.definitions().diff(&caller, kind, &id, &query).await?))
}

pub(super) async fn move_label(
    kind: DefinitionKind,
    (State(state), Extension(caller)): Context,
    PathParam((id, label)): PathParam<(String, String)>,
    JsonBody(request): JsonBody<MoveLabel>,
) -> Answer<DefinitionEntry> {
    Ok(Json(state.gateway.definitions().move_label(&caller, kind, &id, &label, &request).await?))
}

pub(super) async fn remove_label(
    kind: DefinitionKind,
    (State(state), Extension(caller)): Context,
    PathParam((id, label)): PathParam<(String, String)>,
    QueryParams(query): QueryParams<RemoveLabelQuery>,
) -> Answer<DefinitionEntry> {
    let definitions = state.gateway.definitions();
    Ok(Json(definitions.remove_label(&caller, kind, &id, &label, query.expected).await?))
}
