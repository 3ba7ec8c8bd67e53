//! What is answered.

use hearth_domain::{FinishReason, Reasoning, ToolCall, Usage};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use utoipa::ToSchema;

use crate::answer::Answer;

/// A whole answer.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct MessagesAnswer {
    /// The run's id.
    pub id: String,
    /// Always `message`.
    #[serde(rename = "type")]
    pub kind: String,
    /// Always `assistant`.
    pub role: String,
    /// The model that served it.
    pub model: String,
    /// What the model thought, said and calls, in order.
    pub content: Vec<MessagesAnswerBlock>,
    /// `end_turn`, `max_tokens`, `tool_use` or `refusal`.
    pub stop_reason: Option<String>,
    /// Always null: a stop text ends the turn, and isn't told.
    pub stop_sequence: Option<String>,
    /// Tokens taken.
    pub usage: MessagesUsage,
}

/// A piece of an answer.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum MessagesAnswerBlock {
    /// What it thought.
    Thinking {
        /// The thoughts.
        thinking: String,
        /// Their maker's seal; empty if it has none.
        signature: String,
    },
    /// What it thought, as only its maker can read it.
    RedactedThinking {
        /// The thoughts.
        data: String,
    },
    /// What it said.
    Text {
        /// The text.
        text: String,
    },
    /// A tool that it calls.
    ToolUse {
        /// What the result is given back under.
        id: String,
        /// The tool's name.
        name: String,
        /// The arguments; a text if they were cut off in their middle.
        #[schema(value_type = Object)]
        input: Value,
    },
}

/// Tokens taken, as Anthropic's clients read them.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct MessagesUsage {
    /// Tokens of the prompt that were computed.
    pub input_tokens: u32,
    /// Always 0: what is written to a cache isn't counted apart.
    pub cache_creation_input_tokens: u32,
    /// Tokens of the prompt that needed no computing.
    pub cache_read_input_tokens: u32,
    /// Tokens generated.
    pub output_tokens: u32,
    /// More about them.
    #[serde(default)]
    pub output_tokens_details: MessagesOutputTokens,
}

/// More about the tokens generated.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct MessagesOutputTokens {
    /// Those that were thoughts.
    pub thinking_tokens: u32,
}

impl From<Usage> for MessagesUsage {
    fn from(usage: Usage) -> Self {
        Self {
            input_tokens: usage.prompt_tokens.saturating_sub(usage.cached_tokens),
            cache_creation_input_tokens: 0,
            cache_read_input_tokens: usage.cached_tokens,
            output_tokens: usage.completion_tokens,
            output_tokens_details: MessagesOutputTokens { thinking_tokens: usage.reasoning_tokens },
        }
    }
}

/// The blocks of a whole answer.
pub(super) fn blocks(answer: &Answer) -> Vec<MessagesAnswerBlock> {
    let mut blocks: Vec<_> = answer.reasoning.iter().flat_map(thoughts).collect();
    if !answer.text.is_empty() {
        blocks.push(MessagesAnswerBlock::Text { text: answer.text.clone() });
    }
    blocks.extend(answer.tool_calls.iter().map(call));
    blocks
}

/// Thoughts that can be read, and then what only their maker can: a block has the one or the other here.
fn thoughts(block: &Reasoning) -> Vec<MessagesAnswerBlock> {
    let signature = block.signature.clone().unwrap_or_default();
    let open = !block.text.is_empty() || !signature.is_empty();
    let open = open.then(|| MessagesAnswerBlock::Thinking { thinking: block.text.clone(), signature });
    let sealed = block.encrypted.clone().map(|data| MessagesAnswerBlock::RedactedThinking { data });
    open.into_iter().chain(sealed).collect()
}

fn call(call: &ToolCall) -> MessagesAnswerBlock {
    let input = match call.arguments.as_str() {
        "" => json!({}),
        arguments => serde_json::from_str(arguments).unwrap_or_else(|_| json!(arguments)),
    };
    MessagesAnswerBlock::ToolUse { id: call.id.clone(), name: call.name.clone(), input }
}

/// The stop reasons that Anthropic's clients know.
pub(super) fn stop_reason(reason: FinishReason) -> &'static str {
    match reason {
        FinishReason::Stop | FinishReason::Cancelled => "end_turn",
        FinishReason::Length => "max_tokens",
        FinishReason::ToolCalls => "tool_use",
        FinishReason::ContentFilter => "refusal",
    }
}
