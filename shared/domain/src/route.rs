//! Constraints on the models that may serve a request.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// Models that may serve a request.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum SelectionMode {
    /// Any suitable model.
    #[default]
    Auto,
    /// Free models: those of nodes.
    FreeOnly,
    /// Models of commercial providers.
    CommercialOnly,
    /// The model that the request names, and no other.
    Model,
}

/// Order of several suitable models.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Strategy {
    /// Listed order.
    #[default]
    Priority,
    /// Fewest requests in flight first.
    LeastBusy,
    /// Shortest recent time to first token first.
    Latency,
    /// Lowest price for this request first; unknown prices last.
    Cost,
    /// Weighted round robin.
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

/// Constraints on the models that may serve a request.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Route {
    /// Provider that must serve the request.
    pub provider: Option<String>,
    /// Models that may serve it.
    pub mode: SelectionMode,
    /// Models to try in this order if the first choice fails, in place of the operator's; an empty list for none.
    pub fallbacks: Option<Vec<String>>,
    /// Model that the user prefers if the gateway chooses.
    pub preferred: Option<String>,
    /// True if another model may continue an answer that broke off.
    pub resume: bool,
}

/// Splits a name such as `openai:gpt-5` into provider and model; `None` for a name of another form.
///
/// Ids of local models may contain a colon too: the caller checks that the first part is a provider.
#[must_use]
pub fn provider_and_model(name: &str) -> Option<(&str, &str)> {
    name.split_once(':').filter(|(provider, model)| !provider.is_empty() && !model.is_empty())
}
