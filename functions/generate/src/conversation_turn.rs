//! The conversation that a request for a response continues: a stored one, or that of an earlier response.

use futures::{FutureExt as _, future::BoxFuture};
use hearth_domain::{Message, Role, RunId, SessionId, Task};
use hearth_gateway::sessions::{TurnRequest, TurnSource};
use hearth_wire::{
    ApiError, ErrorCode,
    native::turns::{TurnFields, TurnNotes},
    openai::responses::{
        CONVERSATION, PREVIOUS_RESPONSE, ResponsesRequest, ResponsesTurn, conversation_not_found,
        name_stored_parts,
    },
};
use serde_json::{Value, json};

use crate::run_request::RunRequest;

/// Converts a request, and makes its run a turn of its conversation, if it has one.
///
/// # Errors
/// `not_found`, with the field, for a conversation or response that isn't stored, or is another user's; `conflict` for one
/// that can't be continued; `invalid_request`, naming the field.
pub(crate) fn into_turn(
    run_request: RunRequest,
    request: ResponsesRequest,
) -> BoxFuture<'static, Result<(RunRequest, ResponsesTurn), ApiError>> {
    // Boxed: the future is large, and few requests have a conversation.
    convert(run_request, request).boxed()
}

async fn convert(
    run_request: RunRequest,
    request: ResponsesRequest,
) -> Result<(RunRequest, ResponsesTurn), ApiError> {
    let Some(session) = request.conversation()? else {
        let earlier = earlier(&run_request, request.previous()?).await?;
        let turn = continue_after(&run_request, request, earlier).await?;
        return Ok((run_request, turn));
    };
    let (gateway, caller) = (&run_request.gateway, &run_request.caller);
    let opened = gateway.session_of_turn(caller, session).await;
    let session_record = opened.map_err(|error| match error.code {
        ErrorCode::NotFound => conversation_not_found().at(CONVERSATION),
        _ => error.at(CONVERSATION),
    })?;
    // The result of a call needs the call before it.
    let calls = if request.has_call_results() {
        gateway.calls_of_session(&session_record).await?
    } else {
        Vec::new()
    };
    let turn = TurnRequest {
        session,
        source: TurnSource::Input,
        has_system_prompt: request.instructions.is_some(),
        earlier_count: calls.len(),
        overflow: request.context_overflow(),
        options: Value::Null,
        state_tokens: None,
        notes: TurnNotes::new(TurnFields { session_id: Some(session), ..TurnFields::default() }),
    };
    let converted = request.into_turn(calls)?;
    let options = json!({"request": options(&converted)});
    Ok((run_request.in_session(TurnRequest { options, ..turn }), converted))
}

/// Converts a request that continues the conversation `earlier`. The messages of its template are a part of the conversation, which a
/// later request continues.
///
/// # Errors
/// `invalid_request` or `not_found`, naming the field.
pub(crate) async fn continue_after(
    run_request: &RunRequest,
    request: ResponsesRequest,
    earlier: Vec<Message>,
) -> Result<ResponsesTurn, ApiError> {
    let (earlier_count, has_instructions) = (earlier.len(), request.instructions.is_some());
    let mut turn = request.into_turn(earlier)?;
    if turn.generation.definitions.is_none() {
        return Ok(turn);
    }
    let (gateway, caller) = (&run_request.gateway, &run_request.caller);
    let in_task = (earlier_count > 0).then_some(earlier_count + usize::from(has_instructions));
    // Boxed: the future is large, and few requests have a template.
    let added = Box::pin(gateway.definitions().apply_at(caller, &mut turn.generation, in_task)).await?;
    let first = turn.messages.iter().take_while(|message| message.role == Role::System).count();
    let at = if earlier_count > 0 { earlier_count } else { first };
    turn.messages.splice(at..at, added);
    Ok(turn)
}

/// The options of a request, as a native one has them.
fn options(turn: &ResponsesTurn) -> Value {
    let generation = &turn.generation;
    let mut options = json!({"model": generation.model});
    if let Task::Text(task) = &generation.task {
        let sampling = &task.sampling;
        let parameters = json!({
            "temperature": sampling.temperature, "top_p": sampling.top_p, "top_k": sampling.top_k,
            "min_p": sampling.min_p, "seed": sampling.seed, "max_tokens": sampling.max_tokens,
        });
        options["parameters"] = parameters;
        if let Some(parameters) = options["parameters"].as_object_mut() {
            parameters.retain(|_, value| !value.is_null());
        }
    }
    options
}

/// Loads the conversation that ends with an earlier response.
async fn earlier(run_request: &RunRequest, id: Option<RunId>) -> Result<Vec<Message>, ApiError> {
    let Some(id) = id else { return Ok(Vec::new()) };
    let (gateway, caller) = (&run_request.gateway, &run_request.caller);
    let named = |error: ApiError| error.at(PREVIOUS_RESPONSE);
    let stored = gateway.conversation(caller, id).await.map_err(named)?;
    // A response of a conversation is stored without the items before it.
    let conversation = stored.request_echo[CONVERSATION]["id"].as_str();
    let mut messages = match conversation.and_then(|conversation| conversation.parse::<SessionId>().ok()) {
        Some(session) => gateway.messages_through(caller, session, id).await.map_err(named)?,
        None => stored.into_sent(),
    };
    name_stored_parts(&mut messages, PREVIOUS_RESPONSE);
    Ok(messages)
}
