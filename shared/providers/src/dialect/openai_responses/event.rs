//! The fields of an event, and of a response.

use hearth_domain::Usage;
use serde::Deserialize;
use serde_json::Value;

use crate::{dialect::openai_chat::chunk::LogprobEntry, lenient};

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Event {
    #[serde(rename = "type", deserialize_with = "lenient::text")]
    pub(super) kind: Option<String>,
    /// `response` for a whole response in place of an event.
    #[serde(deserialize_with = "lenient::text")]
    pub(super) object: Option<String>,
    #[serde(deserialize_with = "lenient::count")]
    pub(super) output_index: Option<u32>,
    #[serde(deserialize_with = "lenient::count")]
    pub(super) content_index: Option<u32>,
    #[serde(deserialize_with = "lenient::count")]
    pub(super) summary_index: Option<u32>,
    #[serde(deserialize_with = "lenient::text")]
    pub(super) delta: Option<String>,
    /// The whole text, after its deltas.
    #[serde(deserialize_with = "lenient::text")]
    pub(super) text: Option<String>,
    #[serde(deserialize_with = "lenient::objects")]
    pub(super) logprobs: Vec<LogprobEntry>,
    /// Citation of a text.
    pub(super) annotation: Value,
    #[serde(deserialize_with = "lenient::object")]
    pub(super) item: Option<OutputItem>,
    #[serde(deserialize_with = "lenient::object")]
    pub(super) response: Option<Response>,
    pub(super) error: Value,
    // The fields of a whole response.
    #[serde(deserialize_with = "lenient::text")]
    status: Option<String>,
    #[serde(deserialize_with = "lenient::objects")]
    output: Vec<OutputItem>,
    #[serde(deserialize_with = "lenient::object")]
    usage: Option<ResponseUsage>,
    #[serde(deserialize_with = "lenient::object")]
    incomplete_details: Option<Incomplete>,
}

impl Event {
    /// Returns the whole response.
    pub(super) fn into_response(self) -> Response {
        let Self { status, output, usage, error, incomplete_details, .. } = self;
        Response { status, output, usage, error, incomplete_details }
    }
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct OutputItem {
    #[serde(rename = "type", deserialize_with = "lenient::text")]
    pub(super) kind: Option<String>,
    #[serde(deserialize_with = "lenient::id")]
    pub(super) call_id: Option<String>,
    #[serde(deserialize_with = "lenient::text")]
    pub(super) name: Option<String>,
    #[serde(deserialize_with = "lenient::json_text")]
    pub(super) arguments: Option<String>,
    #[serde(deserialize_with = "lenient::text")]
    pub(super) encrypted_content: Option<String>,
    /// Of a message.
    #[serde(deserialize_with = "lenient::text")]
    pub(super) phase: Option<String>,
    #[serde(deserialize_with = "lenient::objects")]
    pub(super) summary: Vec<Part>,
    #[serde(deserialize_with = "lenient::objects")]
    pub(super) content: Vec<Part>,
}

/// A part of a message, or of thoughts.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Part {
    #[serde(deserialize_with = "lenient::text")]
    pub(super) text: Option<String>,
    #[serde(deserialize_with = "lenient::text")]
    pub(super) refusal: Option<String>,
    #[serde(deserialize_with = "lenient::objects")]
    pub(super) annotations: Vec<Value>,
    /// Log-probabilities of a text without deltas.
    #[serde(deserialize_with = "lenient::objects")]
    pub(super) logprobs: Vec<LogprobEntry>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Response {
    #[serde(deserialize_with = "lenient::text")]
    pub(super) status: Option<String>,
    #[serde(deserialize_with = "lenient::objects")]
    pub(super) output: Vec<OutputItem>,
    #[serde(deserialize_with = "lenient::object")]
    pub(super) usage: Option<ResponseUsage>,
    pub(super) error: Value,
    #[serde(deserialize_with = "lenient::object")]
    pub(super) incomplete_details: Option<Incomplete>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Incomplete {
    #[serde(deserialize_with = "lenient::text")]
    pub(super) reason: Option<String>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct ResponseUsage {
    #[serde(deserialize_with = "lenient::count")]
    input_tokens: Option<u32>,
    #[serde(deserialize_with = "lenient::object")]
    input_tokens_details: Option<InputDetails>,
    #[serde(deserialize_with = "lenient::count")]
    output_tokens: Option<u32>,
    #[serde(deserialize_with = "lenient::object")]
    output_tokens_details: Option<OutputDetails>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct InputDetails {
    #[serde(deserialize_with = "lenient::count")]
    cached_tokens: Option<u32>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct OutputDetails {
    #[serde(deserialize_with = "lenient::count")]
    reasoning_tokens: Option<u32>,
}

impl From<ResponseUsage> for Usage {
    fn from(usage: ResponseUsage) -> Self {
        let cached = usage.input_tokens_details.and_then(|details| details.cached_tokens);
        let reasoning = usage.output_tokens_details.and_then(|details| details.reasoning_tokens);
        Self {
            prompt_tokens: usage.input_tokens.unwrap_or_default(),
            completion_tokens: usage.output_tokens.unwrap_or_default(),
            cache_write_tokens: 0,
            cached_tokens: cached.unwrap_or_default(),
            reasoning_tokens: reasoning.unwrap_or_default(),
        }
    }
}
