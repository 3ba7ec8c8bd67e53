//! How the routes that make text begin a run: their clients wait for it, or look for it later.

use axum::{http::HeaderMap, response::Response};
use hearth_domain::{Generation, OnDisconnect, RunId};
use hearth_gateway::{Caller, Conversation, Gateway, RunStream};
use hearth_http::queue;
use hearth_wire::{ApiError, native::requests::AcceptedRequest};

/// A run that has begun.
pub(crate) enum Begun {
    /// The client waits for its events.
    Attached(RunStream),
    /// The client has its answer, and the run goes on.
    Detached(Response),
}

/// Begins a run as the request's headers prefer it. A preference is no demand (RFC 7240, section 2):
/// where no run outlives its answer, the client waits.
pub(crate) async fn begin(
    gateway: &Gateway,
    caller: &Caller,
    id: RunId,
    headers: &HeaderMap,
    generation: Generation,
) -> Result<Begun, ApiError> {
    begin_turn(gateway, caller, id, headers, generation, None).await
}

/// The same, for a turn of a conversation: if it is to be kept, what was `said` before it.
pub(crate) async fn begin_turn(
    gateway: &Gateway,
    caller: &Caller,
    id: RunId,
    headers: &HeaderMap,
    mut generation: Generation,
    said: Option<Conversation>,
) -> Result<Begun, ApiError> {
    let detached = gateway.outlives_answers() && queue::prefers_async(headers);
    if detached {
        generation.on_disconnect = OnDisconnect::Continue;
    }
    let outlives = generation.on_disconnect == OnDisconnect::Continue;
    let run = gateway.generate(caller, id, generation).await?;
    let run = match said {
        Some(said) => gateway.keep_conversation(caller, run, said, outlives),
        None => run,
    };
    if detached {
        let request = AcceptedRequest::new(id, run.state(), run.queue_position());
        return Ok(Begun::Detached(queue::accepted(request)));
    }
    Ok(Begun::Attached(run))
}
