//! `POST /v1/analyze` and `POST /v1/analyze/batch`: data out of texts.

use axum::{
    Json,
    response::{IntoResponse as _, Response},
};
use hearth_http::{HttpError, JsonBody, rate_headers::with_rate, response_headers};
use hearth_wire::{
    error::ErrorEnvelope,
    native::analyze::{AnalyzeBatchRequest, AnalyzeBatchResponse, AnalyzeRequest, AnalyzeResponse},
};

use crate::{run_headers::CacheHeaders, run_request::RunRequest};

/// Extract data from a text, by a JSON Schema.
///
/// Without a schema the data has `intent`, `subject`, `entities`, `output_format` and `original_language`. The response says
/// whether the data fits the schema and how that was enforced, how confident the gateway is, and what it cost. A local model
/// always fits the schema; a provider's answer is validated, repaired, and generated again with the errors where needed.
#[utoipa::path(
    post, path = "/v1/analyze", operation_id = "analyze", tag = "generate", security(("token" = [])),
    request_body(
        content = AnalyzeRequest,
        example = json!({
            "prompt": "Order 4711 arrived broken. Please send me a new kettle to Lyon.",
            "schema": {
                "type": "object",
                "properties": {
                    "is_complaint": {"type": "boolean"},
                    "urgency": {"enum": ["low", "normal", "high"]},
                },
                "required": ["is_complaint", "urgency"],
                "additionalProperties": false,
            },
        }),
    ),
    params(CacheHeaders),
    responses(
        (status = 200, description = "The data", body = AnalyzeResponse),
        (status = 422, description = "`invalid_answer`: no answer fits the schema", body = ErrorEnvelope),
    ),
)]
pub(crate) async fn analyze(
    run_request: RunRequest,
    JsonBody(request): JsonBody<AnalyzeRequest>,
) -> Result<Response, HttpError> {
    let context = run_request.analysis_context();
    let analyzed = Box::pin(run_request.gateway.analyze(&run_request.caller, request, &context)).await?;
    let response = response_headers::with_run(Json(analyzed.response).into_response(), &analyzed.events);
    Ok(with_rate(response_headers::with_cache(response, analyzed.cache), analyzed.rate))
}

/// Extract data from up to 100 texts.
///
/// The texts are analyzed at the same time, within a bound. Equal ones are analyzed once. An item that fails has its error, and the
/// others go on; each counts as a request of its own for the caller's limits. If the client disconnects, the runs are cancelled.
#[utoipa::path(
    post, path = "/v1/analyze/batch", operation_id = "analyze_batch", tag = "generate", security(("token" = [])),
    request_body(
        content = AnalyzeBatchRequest,
        example = json!({
            "prompts": ["The kettle arrived broken.", "Thank you, it works well!"],
            "schema": {
                "type": "object",
                "properties": {"is_complaint": {"type": "boolean"}},
                "required": ["is_complaint"],
                "additionalProperties": false,
            },
        }),
    ),
    params(CacheHeaders),
    responses(
        (status = 200, description = "The results, in the order of the items", body = AnalyzeBatchResponse),
    ),
)]
pub(crate) async fn analyze_batch(
    run_request: RunRequest,
    JsonBody(request): JsonBody<AnalyzeBatchRequest>,
) -> Result<Json<AnalyzeBatchResponse>, HttpError> {
    let context = run_request.analysis_context();
    Ok(Json(Box::pin(run_request.gateway.analyze_batch(&run_request.caller, request, &context)).await?))
}
