//! `/api`: listing, state and removing of models in Ollama's dialect.

use axum::{
    Extension, Json,
    extract::State,
    http::StatusCode,
    response::{IntoResponse as _, Response},
};
use futures::stream;
use hearth_domain::Action;
use hearth_gateway::Caller;
use hearth_http::{AppState, HttpError, JsonBody, RequestId, ndjson};
use hearth_wire::{
    ErrorCode,
    native::models::{ModelBody, ModelQuery},
    ollama::{
        OllamaError, OllamaLoadedModels, OllamaModelInfo, OllamaModelList, OllamaModelName, OllamaStatus,
        OllamaVersion,
    },
    stream::Frame,
};

use super::ollama_pull;

/// List the models that generate text or vectors: of nodes, of providers, and aliases.
#[utoipa::path(
    get, path = "/api/tags", operation_id = "ollama_tags", tag = "compatible", security(("token" = [])),
    responses(
        (status = 200, description = "The models", body = OllamaModelList),
        (status = "4XX", description = "Refused; `code` has the reason, and `param` the field", body = OllamaError),
        (status = "5XX", description = "Failed; `code` has the reason, and `retryable` whether to retry", body = OllamaError),
    ),
)]
pub(crate) async fn tags(
    State(state): State<AppState>,
    Extension(caller): Extension<Caller>,
) -> Result<Json<OllamaModelList>, HttpError> {
    let models = state.gateway.every_model(&caller, &ModelQuery::default()).await?;
    Ok(Json(OllamaModelList::of(models)))
}

/// Describe a model.
#[utoipa::path(
    post, path = "/api/show", operation_id = "ollama_show", tag = "compatible", security(("token" = [])),
    request_body(content = OllamaModelName, example = json!({"model": "tiny-chat"})),
    responses(
        (status = 200, description = "The model", body = OllamaModelInfo),
        (status = "4XX", description = "Refused; `code` has the reason, and `param` the field", body = OllamaError),
        (status = "5XX", description = "Failed; `code` has the reason, and `retryable` whether to retry", body = OllamaError),
    ),
)]
pub(crate) async fn show(
    State(state): State<AppState>,
    Extension(caller): Extension<Caller>,
    JsonBody(request): JsonBody<OllamaModelName>,
) -> Result<Json<OllamaModelInfo>, HttpError> {
    Ok(Json(requested_model(&state, &caller, request).await?.into()))
}

/// List the models that are in memory, or being loaded.
#[utoipa::path(
    get, path = "/api/ps", operation_id = "ollama_ps", tag = "compatible", security(("token" = [])),
    responses(
        (status = 200, description = "The models in memory", body = OllamaLoadedModels),
        (status = "4XX", description = "Refused; `code` has the reason, and `param` the field", body = OllamaError),
        (status = "5XX", description = "Failed; `code` has the reason, and `retryable` whether to retry", body = OllamaError),
    ),
)]
pub(crate) async fn ps(
    State(state): State<AppState>,
    Extension(caller): Extension<Caller>,
) -> Result<Json<OllamaLoadedModels>, HttpError> {
    let models = state.gateway.loaded_models(&caller).await?;
    Ok(Json(OllamaLoadedModels { models: models.into_iter().map(Into::into).collect() }))
}

/// Download a model of Ollama's library, or of Hugging Face by `hf.co/OWNER/REPO`, unless the gateway has it.
///
/// The node of `POST /v1/models/download` downloads it, as a job that goes on when the client leaves: a repetition follows the same
/// job. Where Hearth runs on Lambda, a response ends after 20 seconds with an error that says so. Without the permission to download,
/// the error 404 has the command that an operator may run.
#[utoipa::path(
    post, path = "/api/pull", operation_id = "ollama_pull", tag = "compatible", security(("token" = [])),
    request_body(content = OllamaModelName, example = json!({"model": "tiny-chat", "stream": false})),
    responses(
        (status = 200, description = "The model exists, or the progress of its download, a line for each step", content(
            (OllamaStatus = "application/json"),
            (OllamaStatus = "application/x-ndjson"),
        )),
        (status = "4XX", description = "Refused; `code` has the reason, and `param` the field", body = OllamaError),
        (status = "5XX", description = "Failed; `code` has the reason, and `retryable` whether to retry", body = OllamaError),
    ),
)]
pub(crate) async fn pull(
    State(state): State<AppState>,
    Extension(caller): Extension<Caller>,
    Extension(RequestId(id)): Extension<RequestId>,
    JsonBody(request): JsonBody<OllamaModelName>,
) -> Result<Response, HttpError> {
    let (streams, name) = (request.stream.unwrap_or(true), request.clone().into_name()?);
    match requested_model(&state, &caller, request).await {
        Ok(_) if streams => {
            let lines = ["pulling manifest", "success"];
            let lines = lines.map(|status| Frame::json(None, &OllamaStatus::new(status)));
            Ok(ndjson::respond(stream::iter(lines)))
        }
        Ok(_) => Ok(Json(OllamaStatus::new("success")).into_response()),
        Err(HttpError(error)) if error.code == ErrorCode::ModelNotFound => {
            if caller.require(Action::DownloadModels).is_err() {
                return Err(with_pull_command(HttpError(error)));
            }
            ollama_pull::download(state.gateway, caller, &name, id, streams).await
        }
        Err(error) => Err(error),
    }
}

/// Adds the command that downloads a model to the error of a missing one.
fn with_pull_command(HttpError(mut error): HttpError) -> HttpError {
    if error.code == ErrorCode::ModelNotFound {
        error.message.push_str(
            ". Your token doesn't allow downloads; an owner of the node may run `hearth models pull NAME`",
        );
    }
    HttpError(error)
}

/// Remove a local model's file.
#[utoipa::path(
    delete, path = "/api/delete", operation_id = "ollama_delete", tag = "compatible", security(("token" = [])),
    request_body(content = OllamaModelName, example = json!({"model": "old-model"})),
    responses(
        (status = 200, description = "The file is removed"),
        (status = "4XX", description = "Refused; `code` has the reason, and `param` the field", body = OllamaError),
        (status = "5XX", description = "Failed; `code` has the reason, and `retryable` whether to retry", body = OllamaError),
    ),
)]
pub(crate) async fn delete(
    State(state): State<AppState>,
    Extension(caller): Extension<Caller>,
    JsonBody(request): JsonBody<OllamaModelName>,
) -> Result<StatusCode, HttpError> {
    let name = request.into_name()?;
    let id = state.gateway.without_latest_tag(&caller, &name).await;
    let removed = state.gateway.remove_model(&caller, &id, false).await;
    removed.map_err(|error| HttpError(OllamaError::with_client_wording(error, &name)))?;
    Ok(StatusCode::OK)
}

/// Get the version, which clients compare with the version of Ollama that they need.
#[utoipa::path(
    get, path = "/api/version", operation_id = "ollama_version", tag = "compatible",
    responses((status = 200, description = "The version", body = OllamaVersion)),
)]
pub(crate) async fn version() -> Json<OllamaVersion> {
    Json(OllamaVersion::new(env!("CARGO_PKG_VERSION")))
}

/// Returns the model that a request names.
///
/// # Errors
/// `invalid_request` without a name; `model_not_found`.
async fn requested_model(
    state: &AppState,
    caller: &Caller,
    request: OllamaModelName,
) -> Result<ModelBody, HttpError> {
    let name = request.into_name()?;
    let id = state.gateway.without_latest_tag(caller, &name).await;
    let model = state.gateway.model(caller, &id).await;
    model.map_err(|error| HttpError(OllamaError::with_client_wording(error, &name)))
}
