//! The entry of a request for an answer: prepare it, look up the cache, start a run.

use std::sync::Arc;

use hearth_domain::{Delivery, Generation, Intent, RunId};
use hearth_telemetry::traces::{Span, SpanKind, TraceContext};
use hearth_wire::ApiError;

use crate::{
    access::Caller,
    artifacts::names_artifacts,
    cache::{CacheLookup, CacheOutcome},
    components::Components,
    configuration::RoutingSnapshot,
    run::{RunStream, StartOptions},
};

/// Starts the run `id`: with a cached answer, or with a model's.
///
/// # Errors
/// As [`crate::Gateway::generate`].
pub(crate) async fn generate(
    gateway: &Components,
    caller: &Caller,
    id: RunId,
    mut generation: Generation,
    delivery: Delivery,
    trace: &TraceContext,
) -> Result<RunStream, ApiError> {
    let routing = gateway.configuration.current().await;
    if generation.intent == Intent::Open || names_artifacts(&generation.task) {
        // Boxed: the future is large, and most requests need no preparation.
        generation = Box::pin(prepare(gateway, caller, &routing, generation)).await?;
    }
    let mut span = match gateway.cache.is_enabled() {
        true => Span::child(trace, SpanKind::Internal, "cache lookup"),
        false => Span::default(),
    };
    let lookup = gateway.cache.lookup(caller, &generation, &routing.digest).await;
    match &lookup {
        Ok(lookup) => span.set("hearth.cache.result", lookup.as_str()),
        Err(error) => span.fail(error.code.as_str()),
    }
    drop(span);
    let capture = match lookup? {
        CacheLookup::Hit(answer) => {
            let on_disconnect = generation.on_disconnect;
            return gateway.runs.replay(caller, id, &answer, on_disconnect, delivery, trace).await;
        }
        CacheLookup::Miss(capture) => Some(capture),
        CacheLookup::Bypass => None,
    };
    let outcome = capture.as_ref().map(|_| CacheOutcome::Miss);
    // Boxed: the future that resolves candidates is of many kilobytes, and callers hold this one.
    let options = StartOptions { delivery, capture, routing, trace: trace.clone() };
    let mut run = Box::pin(gateway.runs.start(caller, id, generation, options)).await?;
    run.cache = outcome;
    Ok(run)
}

/// The request with the task that its prompt asks for, and with the bytes of the artifacts that it names.
async fn prepare(
    gateway: &Components,
    caller: &Caller,
    routing: &Arc<RoutingSnapshot>,
    generation: Generation,
) -> Result<Generation, ApiError> {
    let mut generation = gateway.router.apply_intent(routing, caller, generation).await;
    gateway.artifacts.inline(caller, &mut generation.task).await?;
    Ok(generation)
}
