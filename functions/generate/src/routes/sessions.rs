//! Turns of sessions: `POST /v1/sessions/{id}/generate` and `/regenerate`.

use axum::response::Response;
use hearth_domain::{Modality, Role, Session, SessionId};
use hearth_gateway::{
    Delivery,
    sessions::{EarlierTurn, TurnRequest, TurnSource},
};
use hearth_http::{HttpError, JsonBody, OptionalJsonBody, PathParam, PublicUrl};
use hearth_wire::{
    ApiError,
    error::ErrorEnvelope,
    json_body::parse_json,
    native::{
        generate::{GenerateResponse, check_state_tokens},
        input::Input,
        render::Renderer,
        request::GenerateRequest,
        requests::AcceptedRequest,
        turns::{RegenerateRequest, TurnFields, TurnNotes},
    },
};
use serde_json::{Value, json};

use crate::{routes::generate, run_headers::RunHeaders, run_request::RunRequest};

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

/// Responds to a request as a turn of the session `id`.
pub(crate) async fn respond(
    run_request: RunRequest,
    id: SessionId,
    request: GenerateRequest,
    base: String,
) -> Result<Response, HttpError> {
    let session = run_request.gateway.session_of_turn(&run_request.caller, id).await?;
    let turn = SessionTurn { session, source: TurnSource::Input, options: Value::Null };
    Box::pin(turn.respond(run_request, request, base)).await
}

/// Refuses a field that needs a session, since the request would ignore it.
pub(crate) fn refuse_without_session(request: &GenerateRequest) -> Result<(), ApiError> {
    if request.context_overflow.is_some() && request.session_id.is_none() {
        let message = "context_overflow needs session_id: the messages of a request are never left out";
        return Err(ApiError::invalid("context_overflow", message));
    }
    Ok(())
}

/// The request of an earlier turn with the changes of a regeneration. Its input is a placeholder: the gateway has the stored one.
fn merge(request: &RegenerateRequest, earlier: &EarlierTurn) -> Result<GenerateRequest, ApiError> {
    let mut merged = request.merge_into(&earlier.options["request"]);
    let last = earlier.input().last().map(|message| message.content.as_str());
    merged["input"] = json!({"prompt": last.filter(|text| !text.trim().is_empty()).unwrap_or("-")});
    parse_json(merged.to_string().as_bytes())
}

/// A turn of a session of which the request is known.
struct SessionTurn {
    session: Session,
    source: TurnSource,
    /// Options of an earlier request that is repeated.
    options: Value,
}

impl SessionTurn {
    async fn respond(
        self,
        run_request: RunRequest,
        mut request: GenerateRequest,
        base: String,
    ) -> Result<Response, HttpError> {
        let Self { session, source, options } = self;
        if let Some(tokens) = &request.state_tokens {
            check_state_tokens(tokens)?;
        }
        // As the client has sent it: a later change of the session's model holds for a regeneration too.
        let own_options = request.options();
        let is_text = request.modality.is_none_or(|modality| modality == Modality::Text);
        if request.model.is_none()
            && request.provider.is_none()
            && request.preferred_model.is_none()
            && is_text
        {
            request.model.clone_from(&session.model);
        }
        let model = request.model.as_deref();
        run_request.gateway.check_parameters(&run_request.caller, model, &request.parameters).await?;
        let earlier = match &source {
            TurnSource::Input if has_call_results(&request.input) => {
                run_request.gateway.calls_of_session(&session).await?
            }
            _ => Vec::new(),
        };
        let state_tokens = request.state_tokens.clone();
        // The session's tokens are passed on too.
        request.state_tokens = state_tokens.clone().or_else(|| session.state_tokens.clone());
        let fields = TurnFields {
            session_id: Some(session.id),
            state_tokens: request.state_tokens.clone(),
            ..TurnFields::default()
        };
        let mut options = if options.is_object() { options } else { json!({}) };
        options["request"] = own_options;
        let turn = TurnRequest {
            session: session.id,
            source,
            has_system_prompt: request.system_prompt.is_some(),
            earlier_count: earlier.len(),
            overflow: request.context_overflow,
            options,
            state_tokens,
            notes: TurnNotes::new(fields),
        };
        let renderer = Renderer::new(run_request.id).reached_at(base).with_turn(turn.notes.clone());
        let streams = request.stream;
        let generation = request.into_generation_after(earlier)?;
        // Boxed: the future is large.
        Box::pin(run_request.in_session(turn).respond(generation, renderer, Delivery::of(streams))).await
    }
}

fn has_call_results(input: &Input) -> bool {
    input.messages.iter().flatten().any(|message| message.role == Role::Tool)
}
