//! What is to be completed.

use hearth_domain::RawPrompt;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::ApiError;

/// How many prompts a request may have.
const PROMPTS_MAX_COUNT: usize = 32;

/// What to complete.
#[derive(Debug, Clone, Deserialize, Serialize, ToSchema)]
#[serde(untagged, expecting = "expected a text, a list of texts, a list of tokens, or a list of such lists")]
pub enum Prompt {
    /// A text.
    Text(String),
    /// Texts.
    Texts(Vec<String>),
    /// Tokens of a local model's vocabulary.
    Tokens(Vec<u32>),
    /// Several times tokens.
    TokenLists(Vec<Vec<u32>>),
}

/// One of the prompts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct OnePrompt {
    /// Its words, if it has any.
    pub(super) text: Option<String>,
    /// What the model is given as it is, in place of words that a user says.
    pub(super) raw: Option<RawPrompt>,
}

impl Prompt {
    /// Each prompt, in order. `suffix`: what comes after each one's completion.
    ///
    /// # Errors
    /// `invalid_request` for no prompt or too many, or tokens with a suffix.
    pub(super) fn into_prompts(self, suffix: Option<&str>) -> Result<Vec<OnePrompt>, ApiError> {
        let prompts: Vec<OnePrompt> = match self {
            Self::Text(text) => vec![of_text(text, suffix)],
            Self::Texts(texts) => texts.into_iter().map(|text| of_text(text, suffix)).collect(),
            Self::Tokens(_) | Self::TokenLists(_) if suffix.is_some() => {
                return Err(ApiError::invalid("suffix", "suffix needs a prompt that is a text"));
            }
            Self::Tokens(tokens) => vec![of_tokens(tokens)?],
            Self::TokenLists(lists) => lists.into_iter().map(of_tokens).collect::<Result<_, _>>()?,
        };
        if prompts.is_empty() || prompts.len() > PROMPTS_MAX_COUNT {
            let message = format!("prompt must have 1 to {PROMPTS_MAX_COUNT} prompts");
            return Err(ApiError::invalid("prompt", message));
        }
        Ok(prompts)
    }
}

fn of_text(text: String, suffix: Option<&str>) -> OnePrompt {
    let raw = suffix.map(|suffix| RawPrompt::Infill { prefix: text.clone(), suffix: suffix.to_owned() });
    OnePrompt { text: Some(text), raw }
}

fn of_tokens(tokens: Vec<u32>) -> Result<OnePrompt, ApiError> {
    if tokens.is_empty() {
        return Err(ApiError::invalid("prompt", "prompt must have a token at least"));
    }
    Ok(OnePrompt { text: None, raw: Some(RawPrompt::Tokens(tokens)) })
}
