//! `POST /v1/models` and `PATCH /v1/models/{id}`: explicit entries of the registry. `DELETE /v1/models/{id}` is in `models.rs`.

use axum::{
    Extension, Json,
    extract::State,
    http::StatusCode,
    response::{IntoResponse as _, Response},
};
use hearth_gateway::Caller;
use hearth_http::{AppState, HttpError, JsonBody, PathParam};
use hearth_wire::{
    error::ErrorEnvelope,
    native::{models::ModelBody, registry::ModelRegistration},
};
use serde_json::{Map, Value};

use super::model_path::{is_model_path, wrong_method};

/// Register a model: a name of the organisation for a model of a node or a provider, or for a local file.
///
/// The entry comes before a discovered model and an alias with its id, for all members. Its `lifecycle` is sent to the
/// organisation's nodes.
#[utoipa::path(
    post, path = "/v1/models", operation_id = "register_model", tag = "models", security(("token" = [])),
    request_body(
        content = ModelRegistration,
        example = json!({
            "id": "team/writer",
            "target": "tiny-chat",
            "description": "For drafts",
            "parameters": {"temperature": 0.9},
            "fallbacks": ["openai:gpt-5-mini"],
            "while_loading": "fallback",
        }),
    ),
    responses(
        (status = 201, description = "The model", body = ModelBody),
        (status = 400, description = "A field is invalid; `param` names it", body = ErrorEnvelope),
        (status = 403, description = "The credential may not register models, or files", body = ErrorEnvelope),
        (status = 409, description = "There is an entry with this id, or there are too many entries", body = ErrorEnvelope),
    ),
)]
pub(crate) async fn register(
    State(state): State<AppState>,
    Extension(caller): Extension<Caller>,
    JsonBody(request): JsonBody<ModelRegistration>,
) -> Result<(StatusCode, Json<ModelBody>), HttpError> {
    Ok((StatusCode::CREATED, Json(state.gateway.register_model(&caller, request).await?)))
}

/// Dispatches `PATCH` to `{id}`.
pub(crate) async fn patch(
    State(state): State<AppState>,
    Extension(caller): Extension<Caller>,
    PathParam(path): PathParam<String>,
    body: Result<JsonBody<Map<String, Value>>, HttpError>,
) -> Result<Response, HttpError> {
    if !is_model_path(&path) {
        return Ok(wrong_method(PathParam(path)).await);
    }
    Ok(change(&state, &caller, &path, body?).await?.into_response())
}

/// Change a registered model, by a JSON merge patch (RFC 7396): a field of null is removed, others replace those of the entry.
#[utoipa::path(
    patch, path = "/v1/models/{id}", operation_id = "change_model", tag = "models", security(("token" = [])),
    params(("id" = String, Path, description = "The entry's id, which may have slashes")),
    request_body(
        content = ModelRegistration,
        example = json!({"description": null, "lifecycle": {"pin": true}}),
    ),
    responses(
        (status = 200, description = "The model", body = ModelBody),
        (status = 400, description = "A field is invalid; `param` names it", body = ErrorEnvelope),
        (status = 404, description = "There is no explicit entry with this id", body = ErrorEnvelope),
        (status = 409, description = "Others change the entry at the same time", body = ErrorEnvelope),
    ),
)]
pub(crate) async fn change(
    state: &AppState,
    caller: &Caller,
    id: &str,
    JsonBody(patch): JsonBody<Map<String, Value>>,
) -> Result<Json<ModelBody>, HttpError> {
    Ok(Json(state.gateway.change_model(caller, id, &Value::Object(patch)).await?))
}
