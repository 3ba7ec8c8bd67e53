//! Estimate of a prompt's tokens.
//!
//! The gateway has no tokenizer: each model has its own, and loading a model, or asking a provider, would cost too
//! much for a count. The estimate takes four bytes of text for a token, as is usual for English, a few tokens for
//! each message and tool, and for an image the tokens of the largest one.

use hearth_domain::{Document, DocumentSource, Message, Tool};
use serde_json::Value;

/// Bytes of text for a token.
const TOKEN_BYTES: usize = 4;
/// Tokens around each message, and around each tool.
const FRAME_TOKENS: usize = 4;
/// Tokens of an image: Anthropic scales larger ones down to about this many
/// (<https://platform.claude.com/docs/en/build-with-claude/vision>).
const IMAGE_TOKENS: usize = 1600;
/// Base64 characters of a document for a token: a page of a PDF takes 1500 to 3000 tokens
/// (<https://platform.claude.com/docs/en/build-with-claude/pdf-support>), and about 50 KB.
const DOCUMENT_TOKEN_BYTES: usize = 24;

/// Estimates the tokens of a prompt. `hosted`: definitions of hosted tools.
pub(crate) fn prompt<'a>(
    messages: impl IntoIterator<Item = &'a Message>,
    tools: &[Tool],
    hosted: &[&Value],
) -> u64 {
    let messages: usize = messages.into_iter().map(of_message).sum();
    let functions: usize = tools.iter().map(of_tool).sum();
    let hosted: usize = hosted.iter().map(|tool| of_text(&tool.to_string())).sum();
    (messages + functions + hosted) as u64
}

/// Estimates the tokens of a message. Earlier reasoning doesn't count, since models don't get it again.
fn of_message(message: &Message) -> usize {
    let calls =
        message.tool_calls.iter().map(|call| FRAME_TOKENS + of_text(&call.name) + of_text(&call.arguments));
    let documents = message.documents().map(of_document);
    let opaque = message.opaque_parts().map(|opaque| of_text(&opaque.value.to_string()));
    FRAME_TOKENS
        + of_text(&message.content)
        + message.images.len() * IMAGE_TOKENS
        + calls.chain(documents).chain(opaque).sum::<usize>()
}

fn of_document(document: &Document) -> usize {
    match &document.source {
        DocumentSource::Text(content) => of_text(content),
        DocumentSource::Data { data, .. } => data.len().div_ceil(DOCUMENT_TOKEN_BYTES),
        DocumentSource::Url(_) => IMAGE_TOKENS,
    }
}

fn of_tool(tool: &Tool) -> usize {
    let description = tool.description.as_deref().map_or(0, of_text);
    FRAME_TOKENS + of_text(&tool.name) + description + of_text(&tool.parameters.to_string())
}

fn of_text(text: &str) -> usize {
    text.len().div_ceil(TOKEN_BYTES)
}
