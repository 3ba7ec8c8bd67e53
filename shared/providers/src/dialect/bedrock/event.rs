//! The fields of an event, and of an answer that isn't streamed.

use hearth_domain::Usage;
use serde::Deserialize;
use serde_json::Value;

use crate::lenient;

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct Event {
    #[serde(deserialize_with = "lenient::count")]
    pub(super) content_block_index: Option<u32>,
    #[serde(deserialize_with = "lenient::object")]
    pub(super) start: Option<Start>,
    #[serde(deserialize_with = "lenient::object")]
    pub(super) delta: Option<Delta>,
    #[serde(deserialize_with = "lenient::text")]
    pub(super) stop_reason: Option<String>,
    pub(super) additional_model_response_fields: Value,
    #[serde(deserialize_with = "lenient::object")]
    pub(super) usage: Option<TokenUsage>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct Start {
    #[serde(deserialize_with = "lenient::object")]
    pub(super) tool_use: Option<ToolUse>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct ToolUse {
    #[serde(deserialize_with = "lenient::id")]
    pub(super) tool_use_id: Option<String>,
    #[serde(deserialize_with = "lenient::text")]
    pub(super) name: Option<String>,
    #[serde(deserialize_with = "lenient::json_text")]
    pub(super) input: Option<String>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct Delta {
    #[serde(deserialize_with = "lenient::text")]
    pub(super) text: Option<String>,
    #[serde(deserialize_with = "lenient::object")]
    pub(super) tool_use: Option<ToolUse>,
    #[serde(deserialize_with = "lenient::object")]
    pub(super) reasoning_content: Option<ReasoningDelta>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct ReasoningDelta {
    #[serde(deserialize_with = "lenient::text")]
    pub(super) text: Option<String>,
    #[serde(deserialize_with = "lenient::text")]
    pub(super) signature: Option<String>,
    #[serde(deserialize_with = "lenient::text")]
    pub(super) redacted_content: Option<String>,
}

/// An answer of `Converse`
/// (<https://docs.aws.amazon.com/bedrock/latest/APIReference/API_runtime_Converse.html>).
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct WholeAnswer {
    #[serde(deserialize_with = "lenient::object")]
    pub(super) output: Option<Output>,
    #[serde(deserialize_with = "lenient::text")]
    pub(super) stop_reason: Option<String>,
    pub(super) additional_model_response_fields: Value,
    #[serde(deserialize_with = "lenient::object")]
    pub(super) usage: Option<TokenUsage>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Output {
    #[serde(deserialize_with = "lenient::object")]
    pub(super) message: Option<Message>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Message {
    #[serde(deserialize_with = "lenient::objects")]
    pub(super) content: Vec<WholeBlock>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct WholeBlock {
    #[serde(deserialize_with = "lenient::text")]
    pub(super) text: Option<String>,
    #[serde(deserialize_with = "lenient::object")]
    pub(super) tool_use: Option<ToolUse>,
    #[serde(deserialize_with = "lenient::object")]
    pub(super) reasoning_content: Option<WholeReasoning>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct WholeReasoning {
    #[serde(deserialize_with = "lenient::object")]
    pub(super) reasoning_text: Option<ReasoningDelta>,
    #[serde(deserialize_with = "lenient::text")]
    pub(super) redacted_content: Option<String>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct TokenUsage {
    #[serde(deserialize_with = "lenient::count")]
    input_tokens: Option<u32>,
    #[serde(deserialize_with = "lenient::count")]
    output_tokens: Option<u32>,
    #[serde(deserialize_with = "lenient::count")]
    cache_read_input_tokens: Option<u32>,
    #[serde(deserialize_with = "lenient::count")]
    cache_write_input_tokens: Option<u32>,
}

/// Bedrock's input tokens don't include tokens that were read from the cache or written to it.
impl From<TokenUsage> for Usage {
    fn from(usage: TokenUsage) -> Self {
        let read = usage.cache_read_input_tokens.unwrap_or_default();
        let written = usage.cache_write_input_tokens.unwrap_or_default();
        let cache = read.saturating_add(written);
        Self {
            prompt_tokens: usage.input_tokens.unwrap_or_default().saturating_add(cache),
            completion_tokens: usage.output_tokens.unwrap_or_default(),
            cached_tokens: read,
            cache_write_tokens: written,
            reasoning_tokens: 0,
        }
    }
}
