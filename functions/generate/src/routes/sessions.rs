//! Turns of sessions: `POST /v1/sessions/{id}/generate` and `/regenerate`.

use axum::response::Response;
use hearth_domain::SessionId;
use hearth_gateway::sessions::EarlierTurn;
use hearth_http::{HttpError, JsonBody, OptionalJsonBody, PathParam, PublicUrl};
use hearth_wire::{
    ApiError,
    error::ErrorEnvelope,
    json_body::parse_json,
    native::{
        generate::GenerateResponse, request::GenerateRequest, requests::AcceptedRequest,
        turns::RegenerateRequest,
    },
};
use serde_json::json;

use crate::{routes::generate, run_headers::RunHeaders, run_request::RunRequest, session_turn::SessionTurn};

/// Generate in a session: the model gets its messages before the input, and input and answer are added to it.
///
/// The same as `POST /v1/generate` with `session_id`. A picture or mesh that an earlier turn has made is the input of a turn for a
/// picture or mesh without one of its own. Turns of one session are carried out one after the other, in the order of their
/// requests; while another one is in progress, a streamed response begins with `queued`.
#[utoipa::path(
    post, path = "/v1/sessions/{id}/generate", operation_id = "generate_in_session", tag = "sessions",
    security(("token" = [])),
    request_body(
        content = GenerateRequest,
        example = json!({"input": {"prompt": "What is the capital of France?"}}),
    ),
    params(("id" = String, Path, description = "Id of the session"), RunHeaders),
    responses(
        (status = 200, description = "The response, or a stream of events", body = GenerateResponse),
        (status = 202, description = "The run continues without the client", body = AcceptedRequest),
        (status = 404, description = "No such resource, or one of another user", body = ErrorEnvelope),
        (status = 409, description = "The session is closed, or in use for too long", body = ErrorEnvelope),
    ),
)]
pub(crate) async fn generate(
    run_request: RunRequest,
    PathParam(id): PathParam<SessionId>,
    PublicUrl(base): PublicUrl,
    JsonBody(mut request): JsonBody<GenerateRequest>,
) -> Result<Response, HttpError> {
    if request.session_id.is_some_and(|session| session != id) {
        let message = "session_id names another session than the path; leave it out";
        return Err(HttpError(ApiError::invalid("session_id", message)));
    }
    request.session_id = Some(id);
    generate::answer(run_request, request, base).await
}

/// Generate an answer of a session again, with other parameters or another model.
///
/// Without `request_id` and `message_id` it is the latest answer. With the mode `replace` the new answer takes the place of the
/// earlier one, which stays in the session as another branch, with all that followed it. With `append` the turn is repeated at
/// the end of the session, with the context that it had.
#[utoipa::path(
    post, path = "/v1/sessions/{id}/regenerate", operation_id = "regenerate_in_session", tag = "sessions",
    security(("token" = [])),
    request_body(content = RegenerateRequest, example = json!({"parameters": {"temperature": 1.0}})),
    params(("id" = String, Path, description = "Id of the session"), RunHeaders),
    responses(
        (status = 200, description = "The response, or a stream of events", body = GenerateResponse),
        (status = 202, description = "The run continues without the client", body = AcceptedRequest),
        (status = 404, description = "No such resource, or one of another user", body = ErrorEnvelope),
        (status = 409, description = "The session is closed, in use for too long, or has no such answer", body = ErrorEnvelope),
    ),
)]
pub(crate) async fn regenerate(
    run_request: RunRequest,
    PathParam(id): PathParam<SessionId>,
    PublicUrl(base): PublicUrl,
    OptionalJsonBody(request): OptionalJsonBody<RegenerateRequest>,
) -> Result<Response, HttpError> {
    let earlier = run_request.gateway.earlier_turn(&run_request.caller, id, &request).await?;
    let merged = merge(&request, &earlier)?;
    let EarlierTurn { session, source, options } = earlier;
    let turn = SessionTurn { session, source, options };
    Box::pin(turn.respond(run_request, merged, base)).await
}

/// The request of an earlier turn with the changes of a regeneration. Its input is a placeholder: the gateway has the stored one.
fn merge(request: &RegenerateRequest, earlier: &EarlierTurn) -> Result<GenerateRequest, ApiError> {
    let mut merged = request.merge_into(&earlier.options["request"]);
    let last = earlier.input().last().map(|message| message.content.as_str());
    merged["input"] = json!({"prompt": last.filter(|text| !text.trim().is_empty()).unwrap_or("-")});
    parse_json(merged.to_string().as_bytes())
}
