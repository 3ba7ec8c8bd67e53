//! How likely the model held its tokens.

use serde::{Deserialize, Serialize, Serializer};

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
    /// Natural logarithm, at most 0; in JSON at least [`Self::LEAST`].
    #[serde(serialize_with = "finite")]
    pub logprob: f32,
}

/// JSON has no number for what is impossible.
fn finite<S: Serializer>(logprob: &f32, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_f32(logprob.max(Logprob::LEAST))
}

impl Logprob {
    /// What is told of a token that was impossible, as OpenAI's scale has it.
    pub const LEAST: f32 = -9999.0;

    /// The bytes as text; what is no character becomes U+FFFD.
    #[must_use]
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.bytes).into_owned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_impossible_can_be_read_back() {
        for (told, read) in [(-0.5, -0.5), (f32::NEG_INFINITY, -9999.0), (f32::NAN, -9999.0)] {
            let json = serde_json::to_string(&Logprob { bytes: vec![1], logprob: told }).unwrap();
            assert_eq!(serde_json::from_str::<Logprob>(&json).unwrap().logprob, read);
        }
    }
}
