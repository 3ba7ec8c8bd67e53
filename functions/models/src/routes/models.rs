//! `/v1/models`: listing, state, loading, unloading and removing of models.
//!
//! One wildcard route matches all paths below `/v1/models`, since a model's id may have slashes: [`read`], [`write`] and
//! [`delete`] dispatch by the path's end.

use axum::{
    Extension, Json,
    extract::State,
    http::{HeaderMap, StatusCode},
    response::{IntoResponse as _, Response},
};
use hearth_gateway::Caller;
use hearth_http::{AppState, HttpError, PathParam, QueryParams, dialect};
use hearth_wire::{
    anthropic::{ModelBodyOrInfo, ModelInfo, ModelListOrPage, ModelPage, ModelPageQuery},
    error::ErrorEnvelope,
    native::models::{LoadedModels, ModelList, ModelQuery, ModelRemoved, ModelStatus, RemovalQuery},
};

use super::{
    model_path::{is_model_path, wrong_method},
    schema,
};

/// List models: first those of nodes, then those that providers list for their keys, each group ordered by id.
///
/// One body serves native clients (`models`) and OpenAI's (`data`). A request with `anthropic-version` gets Anthropic's
/// format: a page of `limit` models (20 by default, 1000 at most) after `after_id` or before `before_id`.
#[utoipa::path(
    get, path = "/v1/models", operation_id = "list_models", tag = "models", security(("token" = [])), params(
        ModelQuery, ModelPageQuery,
        ("anthropic-version" = Option<String>, Header, description = "Anthropic's format for the answer"),
    ),
    responses(
        (status = 200, description = "A page of models; with `anthropic-version` in Anthropic's format", body = ModelListOrPage),
        (status = 400, description = "The request is malformed; `param` names the field", body = ErrorEnvelope),
    ),
)]
pub(crate) async fn list(
    State(state): State<AppState>,
    Extension(caller): Extension<Caller>,
    headers: HeaderMap,
    QueryParams(query): QueryParams<ModelQuery>,
    QueryParams(page): QueryParams<ModelPageQuery>,
) -> Result<Json<ModelListOrPage>, HttpError> {
    if dialect::is_anthropic(&headers) {
        let models = state.gateway.every_model(&caller, &query).await?;
        return Ok(Json(ModelListOrPage::Page(ModelPage::of(models, &page, query.limit)?)));
    }
    let page = state.gateway.list_models(&caller, query).await?;
    let (data, next_cursor) = (page.models.clone(), page.next_cursor);
    let list = ModelList { object: "list".to_owned(), data, models: page.models, next_cursor };
    Ok(Json(ModelListOrPage::List(list)))
}

/// Dispatches `GET` to `loaded`, `{id}/status`, `{id}/schema`, `{id}/schema/versions` or `{id}`.
pub(crate) async fn read(
    State(state): State<AppState>,
    Extension(caller): Extension<Caller>,
    headers: HeaderMap,
    PathParam(path): PathParam<String>,
) -> Result<Response, HttpError> {
    if path == "loaded" {
        return Ok(loaded(&state, &caller).await?.into_response());
    }
    if let Some(id) = path.strip_suffix("/schema/versions") {
        return Ok(schema::versions(&state, &caller, id).await?.into_response());
    }
    if let Some(id) = path.strip_suffix("/schema") {
        return Ok(schema::of_model(&state, &caller, id).await?.into_response());
    }
    match path.strip_suffix("/status") {
        Some(id) => Ok(status(&state, &caller, id).await?.into_response()),
        None if is_model_path(&path) => Ok(get(&state, &caller, &headers, &path).await?.into_response()),
        None => Ok(wrong_method(PathParam(path)).await),
    }
}

/// Dispatches `POST` to `{id}/load` or `{id}/unload`.
pub(crate) async fn write(
    State(state): State<AppState>,
    Extension(caller): Extension<Caller>,
    PathParam(path): PathParam<String>,
) -> Result<Response, HttpError> {
    match path.rsplit_once('/') {
        Some((id, "load")) => Ok(load(&state, &caller, id).await?.into_response()),
        Some((id, "unload")) => Ok(unload(&state, &caller, id).await?.into_response()),
        _ => Ok(wrong_method(PathParam(path)).await),
    }
}

/// Dispatches `DELETE` to `{id}`.
pub(crate) async fn delete(
    State(state): State<AppState>,
    Extension(caller): Extension<Caller>,
    PathParam(path): PathParam<String>,
    QueryParams(query): QueryParams<RemovalQuery>,
) -> Result<Response, HttpError> {
    if is_model_path(&path) {
        return Ok(remove(&state, &caller, &path, query).await?.into_response());
    }
    Ok(wrong_method(PathParam(path)).await)
}

/// Get a model, with its state on its node.
///
/// A request with `anthropic-version` gets Anthropic's format.
#[utoipa::path(
    get, path = "/v1/models/{id}", operation_id = "get_model", tag = "models", security(("token" = [])),
    params(
        ("id" = String, Path, description = "The model's id, which may have slashes"),
        ("anthropic-version" = Option<String>, Header, description = "Anthropic's format for the answer"),
    ),
    responses(
        (status = 200, description = "The model; with `anthropic-version` in Anthropic's format", body = ModelBodyOrInfo),
        (status = 404, description = "No such model", body = ErrorEnvelope),
    ),
)]
pub(crate) async fn get(
    state: &AppState,
    caller: &Caller,
    headers: &HeaderMap,
    id: &str,
) -> Result<Json<ModelBodyOrInfo>, HttpError> {
    let model = state.gateway.model(caller, id).await?;
    Ok(Json(match dialect::is_anthropic(headers) {
        true => ModelBodyOrInfo::Info(ModelInfo::from(model)),
        false => ModelBodyOrInfo::Body(Box::new(model)),
    }))
}

/// Get the state of a model on its node.
#[utoipa::path(
    get, path = "/v1/models/{id}/status", operation_id = "get_model_status", tag = "models", security(("token" = [])),
    params(("id" = String, Path, description = "The model's id, which may have slashes")),
    responses(
        (status = 200, description = "The state of the model on its node", body = ModelStatus),
        (status = 404, description = "No such model", body = ErrorEnvelope),
    ),
)]
pub(crate) async fn status(
    state: &AppState,
    caller: &Caller,
    id: &str,
) -> Result<Json<ModelStatus>, HttpError> {
    let model = state.gateway.model(caller, id).await?;
    Ok(Json(ModelStatus { model: model.id, runtime_status: model.runtime_status }))
}

/// List the models that are in memory, or being loaded.
#[utoipa::path(
    get, path = "/v1/models/loaded", operation_id = "list_loaded_models", tag = "models", security(("token" = [])),
    responses((status = 200, description = "The models in memory", body = LoadedModels)),
)]
pub(crate) async fn loaded(state: &AppState, caller: &Caller) -> Result<Json<LoadedModels>, HttpError> {
    Ok(Json(LoadedModels { models: state.gateway.loaded_models(caller).await? }))
}

/// Start to load a model. Its status has the progress.
#[utoipa::path(
    post, path = "/v1/models/{id}/load", operation_id = "load_model", tag = "models", security(("token" = [])),
    params(("id" = String, Path, description = "The model's id, which may have slashes")),
    responses(
        (status = 202, description = "The state of the model on its node", body = ModelStatus),
        (status = 404, description = "No such model", body = ErrorEnvelope),
        (status = 409, description = "The model's state does not allow it", body = ErrorEnvelope),
        (status = 503, description = "Not possible now; `retryable` says whether later", body = ErrorEnvelope),
    ),
)]
pub(crate) async fn load(
    state: &AppState,
    caller: &Caller,
    id: &str,
) -> Result<(StatusCode, Json<ModelStatus>), HttpError> {
    let runtime_status = state.gateway.load_model(caller, id).await?;
    Ok((StatusCode::ACCEPTED, Json(ModelStatus { model: id.to_owned(), runtime_status })))
}

/// Start to unload a model, which frees its memory. A model with requests stays: 409.
#[utoipa::path(
    post, path = "/v1/models/{id}/unload", operation_id = "unload_model", tag = "models", security(("token" = [])),
    params(("id" = String, Path, description = "The model's id, which may have slashes")),
    responses(
        (status = 202, description = "The state of the model on its node", body = ModelStatus),
        (status = 404, description = "No such model", body = ErrorEnvelope),
        (status = 409, description = "The model's state does not allow it", body = ErrorEnvelope),
        (status = 503, description = "Not possible now; `retryable` says whether later", body = ErrorEnvelope),
    ),
)]
pub(crate) async fn unload(
    state: &AppState,
    caller: &Caller,
    id: &str,
) -> Result<(StatusCode, Json<ModelStatus>), HttpError> {
    let runtime_status = state.gateway.unload_model(caller, id).await?;
    Ok((StatusCode::ACCEPTED, Json(ModelStatus { model: id.to_owned(), runtime_status })))
}

/// Remove a registered model's entry, or else a local model's file.
///
/// An explicit entry is removed without any file. The file of the default model, and that of a model that serves requests, can't
/// be removed: 409.
#[utoipa::path(
    delete, path = "/v1/models/{id}", operation_id = "remove_model", tag = "models", security(("token" = [])),
    params(("id" = String, Path, description = "The model's id, which may have slashes"), RemovalQuery),
    responses(
        (status = 200, description = "The entry, or the file, is removed", body = ModelRemoved),
        (status = 404, description = "No such model", body = ErrorEnvelope),
        (status = 409, description = "The model's state does not allow it", body = ErrorEnvelope),
    ),
)]
pub(crate) async fn remove(
    state: &AppState,
    caller: &Caller,
    id: &str,
    query: RemovalQuery,
) -> Result<Json<ModelRemoved>, HttpError> {
    Ok(Json(state.gateway.remove_model(caller, id, query.registration.unwrap_or_default()).await?))
}
