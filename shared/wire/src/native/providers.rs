//! `/v1/providers`: who can be asked beside the nodes.

use hearth_domain::{Credits, credits};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// The providers that are set up.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct ProviderList {
    /// By their names.
    pub providers: Vec<ProviderBody>,
}

/// A provider.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct ProviderBody {
    /// What clients write before a colon and a model's name.
    #[schema(example = "openai")]
    pub name: String,
    /// Whose API it is.
    #[schema(example = "openai")]
    pub kind: String,
    /// Whose API it is, in its own name.
    pub title: String,
    /// Whether it has what it needs to be called.
    pub configured: bool,
    /// The models that are its own when they are asked for without its name.
    pub models: Vec<String>,
    /// Models that have failed lately: their circuit breakers are open or half-open.
    pub unavailable: Vec<UnavailableModel>,
    /// How many models it lists for its key; null if it hasn't listed any.
    #[serde(default)]
    pub listed_models: Option<usize>,
    /// What is left of its credit; null if it can't be called.
    #[serde(default)]
    pub credits: Option<CreditsBody>,
}

/// How a provider's credit stands.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct CreditsBody {
    /// The provider.
    #[schema(example = "openrouter")]
    pub provider: String,
    /// `available`, `exhausted`, `rate_limited`, or `unknown` before it has answered.
    #[schema(value_type = String, example = "available")]
    pub status: credits::CreditStatus,
    /// What is left; null where the provider doesn't tell.
    pub remaining: Option<RemainingBody>,
    /// When it is different, ISO 8601; null where that isn't known.
    pub reset_at: Option<String>,
}

/// What is left of a provider's credit and limits.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct RemainingBody {
    /// Money; null where the provider doesn't tell.
    pub balance: Option<BalanceBody>,
    /// Requests, in the span that the provider counts in.
    pub requests: Option<u64>,
    /// Tokens, in the span that the provider counts in.
    pub tokens: Option<u64>,
}

/// Money that is left.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct BalanceBody {
    /// How much, as a decimal number.
    #[schema(example = "12.5")]
    pub amount: String,
    /// Of which currency.
    #[schema(example = "USD")]
    pub currency: String,
}

impl CreditsBody {
    /// How the credit of `provider` stands.
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

/// A model whose circuit breaker isn't closed: it has failed lately.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct UnavailableModel {
    /// Its name.
    pub model: String,
    /// `open`: other models get its requests, unless there is none; `half_open`: the next request sees how it is.
    #[schema(example = "open")]
    pub state: String,
    /// Seconds until it is `half_open`; 0 if it is.
    #[serde(default)]
    #[schema(example = 30)]
    pub retry_after_seconds: u64,
}

/// A key to keep.
#[derive(Clone, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct SetProviderKey {
    /// The key. It is kept as a secret, and never shown again.
    #[schema(value_type = String, example = "sk-...")]
    pub key: hearth_domain::Secret,
}

impl std::fmt::Debug for SetProviderKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("SetProviderKey(hidden)")
    }
}
