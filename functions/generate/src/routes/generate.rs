//! `POST /v1/generate`: the native API.

use axum::response::Response;
use hearth_gateway::Delivery;
use hearth_http::{HttpError, JsonBody, PublicUrl};
use hearth_wire::native::{
    generate::GenerateResponse, render::Renderer, request::GenerateRequest, requests::AcceptedRequest,
};

use crate::{run_headers::RunHeaders, run_request::RunRequest};

/// Generate text, images or a mesh.
///
/// Images and meshes are stored for 30 days as artifacts, and the response has links to them. With `stream: true` the
/// response is server-sent events: `model_selected`, `queued` and `loading` while it waits, `delta` for each piece of
/// text, `tool_call` for each piece of a tool call, `complete` with the whole response, then `[DONE]`.
/// `x-queue-position` is the position of a request that has to wait.
#[utoipa::path(
    post, path = "/v1/generate", operation_id = "generate", tag = "generate", security(("token" = [])),
    request_body(
        content = GenerateRequest,
        example = json!({"input": {"prompt": "What is the capital of France?"}}),
    ),
    params(RunHeaders),
    responses(
        (status = 200, description = "The response, or a stream of events", body = GenerateResponse),
        (status = 202, description = "The run continues without the client", body = AcceptedRequest),
    ),
)]
pub(crate) async fn generate(
    run_request: RunRequest,
    PublicUrl(base): PublicUrl,
    JsonBody(request): JsonBody<GenerateRequest>,
) -> Result<Response, HttpError> {
    let (streams, renderer) = (request.stream, Renderer::new(run_request.id).reached_at(base));
    run_request.respond(request.into_generation()?, renderer, Delivery::of(streams)).await
}
