//! The entry of a request for an answer: prepare it, look up the cache, start a run.

use hearth_domain::{Delivery, Generation, Intent, RunId};
use hearth_wire::ApiError;

use crate::{
    access::Caller,
    artifacts::names_artifacts,
    cache::{CacheLookup, CacheOutcome},
    components::Components,
    run::RunStream,
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
) -> Result<RunStream, ApiError> {
    if generation.intent == Intent::Open || names_artifacts(&generation.task) {
        // Boxed: the future is large, and most requests need no preparation.
        generation = Box::pin(prepare(gateway, caller, generation)).await?;
    }
    let capture = match gateway.cache.lookup(caller, &generation).await? {
        CacheLookup::Hit(answer) => {
            let on_disconnect = generation.on_disconnect;
            return gateway.runs.replay(caller, id, &answer, on_disconnect, delivery).await;
        }
        CacheLookup::Miss(capture) => Some(capture),
        CacheLookup::Bypass => None,
    };
    let outcome = capture.as_ref().map(|_| CacheOutcome::Miss);
    // Boxed: the future that resolves candidates is of many kilobytes, and callers hold this one.
    let mut run = Box::pin(gateway.runs.start(caller, id, generation, delivery, capture)).await?;
    run.cache = outcome;
    Ok(run)
}

/// The request with the task that its prompt asks for, and with the bytes of the artifacts that it names.
async fn prepare(
    gateway: &Components,
    caller: &Caller,
    generation: Generation,
) -> Result<Generation, ApiError> {
    let mut generation = gateway.router.apply_intent(caller, generation).await;
    gateway.artifacts.inline(caller, &mut generation.task).await?;
    Ok(generation)
}
