//! Credit of providers, as far as they report it.

use serde::{Deserialize, Serialize};

use crate::Timestamp;

/// Status of a provider's credit.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum CreditStatus {
    /// Credit is left.
    Available,
    /// No credit is left.
    Exhausted,
    /// Credit is left, and the provider limits requests at present.
    RateLimited,
    /// Not yet reported.
    #[default]
    Unknown,
}

/// Remaining credit and limits of a provider.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Credits {
    /// Status.
    pub status: CreditStatus,
    /// Remaining amounts, if the provider reports them.
    pub remaining: Option<Remaining>,
    /// Time of the next reset, if it is known.
    pub reset_at: Option<Timestamp>,
}

/// Remaining amounts.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Remaining {
    /// Money.
    pub balance: Option<Balance>,
    /// Requests within the provider's rate window.
    pub requests: Option<u64>,
    /// Tokens within the provider's rate window.
    pub tokens: Option<u64>,
}

/// Remaining money.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Balance {
    /// Amount as a decimal number; negative for a debt.
    pub amount: String,
    /// Currency, such as `USD`.
    pub currency: String,
}
