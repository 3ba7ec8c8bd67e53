//! Candidates for a request.

use std::sync::Arc;

use hearth_domain::{
    Document, DocumentSource, Message, ModelId, ModelInfo, NodeId, Selection, SelectionMode, Task, Tier,
};
use hearth_providers::{Defaults, NodeLink, Provider};
use hearth_wire::{ApiError, ErrorCode};

use crate::{nodes::EnergyUse, providers::own_keys::provider_of, settings::Routing};

/// Limit of the rejected models that an error lists.
const LISTED_REJECTED_MAX_COUNT: usize = 5;

/// Label of providers that have their names from users' own keys. Each value of a label stays in memory.
pub(crate) const OWN_PROVIDER: &str = "own";

/// A model that may serve a request, and the reason why.
#[derive(Debug, Clone)]
pub(crate) struct Candidate {
    pub(crate) provider: Arc<dyn Provider>,
    /// The account at the provider, for health and load.
    pub(crate) account: String,
    /// A member may control what it reports: it is a server at an address that they have named, or a node outside of the
    /// gateway's process.
    pub(crate) is_members_machine: bool,
    /// The node, for a local model.
    pub(crate) node: Option<NodeId>,
    /// The provider's name for the model.
    pub(crate) model: ModelId,
    /// The model's metadata, if there is any.
    pub(crate) info: Option<ModelInfo>,
    pub(crate) selected: Selection,
    /// Parameters that the request doesn't set.
    pub(crate) defaults: Defaults,
    /// The provider whose credit is exhausted, if the candidate takes its place.
    pub(crate) exhausted: Option<Arc<dyn Provider>>,
    /// For a local model, its node and the reasons for the node's place among others.
    pub(crate) placement: Option<String>,
    /// The energy of its node, if it is known: the run's cost.
    pub(crate) energy: Option<EnergyUse>,
    /// The node that has to load the model first, if one has.
    pub(crate) loads_at: Option<NodeLink>,
}

/// A model that isn't a candidate, or one of the last, and the reason why.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Rejected {
    /// Empty if no provider has the model.
    pub(crate) provider: String,
    pub(crate) model: String,
    pub(crate) reason: String,
    /// A node with all the runs that it takes: it may serve the request later.
    pub(crate) is_full_node: bool,
}

impl Candidate {
    /// True if it costs nothing.
    fn is_free(&self) -> bool {
        self.node.is_some() || self.info.as_ref().is_some_and(|info| info.tier == Tier::Free)
    }

    /// The reason why a selection mode excludes the candidate, if it does.
    pub(crate) fn mode_conflict(&self, mode: SelectionMode) -> Option<&'static str> {
        match mode {
            SelectionMode::FreeOnly if !self.is_free() => Some("it isn't free"),
            SelectionMode::CommercialOnly if self.is_free() => Some("it isn't commercial"),
            _ => None,
        }
    }

    /// True if the candidate's model is a node's, or in the settings or the table of models by its whole name. Clients may
    /// name others, in any number.
    pub(crate) fn is_named_in(&self, routing: &Routing) -> bool {
        let (provider, model) = (self.selected.provider.as_str(), self.model.as_str());
        let configured = routing.providers.get(provider).into_iter().flat_map(|provider| &provider.models);
        self.node.is_some()
            || configured.into_iter().any(|name| name == model)
            || routing.model_info.names_model(provider, model)
    }

    /// The provider's name in labels of metrics: [`OWN_PROVIDER`] for one that users have named, in any number.
    pub(crate) fn provider_label(&self, routing: &Routing) -> &str {
        let provider = self.selected.provider.as_str();
        let is_operators = provider_of(&self.account) == self.account;
        if is_operators || routing.providers.contains_key(provider) { provider } else { OWN_PROVIDER }
    }

    /// The candidate with another reason.
    pub(crate) fn with_reason(mut self, reason: &str) -> Self {
        reason.clone_into(&mut self.selected.reason);
        self
    }

    /// The candidate as a fallback for one that failed with `code`.
    pub(crate) fn in_place_of(mut self, code: ErrorCode) -> Self {
        self.selected.fallback_used = true;
        self.selected.fallback_reason = Some(code.as_str().to_owned());
        self
    }

    /// The candidate as a fallback for a provider whose credit is exhausted, if there is one.
    pub(crate) fn in_place_of_exhausted(self, exhausted: Option<&Arc<dyn Provider>>) -> Self {
        match exhausted {
            Some(provider) => {
                let exhausted = Some(Arc::clone(provider));
                Self { exhausted, ..self.in_place_of(ErrorCode::QuotaExceeded) }
            }
            None => self,
        }
    }
}

/// The error for a group of models none of which has what the request needs.
pub(super) fn none_capable(group: &str, rejected: &[Rejected]) -> ApiError {
    let rejected = rejected.iter().take(LISTED_REJECTED_MAX_COUNT);
    let reasons: Vec<String> = rejected.map(|one| format!("{} ({})", one.model, one.reason)).collect();
    let message = format!("no model of {group} fits the request: {}", reasons.join(", "));
    ApiError::new(ErrorCode::NoModelAvailable, message).at("model")
}

/// True if another model may succeed after an error with this code.
pub(crate) fn may_fall_back(code: ErrorCode) -> bool {
    !matches!(
        code,
        ErrorCode::InvalidRequest
            | ErrorCode::PayloadTooLarge
            | ErrorCode::Cancelled
            | ErrorCode::RunTimeout
            | ErrorCode::Internal
            | ErrorCode::Unauthorized
            | ErrorCode::Forbidden
    )
}

/// The first message that has an image, or a document that isn't text.
pub(crate) fn first_image(task: &Task) -> Option<usize> {
    let is_file = |document: &Document| !matches!(document.source, DocumentSource::Text(_));
    let has_image = |message: &Message| !message.images.is_empty() || message.documents().any(is_file);
    match task {
        Task::Text(task) => task.messages.iter().position(has_image),
        Task::Embedding(_) | Task::Image(_) | Task::Mesh(_) => None,
    }
}
