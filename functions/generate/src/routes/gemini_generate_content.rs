//! `POST /v1beta/models/{model}:generateContent` and `:streamGenerateContent`: the Gemini dialect.

use axum::response::Response;
use hearth_http::HttpError;
use hearth_wire::{
    gemini::{GeminiError, GenerateContentAnswer, GenerateContentRequest},
    native::requests::AcceptedRequest,
};

use crate::asker::Asker;

/// Answer a conversation, as Google's SDKs ask for it.
///
/// `x-queue-position` tells the place of a request that has to wait.
#[utoipa::path(
    post, path = "/v1beta/models/{model}:generateContent", operation_id = "gemini_generate_content", tag = "compatible",
    security(("token" = [])),
    request_body(
        content = GenerateContentRequest,
        example = json!({"contents": [{"role": "user", "parts": [{"text": "What is the capital of France?"}]}]}),
    ),
    params(
        ("model" = String, Path, description = "A model's id, or `auto`; may hold slashes and colons", example = "auto"),
        ("prefer" = Option<String>, Header, description = "`respond-async`: answer 202 at once"),
        ("x-hearth-cache" = Option<String>, Header, description = "What it wants of the cache: `use`, `no-cache`, `no-store`, `only-if-cached`"),
    ),
    responses(
        (status = 200, description = "The answer", body = GenerateContentAnswer),
        (status = 202, description = "The request goes on by itself", body = AcceptedRequest),
        (status = "4XX", description = "Refused: `status` and the details say why", body = GeminiError),
        (status = "5XX", description = "Failed: `status` and the details say where", body = GeminiError),
    ),
)]
pub(crate) async fn generate(
    asker: Asker,
    model: String,
    request: GenerateContentRequest,
) -> Result<Response, HttpError> {
    let renderer = request.renderer(asker.id);
    asker.answer(request.into_generation(model)?, renderer, false).await
}

/// Answer a conversation piece by piece, as Google's SDKs ask for it.
///
/// Each piece is a response with some parts more; the last one has the reason of the end, and the usage. With `alt=sse`
/// they are server-sent events, without it the items of one JSON array.
#[utoipa::path(
    post, path = "/v1beta/models/{model}:streamGenerateContent", operation_id = "gemini_stream_generate_content",
    tag = "compatible", security(("token" = [])),
    request_body(
        content = GenerateContentRequest,
        example = json!({"contents": [{"role": "user", "parts": [{"text": "What is the capital of France?"}]}]}),
    ),
    params(
        ("model" = String, Path, description = "A model's id, or `auto`; may hold slashes and colons", example = "auto"),
        ("alt" = Option<String>, Query, description = "`sse`: as server-sent events", example = "sse"),
        ("x-hearth-cache" = Option<String>, Header, description = "What it wants of the cache: `use`, `no-cache`, `no-store`, `only-if-cached`"),
    ),
    responses(
        (status = 200, description = "The pieces of the answer", body = Vec<GenerateContentAnswer>),
        (status = "4XX", description = "Refused: `status` and the details say why", body = GeminiError),
        (status = "5XX", description = "Failed: `status` and the details say where", body = GeminiError),
    ),
)]
pub(crate) async fn stream(
    asker: Asker,
    model: String,
    request: GenerateContentRequest,
    is_events: bool,
) -> Result<Response, HttpError> {
    let renderer = request.renderer(asker.id);
    let renderer = if is_events { renderer } else { renderer.as_array() };
    asker.answer(request.into_generation(model)?, renderer, true).await
}
