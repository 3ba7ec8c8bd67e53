//! `POST /v1beta/models/{model}:generateContent` and `:streamGenerateContent`: Gemini's dialect.

use axum::response::Response;
use hearth_gateway::Delivery;
use hearth_http::HttpError;
use hearth_wire::{
    gemini::{GeminiError, GenerateContentAnswer, GenerateContentRequest},
    native::requests::AcceptedRequest,
};

use crate::{run_headers::RunHeaders, run_request::RunRequest};

/// Generate an answer, as Google's SDKs request it.
///
/// `x-queue-position` is the position of a request that has to wait.
#[utoipa::path(
    post, path = "/v1beta/models/{model}:generateContent", operation_id = "gemini_generate_content", tag = "compatible",
    security(("token" = [])),
    request_body(
        content = GenerateContentRequest,
        examples(
            ("question" = (summary = "A question", value = json!({"contents": [{"role": "user", "parts": [{"text": "What is the capital of France?"}]}]}))),
            ("structured" = (summary = "An answer with a JSON Schema", value = json!({"contents": [{"role": "user", "parts": [{"text": "What is the capital of France?"}]}], "generationConfig": {"maxOutputTokens": 60, "responseMimeType": "application/json", "responseJsonSchema": {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"], "additionalProperties": false}}}))),
        ),
    ),
    params(
        ("model" = String, Path, description = "Model id, or `auto`; may contain slashes and colons", example = "auto"),
        RunHeaders,
    ),
    responses(
        (status = 200, description = "The answer", body = GenerateContentAnswer),
        (status = 202, description = "The run continues without the client", body = AcceptedRequest),
        (status = "4XX", description = "Refused: `status` and `details` have the reason", body = GeminiError),
        (status = "5XX", description = "Failed: `status` and `details` have the reason", body = GeminiError),
    ),
)]
pub(crate) async fn generate(
    run_request: RunRequest,
    model: String,
    request: GenerateContentRequest,
) -> Result<Response, HttpError> {
    let renderer = request.renderer(run_request.id);
    run_request.respond(request.into_generation(model)?, renderer, Delivery::Whole).await
}

/// Stream an answer, as Google's SDKs request it.
///
/// Each piece is a response with further parts; the last one has the finish reason and the usage. With `alt=sse` the
/// pieces are server-sent events, without it the items of one JSON array.
#[utoipa::path(
    post, path = "/v1beta/models/{model}:streamGenerateContent", operation_id = "gemini_stream_generate_content",
    tag = "compatible", security(("token" = [])),
    request_body(
        content = GenerateContentRequest,
        examples(
            ("question" = (summary = "A question", value = json!({"contents": [{"role": "user", "parts": [{"text": "What is the capital of France?"}]}]}))),
            ("structured" = (summary = "An answer with a JSON Schema", value = json!({"contents": [{"role": "user", "parts": [{"text": "What is the capital of France?"}]}], "generationConfig": {"maxOutputTokens": 60, "responseMimeType": "application/json", "responseJsonSchema": {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"], "additionalProperties": false}}}))),
        ),
    ),
    params(
        ("model" = String, Path, description = "Model id, or `auto`; may contain slashes and colons", example = "auto"),
        ("alt" = Option<String>, Query, description = "`sse`: as server-sent events", example = "sse"),
        RunHeaders,
    ),
    responses(
        (status = 200, description = "The pieces of the answer", body = Vec<GenerateContentAnswer>),
        (status = 202, description = "The run continues without the client", body = AcceptedRequest),
        (status = "4XX", description = "Refused: `status` and `details` have the reason", body = GeminiError),
        (status = "5XX", description = "Failed: `status` and `details` have the reason", body = GeminiError),
    ),
)]
pub(crate) async fn stream(
    run_request: RunRequest,
    model: String,
    request: GenerateContentRequest,
    is_events: bool,
) -> Result<Response, HttpError> {
    let renderer = request.renderer(run_request.id);
    let renderer = if is_events { renderer } else { renderer.as_array() };
    run_request.respond(request.into_generation(model)?, renderer, Delivery::Stream).await
}
