//! Resolution in one place: for a request that prefers its caller's nodes, the nodes and the providers are looked at apart.

use std::sync::{
    Arc,
    atomic::{AtomicBool, Ordering},
};

use hearth_domain::{Generation, ModelId, NodeId, Strategy, WaitReason};
use hearth_wire::{ApiError, ErrorCode};

use super::{Router, candidates::Candidate, resolver::Resolver};
use crate::{access::Caller, background, configuration::RoutingSnapshot};

/// The place that a resolver looks for candidates in.
#[derive(Debug)]
pub(super) enum Place {
    Anywhere,
    /// The caller's nodes. True once they were asked for a model: a request that names a provider never asks them.
    Nodes(AtomicBool),
    Providers,
}

/// Models of nodes.
#[derive(Debug, Default)]
pub(crate) struct NodeModels(Vec<(Option<NodeId>, ModelId)>);

impl NodeModels {
    pub(crate) fn add(&mut self, candidate: &Candidate) {
        self.0.push((candidate.node, candidate.model.clone()));
    }

    fn contains(&self, candidate: &Candidate) -> bool {
        self.0.iter().any(|(node, model)| *node == candidate.node && *model == candidate.model)
    }
}

/// The caller's nodes that may serve a request, now or later.
#[derive(Debug)]
pub(crate) enum HomeCandidates {
    /// These may now.
    Found(Vec<Candidate>),
    /// None does now, and one may later.
    Later(WaitReason),
    /// No node can serve the request.
    None(ApiError),
}

impl Place {
    /// Checks that a node's model may be a candidate.
    ///
    /// # Errors
    /// `no_model_available` if it may not.
    pub(super) fn require_node(&self) -> Result<(), ApiError> {
        match self {
            Self::Anywhere => Ok(()),
            Self::Nodes(were_asked) => {
                were_asked.store(true, Ordering::Relaxed);
                Ok(())
            }
            Self::Providers => {
                Err(ApiError::new(ErrorCode::NoModelAvailable, "the request has waited for its nodes"))
            }
        }
    }

    /// Checks that a provider's model may be a candidate.
    ///
    /// # Errors
    /// `no_model_available` if it may not.
    pub(super) fn require_provider(&self, name: &str) -> Result<(), ApiError> {
        match self {
            Self::Anywhere | Self::Providers => Ok(()),
            Self::Nodes(_) => {
                let message = format!("{name} is a provider, and the request prefers its caller's nodes");
                Err(ApiError::new(ErrorCode::NoModelAvailable, message))
            }
        }
    }

    /// True if nodes and providers may be candidates.
    pub(super) fn is_anywhere(&self) -> bool {
        matches!(self, Self::Anywhere)
    }

    fn has_asked_nodes(&self) -> bool {
        matches!(self, Self::Nodes(were_asked) if were_asked.load(Ordering::Relaxed))
    }
}

impl Router {
    /// The candidates for a request among its caller's nodes, without those that have `failed` for good.
    pub(crate) async fn resolve_at_nodes(
        &self,
        routing: &Arc<RoutingSnapshot>,
        caller: &Caller,
        generation: &Generation,
        failed: &NodeModels,
    ) -> HomeCandidates {
        let place = Place::Nodes(AtomicBool::new(false));
        let mut resolver = match Resolver::new(&self.0, routing, caller, generation).await {
            Ok(resolver) => Resolver { place, ..resolver },
            Err(error) => return HomeCandidates::None(error),
        };
        let error = match Box::pin(resolver.candidates()).await {
            Ok(mut candidates) => {
                candidates.retain(|candidate| !failed.contains(candidate));
                if !candidates.is_empty() {
                    return HomeCandidates::Found(candidates);
                }
                ApiError::new(ErrorCode::NoModelAvailable, "no node has a model for the request")
            }
            Err(error) => error,
        };
        if error.code == ErrorCode::QueueFull || resolver.rejected.iter().any(|one| one.is_full_node) {
            return HomeCandidates::Later(WaitReason::Busy);
        }
        let is_missing = matches!(
            error.code,
            ErrorCode::NodeOffline | ErrorCode::ModelNotFound | ErrorCode::NoModelAvailable
        );
        if is_missing && resolver.place.has_asked_nodes() && self.0.nodes.has_absent(caller).await {
            return HomeCandidates::Later(WaitReason::Offline);
        }
        HomeCandidates::None(error)
    }

    /// Routing as it is in force, for a request that has waited.
    pub(crate) async fn current_routing(&self) -> Arc<RoutingSnapshot> {
        self.0.configuration.current().await
    }

    /// Wakes the caller's nodes that don't answer, in the background.
    pub(crate) fn wake_nodes(&self, caller: &Caller) {
        let (nodes, caller) = (Arc::clone(&self.0.nodes), caller.clone());
        background::spawn(async move { nodes.wake_absent(&caller).await });
    }

    /// The candidates for a request among the providers, the cheapest first.
    ///
    /// # Errors
    /// As [`Router::resolve`].
    pub(crate) async fn resolve_at_providers(
        &self,
        routing: &Arc<RoutingSnapshot>,
        caller: &Caller,
        generation: &Generation,
    ) -> Result<Vec<Candidate>, ApiError> {
        let resolver = Resolver::new(&self.0, routing, caller, generation).await?;
        let mut resolver = Resolver { place: Place::Providers, ..resolver };
        let candidates = Box::pin(resolver.candidates()).await?;
        let reason = match candidates.len() {
            1 => "a provider that may serve the request".to_owned(),
            count => format!("the cheapest of {count} that may serve the request"),
        };
        let candidates = candidates.into_iter().map(|candidate| (candidate, 1)).collect();
        Ok(resolver.order(Strategy::Cost, "", candidates, &reason))
    }
}
