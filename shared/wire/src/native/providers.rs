//! `/v1/providers`: providers and their credit.

use hearth_domain::{Credits, Payer, credits};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// Configured providers.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct ProviderList {
    /// Providers by name.
    pub providers: Vec<ProviderBody>,
}

/// Provider.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct ProviderBody {
    /// Name, as clients write it before a colon and a model's name.
    #[schema(example = "openai")]
    pub name: String,
    /// Kind of its API.
    #[schema(example = "openai")]
    pub kind: String,
    /// Display name of its vendor.
    pub title: String,
    /// True if it has a key and every other setting that it needs.
    pub configured: bool,
    /// Owner of the key that the caller's requests use: `user`, `team`, `organisation` or `operator`; null without a key.
    #[serde(default)]
    #[schema(value_type = Option<String>)]
    pub payer: Option<Payer>,
    /// Models that requests may name without the provider.
    pub models: Vec<String>,
    /// Models with recent failures: their circuit breakers are open or half-open.
    pub unavailable: Vec<UnavailableModel>,
    /// Number of models that it lists for its key; null before the first list.
    #[serde(default)]
    pub listed_models: Option<usize>,
    /// Remaining credit; null if the provider isn't configured.
    #[serde(default)]
    pub credits: Option<CreditsBody>,
}

/// Credit of a provider.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct CreditsBody {
    /// Name of the provider.
    #[schema(example = "openrouter")]
    pub provider: String,
    /// `available`, `exhausted`, `rate_limited`, or `unknown` before its first answer.
    #[schema(value_type = String, example = "available")]
    pub status: credits::CreditStatus,
    /// Remaining amounts; null if the provider doesn't report them.
    pub remaining: Option<RemainingBody>,
    /// Time of the next reset, ISO 8601; null if it isn't known.
    pub reset_at: Option<String>,
}

/// Remaining credit and limits of a provider.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct RemainingBody {
    /// Money; null if the provider doesn't report it.
    pub balance: Option<BalanceBody>,
    /// Requests within the provider's rate window.
    pub requests: Option<u64>,
    /// Tokens within the provider's rate window.
    pub tokens: Option<u64>,
}

/// Remaining money.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct BalanceBody {
    /// Amount as a decimal number.
    #[schema(example = "12.5")]
    pub amount: String,
    /// Currency.
    #[schema(example = "USD")]
    pub currency: String,
}

impl CreditsBody {
    /// Creates the body of a provider's credit.
    #[must_use]
    pub fn new(provider: &str, credits: &Credits) -> Self {
        let balance = |left: credits::Balance| BalanceBody { amount: left.amount, currency: left.currency };
        let body = |remaining: &credits::Remaining| RemainingBody {
            balance: remaining.balance.clone().map(balance),
            requests: remaining.requests,
            tokens: remaining.tokens,
        };
        Self {
            provider: provider.to_owned(),
            status: credits.status,
            remaining: credits.remaining.as_ref().map(body),
            reset_at: credits.reset_at.map(|at| at.to_string()),
        }
    }
}

/// Model with an open or half-open circuit breaker: it has failed recently.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct UnavailableModel {
    /// Name of the model.
    pub model: String,
    /// `open`: its requests go to other models, if there are any. `half_open`: the next request probes it.
    #[schema(example = "open")]
    pub state: String,
    /// Seconds until the state is `half_open`; 0 if it is.
    #[serde(default)]
    #[schema(example = 30)]
    pub retry_after_seconds: u64,
}

/// Key to store.
#[derive(Clone, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct SetProviderKey {
    /// Key. It is stored as a secret, and never returned.
    #[schema(value_type = String, example = "sk-...")]
    pub key: hearth_domain::Secret,
}

impl std::fmt::Debug for SetProviderKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("SetProviderKey(hidden)")
    }
}
