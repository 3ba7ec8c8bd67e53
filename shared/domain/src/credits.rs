//! What is left of a provider's credit, as far as it tells.

use serde::{Deserialize, Serialize};

use crate::{Timestamp, UserId};

/// Whose key a provider is asked with.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum KeyOwner {
    /// The operator's, for everybody.
    Operator,
    /// A user's own.
    User(UserId),
}

/// How a provider's credit stands.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum CreditStatus {
    /// There is some.
    Available,
    /// There is none left.
    Exhausted,
    /// There is some, and requests are limited for a while.
    RateLimited,
    /// Nothing is known yet.
    #[default]
    Unknown,
}

/// What is left of a provider's credit and limits.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Credits {
    /// How it stands.
    pub status: CreditStatus,
    /// What is left, where the provider tells.
    pub remaining: Option<Remaining>,
    /// When it is different, where that is known.
    pub reset_at: Option<Timestamp>,
}

/// What is left.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Remaining {
    /// Money.
    pub balance: Option<Balance>,
    /// Requests, in the span that the provider counts in.
    pub requests: Option<u64>,
    /// Tokens, in the span that the provider counts in.
    pub tokens: Option<u64>,
}

/// Money that is left.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Balance {
    /// How much, as a decimal number; below zero if it is owed.
    pub amount: String,
    /// Of which currency, such as `USD`.
    pub currency: String,
}
