//! Requests of the native API that are turns of sessions.

use axum::response::Response;
use hearth_domain::{Modality, Role, Session, SessionId};
use hearth_gateway::{
    Delivery,
    sessions::{TurnRequest, TurnSource},
};
use hearth_http::HttpError;
use hearth_wire::{
    ApiError,
    native::{
        generate::check_state_tokens,
        input::Input,
        render::Renderer,
        request::GenerateRequest,
        turns::{TurnFields, TurnNotes},
    },
};
use serde_json::{Value, json};

use crate::run_request::RunRequest;

/// Responds to a request as a turn of the session `id`.
pub(crate) async fn respond_in_session(
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

/// A turn of a session of which the request is known.
pub(crate) struct SessionTurn {
    pub(crate) session: Session,
    pub(crate) source: TurnSource,
    /// Options of an earlier request that is repeated.
    pub(crate) options: Value,
}

impl SessionTurn {
    /// Responds to the request of the turn.
    pub(crate) async fn respond(
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
