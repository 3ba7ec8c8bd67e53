//! Log-probabilities and biases of tokens, as OpenAI writes them. The native dialect writes them the same.

use std::collections::BTreeMap;

use hearth_domain::{Logprob, TokenLogprob};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::ApiError;

/// The log-probabilities of an answer's tokens.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct LogprobsBody {
    /// Each token of the text.
    pub content: Vec<TokenLogprobBody>,
    /// Always null.
    #[schema(value_type = Option<Vec<TokenLogprobBody>>)]
    pub refusal: Option<Vec<TokenLogprobBody>>,
}

/// A generated token.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct TokenLogprobBody {
    /// The token, and how likely it was.
    #[serde(flatten)]
    pub token: LogprobBody,
    /// The likeliest tokens in its place, likeliest first; as many as were asked for.
    pub top_logprobs: Vec<LogprobBody>,
}

/// A token and how likely it was.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct LogprobBody {
    /// The token's text; what is no whole character is U+FFFD here, and right in `bytes`.
    pub token: String,
    /// Natural logarithm of its probability, at least -9999.
    pub logprob: f32,
    /// The token's bytes.
    pub bytes: Vec<u8>,
}

impl LogprobsBody {
    /// Of these tokens; none if there are none.
    #[must_use]
    pub fn of(tokens: &[TokenLogprob]) -> Option<Self> {
        (!tokens.is_empty()).then(|| Self { content: entries(tokens), refusal: None })
    }
}

/// Each of these tokens.
pub(crate) fn entries(tokens: &[TokenLogprob]) -> Vec<TokenLogprobBody> {
    let entry = |token: &TokenLogprob| TokenLogprobBody {
        token: (&token.token).into(),
        top_logprobs: token.top.iter().map(LogprobBody::from).collect(),
    };
    tokens.iter().map(entry).collect()
}

impl From<&Logprob> for LogprobBody {
    fn from(token: &Logprob) -> Self {
        let logprob = token.logprob.max(Logprob::LEAST);
        Self { token: token.text(), logprob, bytes: token.bytes.clone() }
    }
}

/// How many likely tokens to tell; `None` for no log-probabilities at all. `param` is where
/// `top_logprobs` stood, for the error.
pub(crate) fn top_logprobs(
    logprobs: Option<bool>,
    top: Option<u32>,
    param: &str,
) -> Result<Option<u32>, ApiError> {
    match (logprobs.unwrap_or(false), top) {
        (true, top) => Ok(Some(top.unwrap_or(0))),
        (false, None | Some(0)) => Ok(None),
        (false, Some(_)) => Err(ApiError::invalid(
            param,
            format!("{param} has an effect only with \"logprobs\": true; send both"),
        )),
    }
}

/// What is added to tokens' logits, by the tokens' ids.
pub type LogitBias = BTreeMap<String, f32>;

/// The biases without their dialect. `param` is where they stood, for the error.
pub(crate) fn biases(biases: Option<LogitBias>, param: &str) -> Result<Vec<(u32, f32)>, ApiError> {
    let bias = |(id, bias): (String, f32)| match id.parse() {
        Ok(id) => Ok((id, bias)),
        Err(_) => {
            let message = format!("{param} must have ids of tokens as its keys, such as \"312\"");
            Err(ApiError::invalid(param, message))
        }
    };
    biases.unwrap_or_default().into_iter().map(bias).collect()
}
