//! Constraints on the models that may serve a request.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::{Rate, Timestamp};

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
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
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
    /// Highest price that a provider may take for an output token; for a token of the prompt, if the task is to embed.
    pub max_price: Option<Rate>,
    /// The wait for a node, if a node is to serve the request rather than a provider.
    pub home: Option<HomeWait>,
}

/// Place that a request is to be served at, if it can be.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum Prefer {
    /// The caller's nodes.
    Home,
}

/// Wait of a request for its caller's nodes.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct HomeWait {
    /// Time at which the request goes to a provider instead; none for the time that the operator has set.
    #[serde(skip)]
    pub until: Option<Timestamp>,
}

/// Reason for which a run waits for its caller's nodes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum WaitReason {
    /// No node with the model answers.
    Offline,
    /// The nodes with the model take no further runs now.
    Busy,
}

impl WaitReason {
    /// The name used in JSON.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Offline => "offline",
            Self::Busy => "busy",
        }
    }
}

/// Splits a name such as `openai:gpt-5` into provider and model; `None` for a name of another form.
///
/// Ids of local models may contain a colon too: the caller checks that the first part is a provider.
#[must_use]
pub fn provider_and_model(name: &str) -> Option<(&str, &str)> {
    name.split_once(':').filter(|(provider, model)| !provider.is_empty() && !model.is_empty())
}
