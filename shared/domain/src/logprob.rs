//! How likely the model held its tokens.

use serde::{Deserialize, Serialize};

/// A generated token and its log-probability.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct TokenLogprob {
    /// The token, and how likely it was.
    #[serde(flatten)]
    pub token: Logprob,
    /// The likeliest tokens in its place, likeliest first; as many as were asked for.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub top: Vec<Logprob>,
}

/// A token and its log-probability under the model, before any sampling parameter.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Logprob {
    /// The token's bytes; alone they need be no whole character.
    pub bytes: Vec<u8>,
    /// Natural logarithm, at most 0.
    pub logprob: f32,
}

impl Logprob {
    /// The bytes as text; what is no character becomes U+FFFD.
    #[must_use]
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.bytes).into_owned()
    }
}
