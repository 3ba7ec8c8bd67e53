//! `POST /v1/generate`: the native API.

use axum::response::Response;
use hearth_gateway::Delivery;
use hearth_http::{HttpError, JsonBody, PublicUrl};
use hearth_wire::{
    ApiError,
    native::{
        generate::GenerateResponse,
        render::Renderer,
        request::GenerateRequest,
        requests::AcceptedRequest,
        turns::{TurnFields, TurnNotes},
    },
};

use crate::{
    routes::inline_files,
    run_headers::RunHeaders,
    run_request::RunRequest,
    session_turn::{refuse_without_session, respond_in_session},
};

/// Generate text, images or a mesh.
///
/// Images and meshes are stored for 30 days as artifacts, and the response has links to them. With `stream: true` the
/// response is server-sent events: `model_selected`, `waiting`, `queued` and `loading` while it waits, `delta` for each piece of
/// text, `tool_call` for each piece of a tool call, `complete` with the whole response, then `[DONE]`.
/// `x-queue-position` is the position of a request that has to wait.
///
/// With `session_id` the request is a turn of a session: the model gets the session's messages, and input and answer are added
/// to it. Turns of one session are carried out one after the other; a streamed response begins with `queued` meanwhile.
#[utoipa::path(
    post, path = "/v1/generate", operation_id = "generate", tag = "generate", security(("token" = [])),
    request_body(
        content = GenerateRequest,
        examples(
            ("question" = (summary = "A question", value = json!({"input": {"prompt": "What is the capital of France?"}}))),
            ("structured" = (summary = "An answer with a JSON Schema", value = json!({"input": {"prompt": "What is the capital of France?"}, "parameters": {"max_tokens": 60, "response_format": {"type": "json_schema", "json_schema": {"name": "city", "schema": {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"], "additionalProperties": false}}}}, "max_attempts": 2}))),
        ),
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
    answer(run_request, request, base).await
}

/// Responds to a request, which may be a turn of a session.
pub(crate) async fn answer(
    run_request: RunRequest,
    request: GenerateRequest,
    base: String,
) -> Result<Response, HttpError> {
    refuse_without_session(&request)?;
    if request.inline {
        return Box::pin(inline(run_request, request, base)).await;
    }
    Box::pin(respond(run_request, request, base)).await
}

/// Responds in one piece, with the bytes of small files.
async fn inline(
    run_request: RunRequest,
    mut request: GenerateRequest,
    base: String,
) -> Result<Response, HttpError> {
    if request.stream {
        let message = "inline excludes stream: read the files by their links, or leave stream out";
        return Err(HttpError(ApiError::invalid("inline", message)));
    }
    request.inline = false;
    let gateway = run_request.gateway.clone();
    let response = Box::pin(respond(run_request, request, base)).await?;
    Ok(inline_files::add(&gateway, response).await?)
}

async fn respond(
    run_request: RunRequest,
    request: GenerateRequest,
    base: String,
) -> Result<Response, HttpError> {
    if let Some(session) = request.session_id {
        return respond_in_session(run_request, session, request, base).await;
    }
    let model = request.model.as_deref();
    run_request.gateway.check_parameters(&run_request.caller, model, &request.parameters).await?;
    let fields = TurnFields { state_tokens: request.state_tokens.clone(), ..TurnFields::default() };
    let renderer = Renderer::new(run_request.id).reached_at(base).with_turn(TurnNotes::new(fields));
    let streams = request.stream;
    let generation = request.into_generation()?;
    // Boxed: the future is large.
    Box::pin(run_request.respond(generation, renderer, Delivery::of(streams))).await
}
