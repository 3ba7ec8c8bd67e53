//! `POST /v1/generate`: the native dialect.

use axum::response::Response;
use hearth_http::{HttpError, JsonBody, PublicUrl};
use hearth_wire::native::{
    generate::{GenerateRequest, GenerateResponse},
    render::Renderer,
    requests::AcceptedRequest,
};

use crate::asker::Asker;

/// Generate text, images or a mesh.
///
/// Images and meshes are kept for 30 days as artifacts, and the answer has links to them.
/// With `stream: true` the answer is server-sent events: `model_selected`, `queued` and `loading`
/// while it waits, `delta` for each piece of text, `tool_call` for each piece of a call, `complete` with
/// the whole response, then `[DONE]`. `x-queue-position` tells the place of a request that has to wait.
#[utoipa::path(
    post, path = "/v1/generate", operation_id = "generate", tag = "generate", security(("token" = [])),
    request_body(
        content = GenerateRequest,
        example = json!({"input": {"prompt": "What is the capital of France?"}}),
    ),
    params(
        ("prefer" = Option<String>, Header, description = "`respond-async`: answer 202 at once"),
        ("x-hearth-cache" = Option<String>, Header, description = "What it wants of the cache: `use`, `no-cache`, `no-store`, `only-if-cached`"),
    ),
    responses(
        (status = 200, description = "What was generated, or a stream of events", body = GenerateResponse),
        (status = 202, description = "The request goes on by itself", body = AcceptedRequest),
    ),
)]
pub(crate) async fn generate(
    asker: Asker,
    PublicUrl(base): PublicUrl,
    JsonBody(request): JsonBody<GenerateRequest>,
) -> Result<Response, HttpError> {
    let (streams, renderer) = (request.stream, Renderer::new(asker.id).reached_at(base));
    asker.answer(request.into_generation()?, renderer, streams).await
}
