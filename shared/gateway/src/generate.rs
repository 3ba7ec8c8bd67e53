//! The entry of a request for an answer: prepare it, look up the cache, start a run.

use std::{borrow::Cow, sync::Arc};

use hearth_domain::{Delivery, Generation, Intent, RunId, Task};
use hearth_telemetry::traces::{Span, SpanKind, TraceContext};
use hearth_wire::ApiError;

use crate::{
    access::Caller,
    cache::{CacheLookup, CacheOutcome},
    components::Components,
    configuration::RoutingSnapshot,
    definitions::RenderedUse,
    files::names_files,
    in_place::pin_in_place,
    record::wants_store,
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
    // As its client has sent it: the artifacts that it names are small.
    let stored = stores_request(gateway, &generation).then(|| Box::new(generation.clone()));
    if generation.definitions.is_some() {
        Box::pin(gateway.definitions.apply(caller, &mut generation, RenderedUse::Messages(None))).await?;
    }
    if generation.intent == Intent::Open || names_files(&generation.task) {
        // Boxed: the future is large, and most requests need no preparation.
        generation = Box::pin(prepare(gateway, caller, &routing, generation)).await?;
    }
    gateway.preferences.apply(caller, &mut generation).await;
    let mut admission = gateway.limits.admit(caller, &generation).await?;
    let mut span = match gateway.cache.is_enabled() {
        true => Span::child(trace, SpanKind::Internal, "cache lookup"),
        false => Span::default(),
    };
    let stored_keys = &gateway.providers.stored_keys;
    let digest = routing_digest(gateway, caller, &routing).await;
    let lookup = gateway.cache.lookup(caller, stored_keys, &generation, &digest).await;
    match &lookup {
        Ok(lookup) => span.set("hearth.cache.result", lookup.as_str()),
        Err(error) => span.fail(error.code.as_str()),
    }
    drop(span);
    let capture = match lookup? {
        CacheLookup::Hit(answer) => {
            let rate = admission.as_ref().and_then(|admission| admission.status());
            if let Some(request) = &stored {
                gateway.records.put_request(id, caller.owner(), request).await?;
            }
            let mut run = gateway.runs.replay(caller, id, &answer, &generation, delivery, trace).await?;
            run.rate = rate;
            gateway.limits.count_hit(caller, &answer.selected(), admission.take()).await;
            return Ok(run);
        }
        CacheLookup::Miss(capture) => Some(capture),
        CacheLookup::Bypass => None,
    };
    let outcome = capture.as_ref().map(|_| CacheOutcome::Miss);
    // Boxed: the future that resolves candidates is of many kilobytes, and callers hold this one.
    let options = StartOptions { delivery, capture, routing, trace: trace.clone(), admission, stored };
    let mut run = pin_in_place(|| gateway.runs.start(caller, id, generation, options)).await?;
    run.cache = outcome;
    Ok(run)
}

/// Looks up the answers to several requests together, before each is carried out: then the cache of this process has them.
pub(crate) async fn prefetch(gateway: &Components, caller: &Caller, generations: &[&Generation]) {
    if !gateway.cache.is_enabled() || generations.len() < 2 {
        return;
    }
    let routing = gateway.configuration.current().await;
    let digest = routing_digest(gateway, caller, &routing).await;
    let mut prepared = Vec::with_capacity(generations.len());
    for generation in generations {
        let mut generation = Generation::clone(generation);
        gateway.preferences.apply(caller, &mut generation).await;
        prepared.push(generation);
    }
    gateway.cache.prefetch(caller, &gateway.providers.stored_keys, &prepared, &digest).await;
}

/// True if the request is stored with its run. Vectors aren't recorded, so their request isn't either.
fn stores_request(gateway: &Components, generation: &Generation) -> bool {
    let stores = wants_store(generation).unwrap_or(gateway.stores_requests);
    stores && !matches!(generation.task, Task::Embedding(_))
}

/// The digest of the routing that a request follows, for cache keys: with the explicit entries of the caller's organisation, if
/// there are any.
async fn routing_digest<'a>(
    gateway: &Components,
    caller: &Caller,
    routing: &'a RoutingSnapshot,
) -> Cow<'a, str> {
    if !gateway.cache.is_enabled() {
        return Cow::Borrowed(&routing.digest);
    }
    let registry = gateway.registries.current(caller.organisation).await;
    match registry.digest.is_empty() {
        true => Cow::Borrowed(&routing.digest),
        false => Cow::Owned(format!("{}+{}", routing.digest, registry.digest)),
    }
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
