//! `POST /v1/messages/count_tokens`: the Anthropic dialect.

use axum::Json;
use hearth_http::{HttpError, JsonBody};
use hearth_wire::anthropic::{CountTokensAnswer, CountTokensRequest, MessagesError};

/// Estimate the tokens of a conversation, as Anthropic's SDKs ask for it.
///
/// It is an estimate, of four bytes to a token, and the same for every model: only the model itself can
/// count. What an answer took is in its `usage`.
#[utoipa::path(
    post, path = "/v1/messages/count_tokens", operation_id = "count_message_tokens", tag = "compatible", security(("token" = [])),
    request_body(
        content = CountTokensRequest,
        example = json!({"model": "auto", "messages": [{"role": "user", "content": "What is the capital of France?"}]}),
    ),
    responses(
        (status = 200, description = "An estimate of the tokens", body = CountTokensAnswer),
        (status = "4XX", description = "Refused: `code` says why, and `param` names the field", body = MessagesError),
    ),
)]
pub(crate) async fn count_tokens(
    JsonBody(request): JsonBody<CountTokensRequest>,
) -> Result<Json<CountTokensAnswer>, HttpError> {
    Ok(Json(request.estimate()?))
}
