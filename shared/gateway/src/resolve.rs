//! Who may serve a request, in the order in which they are tried.
//!
//! What a request names is taken as it is. Where it leaves a choice — an alias, a provider alone, nothing —
//! those that can't do what it [`needs`] are passed over, and a strategy puts the others in [`order`].

mod choose;
mod intent;
mod local;
mod needs;
mod order;
mod rules;

use std::sync::Arc;

use hearth_domain::{
    Document, DocumentSource, Facts, Generation, Message, Modality, ModelId, NodeId, SelectionMode, Task,
    Tier, route::provider_and_model,
};
use hearth_providers::{Defaults, Provider};
use hearth_wire::{
    ApiError, ErrorCode,
    event::Selected,
    native::route::{RouteBody, RouteCandidate, RoutePassedOver},
};

use crate::{Caller, Gateway, providers::Known, registry::no_such_model};
use choose::Chooser;

pub(crate) use order::Turns;

/// What a client writes to leave the choice to the gateway.
pub(crate) const AUTO: &str = "auto";

/// Who could serve a request, and why.
#[derive(Debug, Clone)]
pub(crate) struct Candidate {
    pub(crate) provider: Arc<dyn Provider>,
    /// The node, for a local model.
    pub(crate) node: Option<NodeId>,
    /// The model, by the provider's name for it.
    pub(crate) model: ModelId,
    /// What is known of the model.
    pub(crate) facts: Option<Facts>,
    pub(crate) selected: Selected,
    /// What it is asked with where the request doesn't say.
    pub(crate) defaults: Defaults,
    /// The provider without credit in whose place it is asked.
    pub(crate) spent: Option<Arc<dyn Provider>>,
}

impl Candidate {
    /// Whether it costs nothing.
    fn is_free(&self) -> bool {
        self.node.is_some() || self.facts.as_ref().is_some_and(|facts| facts.tier == Tier::Free)
    }

    /// The same, chosen for another reason.
    fn because(mut self, reason: &str) -> Self {
        reason.clone_into(&mut self.selected.reason);
        self
    }

    /// The same, in place of what failed with `code`.
    pub(crate) fn in_place_of(mut self, code: ErrorCode) -> Self {
        self.selected.fallback_used = true;
        self.selected.fallback_reason = Some(code.as_str().to_owned());
        self
    }

    /// The same, in place of a provider without credit, if there is one.
    fn in_place_of_spent(self, spent: Option<&Arc<dyn Provider>>) -> Self {
        match spent {
            Some(spent) => {
                Self { spent: Some(Arc::clone(spent)), ..self.in_place_of(ErrorCode::QuotaExceeded) }
            }
            None => self,
        }
    }
}

/// Who was looked at and isn't asked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct PassedOver {
    provider: String,
    model: String,
    why: String,
}

impl Gateway {
    /// Everybody who may serve the request, the first choice first; there is at least one.
    ///
    /// # Errors
    /// `model_not_found`, `no_model_available`, and what else keeps a request from having one.
    pub(crate) async fn resolve(
        &self,
        caller: &Caller,
        generation: &Generation,
    ) -> Result<Vec<Candidate>, ApiError> {
        // Large, and most of a request's way waits behind it.
        Box::pin(async { Chooser::new(self, caller, generation).await.all().await }).await
    }

    /// Who would serve the request, and why nobody else; nobody is asked.
    ///
    /// # Errors
    /// As a request would have.
    pub async fn route(&self, caller: &Caller, generation: Generation) -> Result<RouteBody, ApiError> {
        let generation = self.as_intended(caller, generation).await;
        let mut chooser = Chooser::new(self, caller, &generation).await;
        let candidates = chooser.all().await?;
        let candidate = |candidate: Candidate| {
            let facts = candidate.facts.unwrap_or_default();
            RouteCandidate {
                model: candidate.selected.model,
                provider: candidate.selected.provider,
                reason: candidate.selected.reason,
                fallback_reason: candidate.selected.fallback_reason,
                context_length: facts.context_length,
                price: facts.price,
            }
        };
        let passed_over = |PassedOver { provider, model, why }| RoutePassedOver { provider, model, why };
        Ok(RouteBody {
            modality: generation.task.modality(),
            candidates: candidates.into_iter().map(candidate).collect(),
            passed_over: chooser.passed_over.into_iter().map(passed_over).collect(),
        })
    }

    /// Who serves the request for nothing, now that the first choice's provider has no credit left: the
    /// default model of a node, or a provider's free one. None where the request or the operator wants none.
    pub(crate) async fn free_instead(&self, caller: &Caller, generation: &Generation) -> Vec<Candidate> {
        let route = &generation.route;
        let wanted = self.0.directory.routing().selection.free_when_out_of_credit
            && route.mode == SelectionMode::Auto
            && route.provider.is_none()
            && route.fallbacks.is_none();
        if !wanted {
            return Vec::new();
        }
        let mut free = generation.clone();
        free.model = None;
        free.route.mode = SelectionMode::FreeOnly;
        let found = Chooser::new(self, caller, &free).await.pool().await.unwrap_or_default();
        let reason = "it is free, and the provider of the first choice has no credit left";
        let found = found.into_iter().map(|one| one.because(reason).in_place_of(ErrorCode::QuotaExceeded));
        found.collect()
    }
}

/// Whether another model may do better.
pub(crate) fn may_fall_back(code: ErrorCode) -> bool {
    !matches!(
        code,
        ErrorCode::InvalidRequest
            | ErrorCode::PayloadTooLarge
            | ErrorCode::Cancelled
            | ErrorCode::Internal
            | ErrorCode::Unauthorized
            | ErrorCode::Forbidden
    )
}

fn by_name<'a>(known: &'a [Known], name: &str) -> Result<&'a Known, ApiError> {
    known.iter().find(|known| known.name() == name).ok_or_else(|| {
        let names: Vec<&str> = known.iter().map(Known::name).collect();
        let have = if names.is_empty() { "none is".to_owned() } else { format!("{} are", names.join(", ")) };
        let message =
            format!("no provider {name:?} is set up, but {have}; set it up with `hearth key set {name}`");
        ApiError::invalid("provider", message)
    })
}

/// Nobody has a model of this name.
fn unknown(name: &str, known: &[Known]) -> ApiError {
    let mut error = no_such_model(name);
    if let Some((provider, _)) = provider_and_model(name)
        && hearth_providers::vendor::of_kind(provider).is_some()
    {
        error.message =
            format!("no provider {provider:?} is set up; set its key with `hearth key set {provider}`");
    } else if let Some(known) = known.first() {
        error.message = format!("{}; a provider's model is named as {}:MODEL", error.message, known.name());
    }
    error
}

/// The first message that shows an image, or a document that is no text.
fn first_image(task: &Task) -> Option<usize> {
    let is_file = |document: &Document| !matches!(document.source, DocumentSource::Text(_));
    let shows = |message: &Message| !message.images.is_empty() || message.documents().any(is_file);
    match task {
        Task::Text(task) => task.messages.iter().position(shows),
        Task::Embedding(_) | Task::Image(_) | Task::Mesh(_) => None,
    }
}

/// A provider's model as a candidate.
fn commercial(
    known: &Known,
    model: &str,
    facts: Option<Facts>,
    modality: Modality,
    reason: &str,
) -> Result<Candidate, ApiError> {
    let name = known.name();
    if !known.is_usable() {
        let message = format!("there is no key for {name}; set one with `hearth key set {name}`");
        return Err(ApiError::new(ErrorCode::ProviderAuth, message));
    }
    let model_name = facts.as_ref().and_then(|facts| facts.name.clone());
    Ok(Candidate {
        provider: Arc::new(known.provider.clone()),
        node: None,
        model: ModelId::new(model),
        facts,
        selected: Selected {
            model: model.to_owned(),
            model_name: model_name.unwrap_or_else(|| model.to_owned()),
            provider: name.to_owned(),
            node: None,
            modality,
            reason: reason.to_owned(),
            fallback_used: false,
            fallback_reason: None,
            resumed: false,
        },
        defaults: known.defaults.clone(),
        spent: None,
    })
}
