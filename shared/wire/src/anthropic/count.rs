//! `POST /v1/messages/count_tokens`. The count is an estimate ([`crate::token_estimate`]).

use hearth_domain::Message;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::{MessagesContent, MessagesTool, MessagesTurn, request::conversation, tools::offered_tools};
use crate::{ApiError, token_estimate};

/// The messages and tools to count. The other fields of a message request are allowed, and ignored.
#[derive(Debug, Clone, Deserialize, Serialize, ToSchema)]
pub struct CountTokensRequest {
    /// A model's id, or `auto`; the estimate is the same for all models.
    #[schema(example = "tiny-chat")]
    pub model: String,
    /// The conversation, oldest first.
    pub messages: Vec<MessagesTurn>,
    /// Instructions: a text, or a list of text blocks.
    pub system: Option<MessagesContent>,
    /// Tools that the model may call.
    pub tools: Option<Vec<MessagesTool>>,
}

/// Number of tokens.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct CountTokensAnswer {
    /// Estimated number of the prompt's tokens.
    pub input_tokens: u64,
}

impl CountTokensRequest {
    /// Estimates the number of tokens.
    ///
    /// # Errors
    /// `invalid_request`, naming the field.
    pub fn estimate(self) -> Result<CountTokensAnswer, ApiError> {
        let messages = conversation(self.system, self.messages, false)?;
        let messages: Vec<Message> = messages.into_iter().map(|(message, _)| message).collect();
        let offered = offered_tools(self.tools)?;
        let hosted: Vec<_> = offered.hosted.definitions.iter().collect();
        Ok(CountTokensAnswer { input_tokens: token_estimate::prompt(&messages, &offered.functions, &hosted) })
    }
}
