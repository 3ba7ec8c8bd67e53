//! Converts an answer to blocks.

use hearth_domain::{ClientDialect, FinishReason, Reasoning, ToolCall};
use serde_json::Value;

use super::{
    ExtendedAnswerBlock, MessagesAnswerBlock,
    thinking::{ThinkingDisplay, redacted_block, thinking_blocks},
};
use crate::{
    answer::{Answer, AnswerPiece},
    extension::{DialectExtension, Extended, Extension},
};

/// Returns the blocks of a whole answer, in the order of its pieces. Redacted reasoning is between the text and the calls that it
/// belongs to; an answer without calls doesn't need it.
pub(super) fn answer_blocks(answer: &Answer, display: ThinkingDisplay) -> Vec<ExtendedAnswerBlock> {
    let mut content = Content { display, blocks: Vec::new(), is_text_open: false };
    for piece in &answer.pieces {
        match piece {
            AnswerPiece::Text(bytes) => content.add_text(answer.text.get(bytes.clone())),
            AnswerPiece::Refusal(bytes) => content.add_text(answer.refusal.get(bytes.clone())),
            AnswerPiece::Reasoning(number) => content.add_reasoning(answer.reasoning.get(*number)),
            AnswerPiece::Call(number) => content.add_call(answer, *number),
            AnswerPiece::Extension(number) => content.add_extension(answer.extensions.get(*number)),
        }
    }
    content.blocks
}

/// The content of a message, piece by piece.
struct Content {
    display: ThinkingDisplay,
    blocks: Vec<ExtendedAnswerBlock>,
    /// True if the last block is a text that continues.
    is_text_open: bool,
}

impl Content {
    fn extend(&mut self, blocks: impl Iterator<Item = MessagesAnswerBlock>) {
        let before = self.blocks.len();
        self.blocks.extend(blocks.map(Extended::Standard));
        self.is_text_open &= self.blocks.len() == before;
    }

    fn add_reasoning(&mut self, block: Option<&Reasoning>) {
        let with_text = match self.display {
            ThinkingDisplay::Full => true,
            ThinkingDisplay::SignatureOnly => false,
            ThinkingDisplay::Redacted => return,
        };
        self.extend(block.into_iter().flat_map(|block| thinking_blocks(block, with_text)));
    }

    /// Adds a call. Redacted reasoning is before the first one.
    fn add_call(&mut self, answer: &Answer, number: usize) {
        if number == 0 && self.display == ThinkingDisplay::Redacted {
            self.extend(answer.reasoning.iter().filter_map(redacted_block));
        }
        self.extend(answer.tool_calls.get(number).into_iter().map(|call| tool_use(answer, call)));
    }

    fn add_extension(&mut self, placed: Option<&DialectExtension>) {
        let placed = placed.filter(|placed| placed.dialect == ClientDialect::Anthropic);
        match placed.map(|placed| &placed.extension) {
            Some(Extension::TextBlock) => self.is_text_open = false,
            Some(Extension::Annotation(citation)) => self.add_citation(citation),
            Some(Extension::Item(item)) => self.add_item(item),
            Some(Extension::Phase(_) | Extension::Fields(_)) | None => {}
        }
    }

    fn add_text(&mut self, added: Option<&str>) {
        if let Some(added) = added.filter(|added| !added.is_empty())
            && let Some(MessagesAnswerBlock::Text { text, .. }) = self.open_text()
        {
            text.push_str(added);
        }
    }

    fn add_citation(&mut self, citation: &Value) {
        if let Some(MessagesAnswerBlock::Text { citations, .. }) = self.open_text() {
            citations.get_or_insert_default().push(citation.clone());
        }
    }

    fn add_item(&mut self, item: &Value) {
        self.is_text_open = false;
        self.blocks.extend(Extended::of_provider(item));
    }

    /// Returns the open text, which it begins if none is.
    fn open_text(&mut self) -> Option<&mut MessagesAnswerBlock> {
        if !std::mem::replace(&mut self.is_text_open, true) {
            let block = MessagesAnswerBlock::Text { text: String::new(), citations: Some(Vec::new()) };
            self.blocks.push(block.into());
        }
        self.blocks.last_mut().and_then(Extended::standard_mut)
    }
}

fn tool_use(answer: &Answer, call: &ToolCall) -> MessagesAnswerBlock {
    // Clients require an object, even if the arguments are invalid.
    MessagesAnswerBlock::tool_use(answer, call, serde_json::from_str(&call.arguments).unwrap_or_default())
}

/// The dialect's name of a finish reason. `at_stop_text`: a stop text ended the answer.
pub(super) fn stop_reason(reason: FinishReason, at_stop_text: bool) -> &'static str {
    match reason {
        FinishReason::Stop if at_stop_text => "stop_sequence",
        FinishReason::Stop | FinishReason::Cancelled => "end_turn",
        FinishReason::Length => "max_tokens",
        FinishReason::ToolCalls => "tool_use",
        FinishReason::ContentFilter => "refusal",
    }
}
