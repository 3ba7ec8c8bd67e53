//! `POST /v1/messages/count_tokens`.
//!
//! The count is an estimate. The gateway has no tokenizer, which each model has its own of, and a count that
//! had to load a model, or to ask a provider, would cost more than it tells. A token is taken for four bytes
//! of text, as is usual for English; a message and a tool for a few tokens around them; and an image for as
//! many as the largest takes.

use hearth_domain::{Document, DocumentSource, Message, Tool};
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
/// How many characters of a document in base64 make a token: a page of a PDF takes 1500 to 3000 tokens
/// (<https://platform.claude.com/docs/en/build-with-claude/pdf-support>), and is taken for 50 KB.
const DOCUMENT_BYTES: usize = 24;

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
        let offer = Offer::of(self.tools)?;
        let functions: usize = offer.tools.iter().map(of_tool).sum();
        let hosted: usize = offer.hosted.definitions.iter().map(|tool| text(&tool.to_string())).sum();
        Ok(CountTokensAnswer { input_tokens: (messages + functions + hosted) as u64 })
    }
}

/// Earlier thoughts don't count: models aren't shown them again.
fn of_message(message: &Message) -> usize {
    let calls = message.tool_calls.iter().map(|call| AROUND + text(&call.name) + text(&call.arguments));
    let documents = message.documents().map(of_document);
    let opaque = message.opaque_parts().map(|opaque| text(&opaque.value.to_string()));
    AROUND
        + text(&message.content)
        + message.images.len() * IMAGE
        + calls.chain(documents).chain(opaque).sum::<usize>()
}

fn of_document(document: &Document) -> usize {
    match &document.source {
        DocumentSource::Text(content) => text(content),
        DocumentSource::Data { data, .. } => data.len().div_ceil(DOCUMENT_BYTES),
        DocumentSource::Url(_) => IMAGE,
    }
}

fn of_tool(tool: &Tool) -> usize {
    let description = tool.description.as_deref().map_or(0, text);
    AROUND + text(&tool.name) + description + text(&tool.parameters.to_string())
}

fn text(text: &str) -> usize {
    text.len().div_ceil(BYTES)
}
