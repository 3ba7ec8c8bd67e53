//! What a model thinks before it answers.

use serde::{Deserialize, Serialize};

/// A block of thoughts. Its maker takes it back in the conversation's next turn, and must then be given
/// it as it was.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reasoning {
    /// The thoughts, or a summary of them; empty where the maker hides them.
    pub text: String,
    /// The maker's seal on them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub signature: Option<String>,
    /// The thoughts in a form that only the maker can read.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub encrypted: Option<String>,
}

/// How much to think.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ReasoningEffort {
    /// Not at all.
    None,
    /// As little as can be.
    Minimal,
    /// Little.
    Low,
    /// Some.
    Medium,
    /// Much.
    High,
    /// At most this many tokens.
    Tokens(u32),
}
