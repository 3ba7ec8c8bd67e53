//! Log-probabilities of tokens.

use serde::{Deserialize, Serialize, Serializer};

/// A generated token and its log-probability.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct TokenLogprob {
    /// The token and its log-probability.
    #[serde(flatten)]
    pub token: Logprob,
    /// Likeliest tokens in its place, in order; as many as requested.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub top: Vec<Logprob>,
}

/// A token and its log-probability under the model, before any sampling parameter.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Logprob {
    /// Bytes of the token; they need not form a whole character.
    pub bytes: Vec<u8>,
    /// Natural logarithm, at most 0; in JSON at least [`Self::LEAST`].
    #[serde(serialize_with = "finite")]
    pub logprob: f32,
}

/// Serializes the logarithm, since JSON has no infinity.
fn finite<S: Serializer>(logprob: &f32, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_f32(logprob.max(Logprob::LEAST))
}

impl Logprob {
    /// Value for an impossible token, as in OpenAI's API.
    pub const LEAST: f32 = -9999.0;

    /// Returns the bytes as text; invalid UTF-8 becomes U+FFFD.
    #[must_use]
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.bytes).into_owned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_infinite_logprob_is_serialized_as_a_number() {
        for (logprob, read) in [(-0.5, -0.5), (f32::NEG_INFINITY, -9999.0), (f32::NAN, -9999.0)] {
            let json = serde_json::to_string(&Logprob { bytes: vec![1], logprob }).unwrap();
            assert_eq!(serde_json::from_str::<Logprob>(&json).unwrap().logprob, read);
        }
    }
}
