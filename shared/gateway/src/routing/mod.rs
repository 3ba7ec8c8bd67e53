//! Routing: resolves a request to candidates, the first choice first.
//!
//! A model that the request names is taken as it is. Where the request leaves a choice (an alias, a provider alone,
//! nothing), models that lack what it [`needs`] are rejected, and a strategy puts the others in [`order`].
//!
//! - `resolver`: finds the candidates; `local` those of nodes, `provider` those of providers, `registered` those of explicit
//!   entries of the registry; `retain`: rejects and orders
//!   them; `place`: those of nodes, or of providers, alone.
//! - `intent`: infers from the prompt what is to be made, where the request leaves it open; `rules`: the operator's rules.

mod candidates;
mod intent;
mod local;
mod needs;
mod order;
mod place;
mod provider;
mod regions;
mod registered;
mod resolver;
mod retain;
mod rules;
mod sources;

use std::sync::Arc;

use hearth_domain::{Generation, Intent, SelectionMode};
use hearth_wire::{
    ApiError, ErrorCode,
    native::route::{RouteBody, RouteCandidate, RoutePassedOver},
};

pub(crate) use candidates::{Candidate, OWN_PROVIDER, may_fall_back};
pub(crate) use place::{HomeCandidates, NodeModels};

use crate::{
    access::Caller,
    accounts::preferences::UserPreferences,
    configuration::{Configuration, RoutingSnapshot},
    in_place::pin_in_place,
    models::{ProviderModels, Registries},
    nodes::Nodes,
    providers::Providers,
};
use candidates::Rejected;
use intent::infer_intent;
use order::WeightedRoundRobin;
use resolver::Resolver;
use sources::Sources;

/// Chooses candidates for requests.
#[derive(Debug)]
pub(crate) struct Router(Sources);

impl Router {
    pub(crate) fn new(
        configuration: Arc<Configuration>,
        providers: Arc<Providers>,
        provider_models: Arc<ProviderModels>,
        nodes: Arc<Nodes>,
        registries: Arc<Registries>,
    ) -> Self {
        let round_robin = WeightedRoundRobin::default();
        Self(Sources { configuration, providers, provider_models, nodes, registries, round_robin })
    }

    /// The candidates for a request, the first choice first; at least one.
    ///
    /// # Errors
    /// `model_not_found`, `no_model_available`, and others that keep a request from having a candidate.
    pub(crate) async fn resolve(
        &self,
        routing: &Arc<RoutingSnapshot>,
        caller: &Caller,
        generation: &Generation,
    ) -> Result<Vec<Candidate>, ApiError> {
        // Boxed: the future is large, and the rest of the request follows it.
        pin_in_place(|| async {
            Resolver::new(&self.0, routing, caller, generation).await?.candidates().await
        })
        .await
    }

    /// The candidates for a request, and the reasons why other models are none. Sends nothing to them.
    ///
    /// # Errors
    /// As for [`Router::resolve`].
    pub(crate) async fn explain(
        &self,
        preferences: &UserPreferences,
        caller: &Caller,
        generation: Generation,
    ) -> Result<RouteBody, ApiError> {
        let routing = &self.0.configuration.current().await;
        let mut generation = self.apply_intent(routing, caller, generation).await;
        preferences.apply(caller, &mut generation).await;
        let mut resolver = Resolver::new(&self.0, routing, caller, &generation).await?;
        let candidates = resolver.candidates().await?;
        let candidate = |candidate: Candidate| {
            let info = candidate.info.unwrap_or_default();
            RouteCandidate {
                model: candidate.selected.model.to_string(),
                provider: candidate.selected.provider,
                reason: candidate.selected.reason,
                fallback_reason: candidate.selected.fallback_reason,
                placement: candidate.placement,
                context_length: info.context_length,
                price: info.price,
            }
        };
        let unshared = local::unshared_nodes(&self.0.nodes, caller).await?;
        let rejected =
            |Rejected { provider, model, reason, .. }| RoutePassedOver { provider, model, why: reason };
        Ok(RouteBody {
            modality: generation.task.modality(),
            candidates: candidates.into_iter().map(candidate).collect(),
            passed_over: resolver.rejected.into_iter().chain(unshared).map(rejected).collect(),
        })
    }

    /// The request with the task that its prompt asks for. Changes only a request that leaves open what to make.
    pub(crate) async fn apply_intent(
        &self,
        routing: &Arc<RoutingSnapshot>,
        caller: &Caller,
        generation: Generation,
    ) -> Generation {
        if generation.intent != Intent::Open {
            return generation;
        }
        // Boxed: the future is large, and few prompts have such words.
        Box::pin(infer_intent(&self.0, routing, caller, &generation)).await.unwrap_or(generation)
    }

    /// Free candidates for a request whose first choice has no credit left: the default model of a node, or free models
    /// of providers. None where the request or the operator allows none.
    pub(crate) async fn free_alternatives(
        &self,
        routing: &Arc<RoutingSnapshot>,
        caller: &Caller,
        generation: &Generation,
    ) -> Vec<Candidate> {
        let route = &generation.route;
        let is_allowed = routing.selection.free_when_out_of_credit
            && route.mode == SelectionMode::Auto
            && route.provider.is_none()
            && route.fallbacks.is_none();
        if !is_allowed {
            return Vec::new();
        }
        let mut free = generation.clone();
        free.model = None;
        free.route.mode = SelectionMode::FreeOnly;
        let Ok(mut resolver) = Resolver::new(&self.0, routing, caller, &free).await else {
            return Vec::new();
        };
        let candidates = resolver.default_candidates().await.unwrap_or_default();
        let reason = "it is free, and the provider of the first choice has no credit left";
        let fallback = |one: Candidate| one.with_reason(reason).in_place_of(ErrorCode::QuotaExceeded);
        candidates.into_iter().map(fallback).collect()
    }
}
