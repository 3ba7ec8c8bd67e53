//! Which route a path below `/v1/models` is.

use axum::{
    Extension, Json,
    extract::State,
    http::{HeaderMap, HeaderValue},
    response::{IntoResponse as _, Response},
};
use hearth_gateway::Caller;
use hearth_http::{AppState, HttpError, PathParam, dialect, serve::method_not_allowed};
use hearth_wire::anthropic::ModelInfo;

use crate::routes;

/// The methods of a model's own path.
const MODEL_METHODS: &str = "GET, HEAD, DELETE";

/// `GET`: `loaded`, `{id}/status`, or `{id}`.
pub(crate) async fn read(
    State(state): State<AppState>,
    Extension(caller): Extension<Caller>,
    headers: HeaderMap,
    PathParam(path): PathParam<String>,
) -> Result<Response, HttpError> {
    if path == "loaded" {
        return Ok(routes::loaded::loaded(&state, &caller).await?.into_response());
    }
    match path.strip_suffix("/status") {
        Some(id) => Ok(routes::status::status(&state, &caller, id).await?.into_response()),
        None => {
            let model = routes::get::model(&state, &caller, &path).await?;
            if dialect::is_anthropic(&headers) {
                return Ok(Json(ModelInfo::from(model.0)).into_response());
            }
            Ok(model.into_response())
        }
    }
}

/// `POST`: `{id}/load` or `{id}/unload`.
pub(crate) async fn write(
    State(state): State<AppState>,
    Extension(caller): Extension<Caller>,
    PathParam(path): PathParam<String>,
) -> Result<Response, HttpError> {
    match path.rsplit_once('/') {
        Some((id, "load")) => Ok(routes::load::load(&state, &caller, id).await?.into_response()),
        Some((id, "unload")) => Ok(routes::unload::unload(&state, &caller, id).await?.into_response()),
        _ => Ok(wrong_method(PathParam(path)).await),
    }
}

/// `DELETE`: `{id}`.
pub(crate) async fn remove(
    State(state): State<AppState>,
    Extension(caller): Extension<Caller>,
    PathParam(path): PathParam<String>,
) -> Result<Response, HttpError> {
    if allowed(&path) == MODEL_METHODS {
        return Ok(routes::remove::remove(&state, &caller, &path).await?.into_response());
    }
    Ok(wrong_method(PathParam(path)).await)
}

/// Any other method: which ones are taken is a matter of how the path ends.
pub(crate) async fn wrong_method(PathParam(path): PathParam<String>) -> Response {
    method_not_allowed(HeaderValue::from_static(allowed(&path))).await
}

/// The methods of a path.
fn allowed(path: &str) -> &'static str {
    if path.ends_with("/load") || path.ends_with("/unload") {
        "POST"
    } else if path == "loaded" || path.ends_with("/status") {
        "GET, HEAD"
    } else {
        MODEL_METHODS
    }
}
