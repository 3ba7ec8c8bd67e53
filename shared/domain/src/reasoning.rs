//! Reasoning of models before their answers.

use serde::{Deserialize, Serialize};

/// Block of reasoning. The next turn of the conversation must return it to its vendor unchanged.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reasoning {
    /// Text of the reasoning, or a summary; empty if the vendor hides it.
    pub text: String,
    /// Signature of the vendor.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub signature: Option<String>,
    /// Reasoning encrypted for the vendor.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub encrypted: Option<String>,
}

/// Effort of reasoning.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ReasoningEffort {
    /// No reasoning.
    None,
    /// As little as possible.
    Minimal,
    /// Low.
    Low,
    /// Medium.
    Medium,
    /// High.
    High,
    /// Budget in tokens.
    Tokens(u32),
}
