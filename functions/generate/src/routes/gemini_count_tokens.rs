//! `POST /v1beta/models/{model}:countTokens`: the Gemini dialect.

use axum::{
    Json,
    response::{IntoResponse as _, Response},
};
use hearth_http::HttpError;
use hearth_wire::gemini::{GeminiCountAnswer, GeminiCountRequest, GeminiError};

/// Estimate the tokens of a conversation, as Google's SDKs ask for it.
///
/// It is an estimate, of four bytes to a token, and the same for every model: only the model itself can count. What an
/// answer took is in its `usageMetadata`.
#[utoipa::path(
    post, path = "/v1beta/models/{model}:countTokens", operation_id = "gemini_count_tokens", tag = "compatible",
    security(("token" = [])),
    request_body(
        content = GeminiCountRequest,
        example = json!({"contents": [{"role": "user", "parts": [{"text": "What is the capital of France?"}]}]}),
    ),
    params(("model" = String, Path, description = "A model's id; the estimate is the same for all", example = "auto")),
    responses(
        (status = 200, description = "An estimate of the tokens", body = GeminiCountAnswer),
        (status = "4XX", description = "Refused: `status` and the details say why", body = GeminiError),
    ),
)]
pub(crate) fn count_tokens(request: GeminiCountRequest) -> Result<Response, HttpError> {
    Ok(Json(request.estimate()?).into_response())
}
