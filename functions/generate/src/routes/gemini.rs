//! Which route a path below `/v1beta/models` is: the Gemini dialect.
//!
//! A model's id may hold slashes and colons, raw or escaped, so one wildcard takes all of them. A method stands behind the
//! last colon.

use axum::{
    Extension, Json,
    extract::{FromRequest as _, Request, State},
    response::Response,
};
use hearth_gateway::Caller;
use hearth_http::{AppState, HttpError, JsonBody, PathParam};
use hearth_wire::{ApiError, ErrorCode, gemini::GeminiModel};

use super::{gemini_count_tokens, gemini_embed_content, gemini_generate_content, gemini_models};
use crate::asker::Asker;

/// What a name of Google's begins with. Some clients put it before a model's id in a path too.
const FOLDER: &str = "models/";

/// `GET`: a model.
pub(crate) async fn read(
    State(state): State<AppState>,
    Extension(caller): Extension<Caller>,
    PathParam(path): PathParam<String>,
) -> Result<Json<GeminiModel>, HttpError> {
    gemini_models::model(&state, &caller, id(&path)).await
}

/// `POST`: `{model}:generateContent` and the like.
pub(crate) async fn act(
    State(state): State<AppState>,
    asker: Asker,
    PathParam(path): PathParam<String>,
    request: Request,
) -> Result<Response, HttpError> {
    let (model, method) = path.rsplit_once(':').unwrap_or((&path, ""));
    let model = id(model).to_owned();
    match method {
        "generateContent" => {
            let JsonBody(body) = JsonBody::from_request(request, &state).await?;
            gemini_generate_content::generate(asker, model, body).await
        }
        "streamGenerateContent" => {
            let is_events = is_events(request.uri().query().unwrap_or_default());
            let JsonBody(body) = JsonBody::from_request(request, &state).await?;
            gemini_generate_content::stream(asker, model, body, is_events).await
        }
        "countTokens" => {
            let JsonBody(body) = JsonBody::from_request(request, &state).await?;
            gemini_count_tokens::count_tokens(body)
        }
        "embedContent" => {
            let JsonBody(body) = JsonBody::from_request(request, &state).await?;
            gemini_embed_content::embed(asker, model, body).await
        }
        "batchEmbedContents" => {
            let JsonBody(body) = JsonBody::from_request(request, &state).await?;
            gemini_embed_content::embed_all(asker, model, body).await
        }
        _ => {
            let message = "there is no such method of a model; POST to /v1beta/models/{model}:generateContent, \
                           :streamGenerateContent, :countTokens, :embedContent or :batchEmbedContents";
            Err(HttpError(ApiError::new(ErrorCode::NotFound, message)))
        }
    }
}

/// A model's id without the folder.
fn id(name: &str) -> &str {
    name.strip_prefix(FOLDER).unwrap_or(name)
}

/// Whether a query asks for server-sent events, in place of a JSON array.
fn is_events(query: &str) -> bool {
    query.split('&').any(|pair| matches!(pair, "alt=sse" | "$alt=sse" | "%24alt=sse"))
}
