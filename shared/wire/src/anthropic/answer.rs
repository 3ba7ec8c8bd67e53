//! The answer of `POST /v1/messages`.

use hearth_domain::{ClientDialect, ToolCall, Usage};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use utoipa::ToSchema;

use crate::{answer::Answer, extension::Extended, structured::StructuredBody};

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
    /// Reasoning, text and tool calls, in order; of Anthropic's models also the tools that Anthropic ran, as it sent them.
    pub content: Vec<ExtendedAnswerBlock>,
    /// `end_turn`, `stop_sequence`, `max_tokens`, `tool_use` or `refusal`; of Anthropic's models also `pause_turn` and others.
    pub stop_reason: Option<String>,
    /// The stop text that ended the answer, if known.
    pub stop_sequence: Option<String>,
    /// Always null.
    #[serde(default)]
    #[schema(value_type = Option<Object>)]
    pub stop_details: (),
    /// Anthropic's container, if it ran code there. The gateway runs no tools of its own.
    #[serde(default)]
    #[schema(value_type = Option<Object>)]
    pub container: Option<Value>,
    /// Token counts.
    pub usage: MessagesUsage,
    /// Enforcement of the answer's JSON Schema, if it had one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub structured: Option<StructuredBody>,
}

/// A block of an answer, or one of a tool that the provider ran.
pub type ExtendedAnswerBlock = Extended<MessagesAnswerBlock>;

/// A block of an answer.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum MessagesAnswerBlock {
    /// Reasoning.
    Thinking {
        /// The reasoning.
        thinking: String,
        /// The vendor's signature; empty if there is none.
        signature: String,
    },
    /// Encrypted reasoning.
    RedactedThinking {
        /// The encrypted reasoning.
        data: String,
    },
    /// Text.
    Text {
        /// The text.
        text: String,
        /// Citations of an answer of Anthropic's models, as it sent them; absent where a stream begins a text.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        #[schema(value_type = Option<Vec<Value>>)]
        citations: Option<Vec<Value>>,
    },
    /// A tool call.
    ToolUse {
        /// Id of the call; the result names it.
        id: String,
        /// The tool's name.
        name: String,
        /// The arguments; empty if they are incomplete or not an object.
        // The OpenAPI document allows any type: for an object here, a generator of Python clients makes two models with one
        // name.
        #[schema(value_type = Value)]
        input: Map<String, Value>,
        /// The caller.
        #[serde(default)]
        caller: MessagesCaller,
    },
}

impl MessagesAnswerBlock {
    /// Creates the block of a tool call.
    pub(super) fn tool_use(answer: &Answer, call: &ToolCall, input: Map<String, Value>) -> Self {
        let caller = answer.extension_field(ClientDialect::Anthropic, &caller_field(&call.id));
        let caller = caller.and_then(|caller| MessagesCaller::deserialize(caller).ok()).unwrap_or_default();
        Self::ToolUse { id: call.id.clone(), name: call.name.clone(), input, caller }
    }
}

/// The caller of a tool.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct MessagesCaller {
    /// `direct` for the model itself; of Anthropic's models also code that Anthropic ran.
    #[serde(rename = "type")]
    pub kind: String,
    /// Further fields, as Anthropic's model sent them.
    #[serde(flatten)]
    #[schema(ignore)]
    pub extra: Map<String, Value>,
}

/// Returns the extension's field of a message that has the caller of the call `id`.
#[must_use]
pub fn caller_field(id: &str) -> String {
    format!("caller of {id}")
}

impl Default for MessagesCaller {
    fn default() -> Self {
        Self { kind: "direct".to_owned(), extra: Map::new() }
    }
}

/// Token counts.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct MessagesUsage {
    /// Tokens of the prompt that came from no cache.
    pub input_tokens: u32,
    /// Tokens of the prompt that were written to a cache.
    pub cache_creation_input_tokens: u32,
    /// Tokens of the prompt that came from a cache.
    pub cache_read_input_tokens: u32,
    /// Tokens generated.
    pub output_tokens: u32,
    /// Breakdown of the generated tokens.
    #[serde(default)]
    pub output_tokens_details: MessagesOutputTokens,
    /// Always null, like the following fields, which describe Anthropic's own servers.
    #[serde(default)]
    #[schema(value_type = Option<Object>)]
    pub cache_creation: (),
    /// Always null.
    #[serde(default)]
    #[schema(value_type = Option<String>)]
    pub inference_geo: (),
    /// Uses of the tools that Anthropic ran, if it ran any.
    #[serde(default)]
    #[schema(value_type = Option<Object>)]
    pub server_tool_use: Option<Value>,
    /// Always null.
    #[serde(default)]
    #[schema(value_type = Option<String>)]
    pub service_tier: (),
}

/// Breakdown of the generated tokens.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct MessagesOutputTokens {
    /// Tokens of reasoning.
    pub thinking_tokens: u32,
}

impl From<Usage> for MessagesUsage {
    fn from(usage: Usage) -> Self {
        Self {
            input_tokens: usage
                .prompt_tokens
                .saturating_sub(usage.cached_tokens)
                .saturating_sub(usage.cache_write_tokens),
            cache_creation_input_tokens: usage.cache_write_tokens,
            cache_read_input_tokens: usage.cached_tokens,
            output_tokens: usage.completion_tokens,
            output_tokens_details: MessagesOutputTokens { thinking_tokens: usage.reasoning_tokens },
            ..Self::default()
        }
    }
}
