//! `POST /v1/messages/count_tokens`.
//!
//! The count is an estimate ([`crate::token_estimate`]).

use hearth_domain::Message;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::{MessagesContent, MessagesTool, MessagesTurn, request::conversation, tools::Offer};
use crate::{ApiError, token_estimate};

/// What to count. What else a request for an answer has may be there too, and doesn't count.
#[derive(Debug, Clone, Deserialize, Serialize, ToSchema)]
pub struct CountTokensRequest {
    /// A model's id, or `auto`; the estimate is the same for all.
    #[schema(example = "tiny-chat")]
    pub model: String,
    /// The conversation, oldest first.
    pub messages: Vec<MessagesTurn>,
    /// Instructions: a text, or a list of text blocks.
    pub system: Option<MessagesContent>,
    /// Tools that the model may call.
    pub tools: Option<Vec<MessagesTool>>,
}

/// How many tokens there are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct CountTokensAnswer {
    /// About how many tokens the prompt has.
    pub input_tokens: u64,
}

impl CountTokensRequest {
    /// The estimate.
    ///
    /// # Errors
    /// `invalid_request`, naming the field.
    pub fn estimate(self) -> Result<CountTokensAnswer, ApiError> {
        let messages = conversation(self.system, self.messages)?;
        let messages: Vec<Message> = messages.into_iter().map(|(message, _)| message).collect();
        let offer = Offer::of(self.tools)?;
        let hosted: Vec<_> = offer.hosted.definitions.iter().collect();
        Ok(CountTokensAnswer { input_tokens: token_estimate::prompt(&messages, &offer.tools, &hosted) })
    }
}
