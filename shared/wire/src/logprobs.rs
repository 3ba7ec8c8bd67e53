//! Log-probabilities and logit biases in OpenAI's format, which other dialects use too.

use std::collections::BTreeMap;

use hearth_domain::{Logprob, TokenLogprob};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::ApiError;

/// Logit biases by token id.
pub type LogitBias = BTreeMap<String, f32>;

/// The log-probabilities of an answer's tokens.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct LogprobsBody {
    /// The text's tokens.
    pub content: Vec<TokenLogprobBody>,
    /// Always null.
    #[schema(value_type = Option<Vec<TokenLogprobBody>>)]
    pub refusal: Option<Vec<TokenLogprobBody>>,
}

/// A generated token.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct TokenLogprobBody {
    /// The token and its log-probability.
    #[serde(flatten)]
    pub token: LogprobBody,
    /// The most likely tokens at its position, most likely first; as many as the request asked for.
    pub top_logprobs: Vec<LogprobBody>,
}

/// A token and its log-probability.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct LogprobBody {
    /// The token's text. Bytes that are not a whole character are U+FFFD here, and exact in `bytes`.
    pub token: String,
    /// Natural logarithm of its probability, at least -9999.
    pub logprob: f32,
    /// The token's bytes.
    pub bytes: Vec<u8>,
}

impl LogprobsBody {
    /// Converts tokens; `None` if there are none.
    #[must_use]
    pub fn of(tokens: &[TokenLogprob]) -> Option<Self> {
        (!tokens.is_empty()).then(|| Self { content: token_logprobs(tokens), refusal: None })
    }
}

/// Converts tokens.
pub(crate) fn token_logprobs(tokens: &[TokenLogprob]) -> Vec<TokenLogprobBody> {
    let convert = |token: &TokenLogprob| TokenLogprobBody {
        token: (&token.token).into(),
        top_logprobs: token.top.iter().map(LogprobBody::from).collect(),
    };
    tokens.iter().map(convert).collect()
}

impl From<&Logprob> for LogprobBody {
    fn from(token: &Logprob) -> Self {
        let logprob = token.logprob.max(Logprob::LEAST);
        Self { token: token.text(), logprob, bytes: token.bytes.clone() }
    }
}

/// Combines `logprobs` and `top_logprobs`: the number of most likely tokens to return, `None` for no log-probabilities.
/// `param` is the field `top_logprobs`, for the error.
///
/// # Errors
/// `invalid_request` for `top_logprobs` without `logprobs`.
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

/// Converts logit biases. `param` is their field, for the error.
///
/// # Errors
/// `invalid_request` for a key that is not a token id.
pub(crate) fn parse_logit_bias(biases: Option<LogitBias>, param: &str) -> Result<Vec<(u32, f32)>, ApiError> {
    let parse = |(id, bias): (String, f32)| match id.parse() {
        Ok(id) => Ok((id, bias)),
        Err(_) => {
            let message = format!("the keys of {param} must be token ids, such as \"312\"");
            Err(ApiError::invalid(param, message))
        }
    };
    biases.unwrap_or_default().into_iter().map(parse).collect()
}
