//! Dispatch of the paths below `/v1beta/models`, Gemini's dialect.
//!
//! A model's id may contain slashes and colons, raw or escaped, so one wildcard matches them all. A method stands
//! after the last colon.

use axum::{
    Extension,
    extract::{FromRequest as _, Request, State},
    http::HeaderValue,
    response::{IntoResponse as _, Response},
};
use hearth_gateway::Caller;
use hearth_http::{AppState, HttpError, JsonBody, PathParam, serve::method_not_allowed};
use hearth_wire::{ApiError, ErrorCode};

use super::{gemini_count_tokens, gemini_embed_content, gemini_generate_content, gemini_models};
use crate::run_request::RunRequest;

/// Route of all paths below `/v1beta/models`.
pub(crate) const WILDCARD: &str = "/v1beta/models/{*path}";
/// Methods of Google's API, each behind a model and a colon.
const ACTS: [&str; 5] =
    ["generateContent", "streamGenerateContent", "countTokens", "embedContent", "batchEmbedContents"];
/// Prefix of Google's model names. Some clients put it before a model's id in a path too.
const FOLDER: &str = "models/";

/// Returns the HTTP methods of a path.
pub(crate) fn methods(path: &str) -> &'static str {
    match path.rsplit_once(':') {
        Some((_, act)) if ACTS.contains(&act) => "POST",
        _ => "GET, HEAD",
    }
}

/// Responds 405 with the HTTP methods of the path.
pub(crate) async fn wrong_method(PathParam(path): PathParam<String>) -> Response {
    method_not_allowed(HeaderValue::from_static(methods(&path))).await
}

/// Handles `GET`: a model.
pub(crate) async fn read(
    State(state): State<AppState>,
    Extension(caller): Extension<Caller>,
    PathParam(path): PathParam<String>,
) -> Result<Response, HttpError> {
    if methods(&path) == "POST" {
        return Ok(wrong_method(PathParam(path)).await);
    }
    Ok(gemini_models::model(&state, &caller, id(&path)).await?.into_response())
}

/// Handles `POST`: `{model}:generateContent` and the other methods.
pub(crate) async fn act(
    State(state): State<AppState>,
    run_request: RunRequest,
    PathParam(path): PathParam<String>,
    request: Request,
) -> Result<Response, HttpError> {
    let (model, method) = path.rsplit_once(':').unwrap_or((&path, ""));
    let model = id(model).to_owned();
    match method {
        "generateContent" => {
            let JsonBody(body) = JsonBody::from_request(request, &state).await?;
            Box::pin(gemini_generate_content::generate(run_request, model, body)).await
        }
        "streamGenerateContent" => {
            let is_events = is_events(request.uri().query().unwrap_or_default());
            let JsonBody(body) = JsonBody::from_request(request, &state).await?;
            Box::pin(gemini_generate_content::stream(run_request, model, body, is_events)).await
        }
        "countTokens" => {
            let JsonBody(body) = JsonBody::from_request(request, &state).await?;
            gemini_count_tokens::count_tokens(run_request, model, body).await
        }
        "embedContent" => {
            let JsonBody(body) = JsonBody::from_request(request, &state).await?;
            gemini_embed_content::embed(run_request, model, body).await
        }
        "batchEmbedContents" => {
            let JsonBody(body) = JsonBody::from_request(request, &state).await?;
            gemini_embed_content::embed_all(run_request, model, body).await
        }
        _ => {
            let message = "there is no such method of a model; POST to /v1beta/models/{model}:generateContent, \
                           :streamGenerateContent, :countTokens, :embedContent or :batchEmbedContents";
            Err(HttpError(ApiError::new(ErrorCode::NotFound, message)))
        }
    }
}

/// Returns a model's id without the prefix.
fn id(name: &str) -> &str {
    name.strip_prefix(FOLDER).unwrap_or(name)
}

/// Returns whether a query requests server-sent events in place of a JSON array.
fn is_events(query: &str) -> bool {
    query.split('&').any(|pair| matches!(pair, "alt=sse" | "$alt=sse" | "%24alt=sse"))
}
