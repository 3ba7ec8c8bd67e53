//! Converts an answer to blocks.

use hearth_domain::{FinishReason, ToolCall};

use super::{
    MessagesAnswerBlock,
    thinking::{ThinkingDisplay, redacted_block, thinking_blocks},
};
use crate::answer::Answer;

/// Returns the blocks of a whole answer. Redacted reasoning is between the text and the calls that it belongs to; an
/// answer without calls doesn't need it.
pub(super) fn answer_blocks(answer: &Answer, display: ThinkingDisplay) -> Vec<MessagesAnswerBlock> {
    let mut blocks: Vec<_> = match display {
        ThinkingDisplay::Full => {
            answer.reasoning.iter().flat_map(|block| thinking_blocks(block, true)).collect()
        }
        ThinkingDisplay::SignatureOnly => {
            answer.reasoning.iter().flat_map(|block| thinking_blocks(block, false)).collect()
        }
        ThinkingDisplay::Redacted => Vec::new(),
    };
    let text = answer.text_with_refusal();
    if !text.is_empty() {
        blocks.push(MessagesAnswerBlock::Text { text, citations: Some(Vec::new()) });
    }
    if display == ThinkingDisplay::Redacted && !answer.tool_calls.is_empty() {
        blocks.extend(answer.reasoning.iter().filter_map(redacted_block));
    }
    blocks.extend(answer.tool_calls.iter().map(tool_use));
    blocks
}

fn tool_use(call: &ToolCall) -> MessagesAnswerBlock {
    // Clients require an object, even if the arguments are invalid.
    MessagesAnswerBlock::tool_use(call, serde_json::from_str(&call.arguments).unwrap_or_default())
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
