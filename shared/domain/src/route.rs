//! Whom a request may be served by, beyond the model that it names.

use serde::{Deserialize, Serialize};

/// What may serve a request.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SelectionMode {
    /// Whatever fits.
    #[default]
    Auto,
    /// What costs nothing: the models of nodes.
    FreeOnly,
    /// Commercial providers.
    CommercialOnly,
    /// The model that the request names, and no other in its place.
    Model,
}

/// Who comes first of several models that fit.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Strategy {
    /// In the order in which they are given.
    #[default]
    Priority,
    /// Who has the fewest requests under way.
    LeastBusy,
    /// Who began to answer soonest of late.
    Latency,
    /// Who costs least for this request; those whose prices aren't known come last.
    Cost,
    /// In turns, each as often as its weight says.
    Weighted,
}

impl Strategy {
    /// The name used in settings and JSON.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Priority => "priority",
            Self::LeastBusy => "least_busy",
            Self::Latency => "latency",
            Self::Cost => "cost",
            Self::Weighted => "weighted",
        }
    }
}

/// Whom a request may be served by.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Route {
    /// Only this provider, if it is named.
    pub provider: Option<String>,
    /// What may serve it.
    pub mode: SelectionMode,
    /// Models to try when the first can't serve it, in this order, in place of those that the operator
    /// has set; an empty list for none.
    pub fallbacks: Option<Vec<String>>,
    /// A model that its user likes best, for where the choice is left to the gateway.
    pub preferred: Option<String>,
    /// Whether another model may go on with an answer that broke off.
    pub resume: bool,
}

/// The provider and the model of a name such as `openai:gpt-5`; nothing if it has no such form.
///
/// Local models' ids may hold a colon too: whether the first part is a provider is for the caller to
/// know.
#[must_use]
pub fn provider_and_model(name: &str) -> Option<(&str, &str)> {
    name.split_once(':').filter(|(provider, model)| !provider.is_empty() && !model.is_empty())
}
