//! Counts the tokens of a prompt by the tokenizer and the chat template of its model.

use std::{sync::Arc, time::Duration};

use hearth_domain::{Delivery, Generation, RunId, Task};
use hearth_providers::Call;
use hearth_telemetry::traces::TraceContext;
use hearth_wire::{ApiError, ErrorCode};
use tokio::time::timeout;

use crate::{Gateway, access::Caller, components::Components, definitions::RenderedUse};

/// Time for a count. A count that takes longer is an estimate.
const COUNT_TIMEOUT: Duration = Duration::from_secs(10);
/// Tokens of an image. Nodes count texts.
const IMAGE_TOKENS: u64 = 1600;

impl Gateway {
    /// The tokens of a request's prompt, counted by the node that would serve it, if the model is loaded there: a count loads none.
    /// Otherwise, or where the node can't count in time, it is `estimate`.
    #[crate::boxed_future]
    pub async fn count_prompt(&self, caller: &Caller, generation: Generation, estimate: u64) -> u64 {
        // Boxed: the future that resolves candidates is of many kilobytes.
        match Box::pin(count(&self.0, caller, generation)).await {
            Ok(Some(Count { tokens, is_lower_bound: false })) => tokens,
            // A node counts up to the length of the model's context.
            Ok(Some(Count { tokens, is_lower_bound: true })) => tokens.max(estimate),
            Ok(None) => estimate,
            Err(error) => {
                tracing::debug!(%error, "the tokens of a prompt can't be counted; they are estimated");
                estimate
            }
        }
    }
}

struct Count {
    tokens: u64,
    /// The prompt may have more.
    is_lower_bound: bool,
}

/// Counts at the node of the first candidate; `None` if that is a provider's, or has to load its model.
async fn count(
    gateway: &Components,
    caller: &Caller,
    mut generation: Generation,
) -> Result<Option<Count>, ApiError> {
    let routing = gateway.configuration.current().await;
    if generation.definitions.is_some() {
        gateway.definitions.apply(caller, &mut generation, RenderedUse::Messages(None)).await?;
    }
    gateway.preferences.apply(caller, &mut generation).await;
    let candidates = gateway.router.resolve(&routing, caller, &generation).await?;
    let first = candidates.into_iter().next();
    let Some(candidate) = first.filter(|first| first.node.is_some() && first.loads_at.is_none()) else {
        return Ok(None);
    };
    let Task::Text(task) = &mut generation.task else { return Ok(None) };
    candidate.defaults.complete(task);
    let images: usize = task.messages.iter_mut().map(|message| message.images.drain(..).count()).sum();
    let call = Call {
        run: RunId::new(),
        model: candidate.model,
        generation: Arc::new(generation),
        delivery: Delivery::Whole,
        trace: TraceContext::default(),
    };
    let slow = |_| ApiError::new(ErrorCode::ProviderTimeout, "the node takes too long to count");
    let tokens = timeout(COUNT_TIMEOUT, candidate.provider.count_prompt(&call)).await.map_err(slow)??;
    let context = candidate.info.and_then(|info| info.context_length);
    Ok(tokens.map(|tokens| Count {
        tokens: u64::from(tokens) + images as u64 * IMAGE_TOKENS,
        is_lower_bound: context.is_some_and(|context| tokens >= context),
    }))
}
