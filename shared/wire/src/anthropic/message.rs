//! What is answered.

use hearth_domain::{FinishReason, ToolCall, Usage};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use utoipa::ToSchema;

use super::thoughts::{ThoughtsMode, open_blocks, sealed_block};
use crate::{answer::Answer, structured::StructuredBody};

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
    /// `end_turn`, `stop_sequence`, `max_tokens`, `tool_use` or `refusal`.
    pub stop_reason: Option<String>,
    /// The stop text that ended the answer, where it is known which.
    pub stop_sequence: Option<String>,
    /// Always null: there is no more to tell of the end.
    #[serde(default)]
    #[schema(value_type = Option<Object>)]
    pub stop_details: (),
    /// Always null: the gateway runs no tools of its own.
    #[serde(default)]
    #[schema(value_type = Option<Object>)]
    pub container: (),
    /// Tokens taken.
    pub usage: MessagesUsage,
    /// How the answer's JSON Schema was enforced, where it had one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub structured: Option<StructuredBody>,
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
        /// Always empty; left out where a stream begins a text.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        #[schema(value_type = Option<Vec<Value>>)]
        citations: Option<Vec<Value>>,
    },
    /// A tool that it calls.
    ToolUse {
        /// What the result is given back under.
        id: String,
        /// The tool's name.
        name: String,
        /// The arguments; none if they were cut off in their middle, or are no object.
        // Of any type there: a generator of Python clients takes an object in this union for two models of one name.
        #[schema(value_type = Value)]
        input: Map<String, Value>,
        /// Who calls it.
        #[serde(default)]
        caller: MessagesCaller,
    },
}

impl MessagesAnswerBlock {
    /// A call of a tool, with these arguments.
    pub(super) fn call(call: &ToolCall, input: Map<String, Value>) -> Self {
        let caller = MessagesCaller::default();
        Self::ToolUse { id: call.id.clone(), name: call.name.clone(), input, caller }
    }
}

/// Who calls a tool.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct MessagesCaller {
    /// Always `direct`: the model itself.
    #[serde(rename = "type")]
    pub kind: String,
}

impl Default for MessagesCaller {
    fn default() -> Self {
        Self { kind: "direct".to_owned() }
    }
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
    /// Always null, as all that follows: it is told of Anthropic's own machines.
    #[serde(default)]
    #[schema(value_type = Option<Object>)]
    pub cache_creation: (),
    /// Always null.
    #[serde(default)]
    #[schema(value_type = Option<String>)]
    pub inference_geo: (),
    /// Always null.
    #[serde(default)]
    #[schema(value_type = Option<Object>)]
    pub server_tool_use: (),
    /// Always null.
    #[serde(default)]
    #[schema(value_type = Option<String>)]
    pub service_tier: (),
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
            ..Self::default()
        }
    }
}

/// The blocks of a whole answer. Seals that the client didn't ask for stand right before the calls that they belong
/// to, behind the text; an answer without calls needs none.
pub(super) fn blocks(answer: &Answer, mode: ThoughtsMode) -> Vec<MessagesAnswerBlock> {
    let mut blocks: Vec<_> = match mode {
        ThoughtsMode::Shown => answer.reasoning.iter().flat_map(|block| open_blocks(block, true)).collect(),
        ThoughtsMode::Omitted => {
            answer.reasoning.iter().flat_map(|block| open_blocks(block, false)).collect()
        }
        ThoughtsMode::Sealed => Vec::new(),
    };
    let text = answer.said();
    if !text.is_empty() {
        blocks.push(MessagesAnswerBlock::Text { text, citations: Some(Vec::new()) });
    }
    if mode == ThoughtsMode::Sealed && !answer.tool_calls.is_empty() {
        blocks.extend(answer.reasoning.iter().filter_map(sealed_block));
    }
    blocks.extend(answer.tool_calls.iter().map(call));
    blocks
}

fn call(call: &ToolCall) -> MessagesAnswerBlock {
    // Clients count on an object, whatever became of it.
    MessagesAnswerBlock::call(call, serde_json::from_str(&call.arguments).unwrap_or_default())
}

/// The stop reasons that Anthropic's clients know. `at_stop`: a stop text was met.
pub(super) fn stop_reason(reason: FinishReason, at_stop: bool) -> &'static str {
    match reason {
        FinishReason::Stop if at_stop => "stop_sequence",
        FinishReason::Stop | FinishReason::Cancelled => "end_turn",
        FinishReason::Length => "max_tokens",
        FinishReason::ToolCalls => "tool_use",
        FinishReason::ContentFilter => "refusal",
    }
}
