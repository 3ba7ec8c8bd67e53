//! The request's parameters that a response repeats.

use hearth_domain::sampling::{DEFAULT_TEMPERATURE, DEFAULT_TOP_P};
use serde::{Deserialize, Serialize, Serializer};
use serde_json::{Map, Value};
use utoipa::ToSchema;

use super::{ConversationReference, ReasoningBody, ResponsesTool, ResponsesToolChoice, TextBody};
use crate::tool_choice::ToolMode;

/// The request's parameters. Clients require every field, so an absent parameter is repeated as its default.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(default)]
pub struct RequestEcho {
    /// True if the run goes on without its client.
    pub background: bool,
    /// The conversation that input and output are added to.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub conversation: Option<ConversationReference>,
    /// -2 to 2.
    #[serde(serialize_with = "decimal")]
    pub frequency_penalty: f32,
    /// The instructions of this request.
    pub instructions: Option<String>,
    /// Largest number of tokens to generate.
    pub max_output_tokens: Option<u32>,
    /// Largest number of calls of hosted tools.
    pub max_tool_calls: Option<u32>,
    /// Data of the client's own.
    #[schema(value_type = Object)]
    pub metadata: Map<String, Value>,
    /// True if one turn may call several tools.
    pub parallel_tool_calls: bool,
    /// -2 to 2.
    #[serde(serialize_with = "decimal")]
    pub presence_penalty: f32,
    /// The response that this one continues.
    pub previous_response_id: Option<String>,
    /// The client's key for prompts with the same beginning, for a provider of this dialect.
    pub prompt_cache_key: Option<String>,
    /// Reasoning options.
    pub reasoning: ReasoningBody,
    /// The client's identifier of its own user, for a provider of this dialect.
    pub safety_identifier: Option<String>,
    /// Service tier at a provider of this dialect; `default` if the request named none.
    pub service_tier: String,
    /// True if the conversation is stored.
    pub store: bool,
    /// 0 to 2. Null until a model is selected.
    #[serde(serialize_with = "decimal")]
    pub temperature: Option<f32>,
    /// Format of the answer's text.
    pub text: TextBody,
    /// Controls whether the model calls a tool.
    pub tool_choice: ResponsesToolChoice,
    /// The tools.
    pub tools: Vec<ResponsesTool>,
    /// Number of most likely tokens that are returned for each position.
    pub top_logprobs: u32,
    /// 0 to 1. Null until a model is selected.
    #[serde(serialize_with = "decimal")]
    pub top_p: Option<f32>,
    /// `auto` or `disabled`; the gateway never truncates a conversation.
    pub truncation: String,
}

impl Default for RequestEcho {
    fn default() -> Self {
        Self {
            background: false,
            conversation: None,
            frequency_penalty: 0.0,
            instructions: None,
            max_output_tokens: None,
            max_tool_calls: None,
            metadata: Map::new(),
            parallel_tool_calls: true,
            presence_penalty: 0.0,
            previous_response_id: None,
            prompt_cache_key: None,
            reasoning: ReasoningBody::default(),
            safety_identifier: None,
            service_tier: "default".to_owned(),
            store: true,
            temperature: None,
            text: TextBody::default(),
            tool_choice: ResponsesToolChoice::Mode(ToolMode::Auto),
            tools: Vec::new(),
            top_logprobs: 0,
            top_p: None,
            truncation: "disabled".to_owned(),
        }
    }
}

impl RequestEcho {
    /// Sets an absent temperature and `top_p` to the default of the selected model: a node's own, or 1, which the vendors'
    /// APIs document.
    pub(super) fn fill_sampling_defaults(&mut self, is_local: bool) {
        let (temperature, top_p) = if is_local { (DEFAULT_TEMPERATURE, DEFAULT_TOP_P) } else { (1.0, 1.0) };
        self.temperature.get_or_insert(temperature);
        self.top_p.get_or_insert(top_p);
    }
}

/// Serializes 0.8 as 0.8: widened to 64 bits it would be 0.800000011920929.
fn decimal<S: Serializer>(number: &(impl Copy + Into<Option<f32>>), to: S) -> Result<S::Ok, S::Error> {
    let number: Option<f32> = (*number).into();
    number.map(|number| number.to_string().parse().unwrap_or(f64::from(number))).serialize(to)
}
