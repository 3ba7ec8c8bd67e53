//! `POST /v1beta/models/{model}:countTokens`: Gemini's dialect.

use axum::{
    Json,
    response::{IntoResponse as _, Response},
};
use hearth_http::HttpError;
use hearth_wire::gemini::{GeminiCountAnswer, GeminiCountRequest, GeminiError};

/// Estimate the tokens of a conversation, as Google's SDKs request it.
///
/// The estimate takes four bytes for a token, and is the same for every model, since only the model itself can count.
/// The response of `:generateContent` has the exact `usageMetadata`.
#[utoipa::path(
    post, path = "/v1beta/models/{model}:countTokens", operation_id = "gemini_count_tokens", tag = "compatible",
    security(("token" = [])),
    request_body(
        content = GeminiCountRequest,
        example = json!({"contents": [{"role": "user", "parts": [{"text": "What is the capital of France?"}]}]}),
    ),
    params(("model" = String, Path, description = "Model id; the estimate is the same for all models", example = "auto")),
    responses(
        (status = 200, description = "Estimate of the tokens", body = GeminiCountAnswer),
        (status = "4XX", description = "Refused: `status` and `details` have the reason", body = GeminiError),
    ),
)]
pub(crate) fn count_tokens(request: GeminiCountRequest) -> Result<Response, HttpError> {
    Ok(Json(request.estimate()?).into_response())
}
