//! `POST /v1beta/models/{model}:countTokens`: Gemini's dialect.

use axum::{
    Json,
    response::{IntoResponse as _, Response},
};
use hearth_http::HttpError;
use hearth_wire::gemini::{GeminiCountAnswer, GeminiCountRequest, GeminiError};

use crate::run_request::RunRequest;

/// Count the tokens of a conversation, as Google's SDKs request it.
///
/// A node counts for a local model that is loaded. For another model the number is an estimate of four bytes for a
/// token, the same for every model; the response of `:generateContent` has the exact `usageMetadata`.
#[utoipa::path(
    post, path = "/v1beta/models/{model}:countTokens", operation_id = "gemini_count_tokens", tag = "compatible",
    security(("token" = [])),
    request_body(
        content = GeminiCountRequest,
        example = json!({"contents": [{"role": "user", "parts": [{"text": "What is the capital of France?"}]}]}),
    ),
    params(("model" = String, Path, description = "Model id, or `auto`; may contain slashes and colons", example = "auto")),
    responses(
        (status = 200, description = "The tokens", body = GeminiCountAnswer),
        (status = "4XX", description = "Refused: `status` and `details` have the reason", body = GeminiError),
    ),
)]
pub(crate) async fn count_tokens(
    run_request: RunRequest,
    model: String,
    request: GeminiCountRequest,
) -> Result<Response, HttpError> {
    let GeminiCountAnswer { mut total_tokens } = request.clone().estimate()?;
    // A part of a conversation can be counted, but isn't always a request.
    if let Ok(generation) = request.into_generation(model) {
        let RunRequest { gateway, caller, .. } = &run_request;
        total_tokens = gateway.count_prompt(caller, generation, total_tokens).await;
    }
    Ok(Json(GeminiCountAnswer { total_tokens }).into_response())
}
