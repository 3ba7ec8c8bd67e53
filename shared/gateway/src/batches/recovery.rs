//! Requests that a process which has died had begun: the ids of their runs follow from their lines.

use futures::StreamExt as _;
use hearth_domain::{RunId, RunState, Usage};
use hearth_wire::{ApiError, ErrorCode, RunEvent};
use serde_json::Value;

use super::{
    endpoint::{self, RequestRun},
    request::RequestContext,
};

/// Number of attempts that are looked for.
const ATTEMPTS_MAX_COUNT: u32 = 1_000;

/// Outcome of the search for a request that was begun.
#[derive(Debug)]
pub(super) enum Recovered {
    /// It had an answer.
    Answer { run: RunId, answer: Value, usage: Usage },
    /// It has none: the number of the next attempt, from 0.
    Attempt(u32),
}

/// Looks for the answer of a request. A run of it that is still open is stopped: its process has lost the batch.
///
/// # Errors
/// `internal` if the store fails.
pub(super) async fn find(context: &RequestContext, line: u64, body: &[u8]) -> Result<Recovered, ApiError> {
    let (gateway, caller) = (&context.gateway.0, &context.caller);
    for attempt in 0..ATTEMPTS_MAX_COUNT {
        let id = context.run_id(line, attempt, 0);
        let run = match gateway.requests.get(caller, id).await {
            Ok(run) => run,
            Err(error) if error.code == ErrorCode::NotFound => return Ok(Recovered::Attempt(attempt)),
            Err(error) => return Err(error),
        };
        let state = match run.state.is_terminal() {
            true => run.state,
            false => gateway.requests.cancel(caller, id).await?.0.state,
        };
        if state != RunState::Completed {
            continue;
        }
        if let Some((answer, usage)) = recorded_answer(context, line, attempt, body).await? {
            return Ok(Recovered::Answer { run: id, answer, usage });
        }
    }
    Ok(Recovered::Attempt(ATTEMPTS_MAX_COUNT))
}

/// The answer of a run that has ended, if its record has all of it.
async fn recorded_answer(
    context: &RequestContext,
    line: u64,
    attempt: u32,
    body: &[u8],
) -> Result<Option<(Value, Usage)>, ApiError> {
    let Ok(mut runs) = context.parse(body, line, attempt).await else { return Ok(None) };
    let (Some(RequestRun { form, .. }), true) = (runs.pop(), runs.is_empty()) else { return Ok(None) };
    if form.is_unrecorded() {
        return Ok(None);
    }
    let id = context.run_id(line, attempt, 0);
    let events = context.gateway.0.requests.follow(&context.caller, id, None).await?;
    let events: Vec<RunEvent> = events.collect().await;
    let usage = endpoint::usage_of(&events);
    Ok(form.into_answer(&events).ok().map(|answer| (answer, usage)))
}
