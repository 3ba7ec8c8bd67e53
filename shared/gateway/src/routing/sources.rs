//! Sources of candidates: configuration, providers, nodes.

use std::{sync::Arc, time::Instant};

use super::{candidates::Candidate, order::WeightedRoundRobin};
use crate::{
    configuration::Configuration,
    models::{ProviderModels, Registries},
    nodes::Nodes,
    providers::Providers,
};

/// The reason why a candidate comes last whose provider's credit is exhausted.
pub(super) const NO_CREDIT: &str = "its provider has no credit left";

/// The sources of candidates.
#[derive(Debug)]
pub(crate) struct Sources {
    pub(super) configuration: Arc<Configuration>,
    pub(super) providers: Arc<Providers>,
    pub(super) provider_models: Arc<ProviderModels>,
    pub(super) nodes: Arc<Nodes>,
    pub(super) registries: Arc<Registries>,
    pub(super) round_robin: WeightedRoundRobin,
}

impl Sources {
    /// The reason why a candidate gets requests only if all others have failed; none if it is healthy.
    pub(super) fn suspension(&self, candidate: &Candidate) -> Option<&'static str> {
        if candidate.node.is_some() {
            return None;
        }
        let (account, model) = (candidate.account.as_str(), candidate.model.as_str());
        if !self.providers.breakers.permits(account, model, Instant::now()) {
            return Some("it has failed lately");
        }
        if self.providers.balances.is_out_of_credit(&*candidate.provider, account, candidate.info.as_ref()) {
            return Some(NO_CREDIT);
        }
        None
    }
}
