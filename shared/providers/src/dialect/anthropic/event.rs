//! The fields of events: one struct for all types, since servers mix their fields.

use hearth_domain::Usage;
use serde::Deserialize;
use serde_json::Value;

use crate::lenient::{self, is_present};

/// An event of a stream, or a whole message, whose fields are at the end.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Event {
    #[serde(rename = "type", deserialize_with = "lenient::text")]
    pub(super) kind: Option<String>,
    #[serde(deserialize_with = "lenient::count")]
    pub(super) index: Option<u32>,
    #[serde(deserialize_with = "lenient::object")]
    pub(super) message: Option<Message>,
    #[serde(deserialize_with = "lenient::object")]
    pub(super) content_block: Option<Block>,
    #[serde(deserialize_with = "lenient::object")]
    pub(super) delta: Option<Delta>,
    #[serde(deserialize_with = "lenient::object")]
    pub(super) usage: Option<TokenCounts>,
    pub(super) error: Value,
    #[serde(deserialize_with = "lenient::objects")]
    content: Vec<Block>,
    container: Value,
    #[serde(deserialize_with = "lenient::text")]
    stop_reason: Option<String>,
    #[serde(deserialize_with = "lenient::text")]
    stop_sequence: Option<String>,
}

impl Event {
    /// Returns the whole message.
    pub(super) fn into_message(self) -> Message {
        let Self { content, container, stop_reason, stop_sequence, usage, .. } = self;
        Message { content, container, stop_reason, stop_sequence, usage }
    }
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Message {
    #[serde(deserialize_with = "lenient::objects")]
    pub(super) content: Vec<Block>,
    pub(super) container: Value,
    #[serde(deserialize_with = "lenient::text")]
    pub(super) stop_reason: Option<String>,
    #[serde(deserialize_with = "lenient::text")]
    pub(super) stop_sequence: Option<String>,
    #[serde(deserialize_with = "lenient::object")]
    pub(super) usage: Option<TokenCounts>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Block {
    #[serde(rename = "type", deserialize_with = "lenient::text")]
    pub(super) kind: Option<String>,
    #[serde(deserialize_with = "lenient::text")]
    pub(super) text: Option<String>,
    #[serde(deserialize_with = "lenient::text")]
    pub(super) thinking: Option<String>,
    #[serde(deserialize_with = "lenient::text")]
    pub(super) signature: Option<String>,
    #[serde(deserialize_with = "lenient::text")]
    pub(super) data: Option<String>,
    #[serde(deserialize_with = "lenient::id")]
    pub(super) id: Option<String>,
    #[serde(deserialize_with = "lenient::text")]
    pub(super) name: Option<String>,
    #[serde(deserialize_with = "lenient::json_text")]
    pub(super) input: Option<String>,
    #[serde(deserialize_with = "lenient::objects")]
    pub(super) citations: Vec<Value>,
    pub(super) caller: Value,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Delta {
    #[serde(rename = "type", deserialize_with = "lenient::text")]
    pub(super) kind: Option<String>,
    #[serde(deserialize_with = "lenient::text")]
    pub(super) text: Option<String>,
    #[serde(deserialize_with = "lenient::text")]
    pub(super) partial_json: Option<String>,
    #[serde(deserialize_with = "lenient::text")]
    pub(super) thinking: Option<String>,
    #[serde(deserialize_with = "lenient::text")]
    pub(super) signature: Option<String>,
    #[serde(deserialize_with = "lenient::text")]
    pub(super) stop_reason: Option<String>,
    #[serde(deserialize_with = "lenient::text")]
    pub(super) stop_sequence: Option<String>,
    pub(super) citation: Value,
    pub(super) container: Value,
}

/// The tokens so far. A count that a frame omits is unchanged.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct TokenCounts {
    #[serde(deserialize_with = "lenient::count")]
    input_tokens: Option<u32>,
    #[serde(deserialize_with = "lenient::count")]
    cache_creation_input_tokens: Option<u32>,
    #[serde(deserialize_with = "lenient::count")]
    cache_read_input_tokens: Option<u32>,
    #[serde(deserialize_with = "lenient::count")]
    output_tokens: Option<u32>,
    #[serde(deserialize_with = "lenient::object")]
    output_tokens_details: Option<OutputTokens>,
    /// Uses of the tools that Anthropic ran.
    pub(super) server_tool_use: Value,
}

#[derive(Debug, Clone, Copy, Default, Deserialize)]
#[serde(default)]
struct OutputTokens {
    #[serde(deserialize_with = "lenient::count")]
    thinking_tokens: Option<u32>,
}

impl TokenCounts {
    /// Replaces the counts that a later frame has.
    pub(super) fn update(&mut self, later: Self) {
        self.input_tokens = later.input_tokens.or(self.input_tokens);
        self.cache_creation_input_tokens =
            later.cache_creation_input_tokens.or(self.cache_creation_input_tokens);
        self.cache_read_input_tokens = later.cache_read_input_tokens.or(self.cache_read_input_tokens);
        self.output_tokens = later.output_tokens.or(self.output_tokens);
        self.output_tokens_details = later.output_tokens_details.or(self.output_tokens_details);
        if is_present(&later.server_tool_use) {
            self.server_tool_use = later.server_tool_use;
        }
    }
}

impl From<TokenCounts> for Usage {
    fn from(counts: TokenCounts) -> Self {
        let read = counts.cache_read_input_tokens.unwrap_or_default();
        let written = counts.cache_creation_input_tokens.unwrap_or_default();
        let fresh = counts.input_tokens.unwrap_or_default();
        Self {
            prompt_tokens: fresh.saturating_add(read).saturating_add(written),
            completion_tokens: counts.output_tokens.unwrap_or_default(),
            cached_tokens: read,
            cache_write_tokens: written,
            reasoning_tokens: counts
                .output_tokens_details
                .and_then(|details| details.thinking_tokens)
                .unwrap_or_default(),
        }
    }
}
