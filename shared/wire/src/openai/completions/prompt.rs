//! The field `prompt`.

use hearth_domain::RawPrompt;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::ApiError;

/// Largest number of prompts in a request.
const PROMPTS_MAX_COUNT: usize = 32;

/// One prompt, or several.
#[derive(Debug, Clone, Deserialize, Serialize, ToSchema)]
#[serde(untagged, expecting = "expected a text, a list of texts, a list of tokens, or a list of such lists")]
pub enum CompletionPrompt {
    /// A text.
    Text(String),
    /// Texts.
    Texts(Vec<String>),
    /// Token ids of a local model.
    Tokens(Vec<u32>),
    /// Lists of token ids.
    TokenLists(Vec<Vec<u32>>),
}

/// One prompt.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct ParsedPrompt {
    /// The text, unless the prompt is in token ids.
    pub(super) text: Option<String>,
    /// The input that goes to the model without a chat template, in place of a user's message.
    pub(super) raw: Option<RawPrompt>,
}

impl CompletionPrompt {
    /// Converts the prompts, in order. `suffix` is the text after each completion.
    ///
    /// # Errors
    /// `invalid_request` for no prompt or too many, and for token ids with a suffix.
    pub(super) fn into_prompts(self, suffix: Option<&str>) -> Result<Vec<ParsedPrompt>, ApiError> {
        let prompts: Vec<ParsedPrompt> = match self {
            Self::Text(text) => vec![text_prompt(text, suffix)],
            Self::Texts(texts) => texts.into_iter().map(|text| text_prompt(text, suffix)).collect(),
            Self::Tokens(_) | Self::TokenLists(_) if suffix.is_some() => {
                return Err(ApiError::invalid("suffix", "suffix needs a prompt that is a text"));
            }
            Self::Tokens(tokens) => vec![tokens_prompt(tokens)?],
            Self::TokenLists(lists) => lists.into_iter().map(tokens_prompt).collect::<Result<_, _>>()?,
        };
        if prompts.is_empty() || prompts.len() > PROMPTS_MAX_COUNT {
            let message = format!("prompt must have 1 to {PROMPTS_MAX_COUNT} prompts");
            return Err(ApiError::invalid("prompt", message));
        }
        Ok(prompts)
    }
}

fn text_prompt(text: String, suffix: Option<&str>) -> ParsedPrompt {
    let raw = suffix.map(|suffix| RawPrompt::Infill { prefix: text.clone(), suffix: suffix.to_owned() });
    ParsedPrompt { text: Some(text), raw }
}

fn tokens_prompt(tokens: Vec<u32>) -> Result<ParsedPrompt, ApiError> {
    if tokens.is_empty() {
        return Err(ApiError::invalid("prompt", "prompt must have at least one token"));
    }
    Ok(ParsedPrompt { text: None, raw: Some(RawPrompt::Tokens(tokens)) })
}
