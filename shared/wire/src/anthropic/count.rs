//! `POST /v1/messages/count_tokens`.
//!
//! The count is an estimate. The gateway has no tokenizer, which each model has its own of, and a count that
//! had to load a model, or to ask a provider, would cost more than it tells. A token is taken for four bytes
//! of text, as is usual for English; a message and a tool for a few tokens around them; and an image for as
//! many as the largest takes.

use hearth_domain::{Message, Tool};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::{MessagesContent, MessagesTool, MessagesTurn, request::conversation, tools::Offer};
use crate::ApiError;

/// How many bytes of text make a token.
const BYTES: usize = 4;
/// Tokens around each message, and around each tool.
const AROUND: usize = 4;
/// Tokens of an image: Anthropic scales larger ones down to about this many
/// (<https://platform.claude.com/docs/en/build-with-claude/vision>).
const IMAGE: usize = 1600;

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
        let messages: usize = messages.iter().map(|(message, _)| of_message(message)).sum();
        let tools: usize = Offer::of(self.tools)?.tools.iter().map(of_tool).sum();
        Ok(CountTokensAnswer { input_tokens: (messages + tools) as u64 })
    }
}

/// Earlier thoughts don't count: models aren't shown them again.
fn of_message(message: &Message) -> usize {
    let calls = message.tool_calls.iter().map(|call| AROUND + text(&call.name) + text(&call.arguments));
    AROUND + text(&message.content) + message.images.len() * IMAGE + calls.sum::<usize>()
}

fn of_tool(tool: &Tool) -> usize {
    let description = tool.description.as_deref().map_or(0, text);
    AROUND + text(&tool.name) + description + text(&tool.parameters.to_string())
}

fn text(text: &str) -> usize {
    text.len().div_ceil(BYTES)
}
