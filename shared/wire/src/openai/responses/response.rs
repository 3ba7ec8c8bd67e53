//! What is answered.

use hearth_domain::{
    Usage,
    sampling::{DEFAULT_TEMPERATURE, DEFAULT_TOP_P},
};
use serde::{Deserialize, Serialize, Serializer};
use serde_json::{Map, Value, json};
use utoipa::ToSchema;

use super::{ReasoningBody, ResponsesTool, ResponsesToolChoice, TextBody};
use crate::{
    openai::{logprobs::TokenLogprobBody, tools::ToolMode},
    structured::StructuredBody,
};

/// A response.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct ResponseObject {
    /// The run's id; what a next request names as `previous_response_id`.
    pub id: String,
    /// Always `response`.
    pub object: String,
    /// Seconds since 1970.
    pub created_at: i64,
    /// When it ended, if it did.
    pub completed_at: Option<i64>,
    /// `queued`, `in_progress`, `completed`, `incomplete`, `failed` or `cancelled`.
    pub status: String,
    /// Why it failed.
    pub error: Option<ResponseFailure>,
    /// Why it is incomplete.
    pub incomplete_details: Option<Incomplete>,
    /// The model that served it.
    pub model: String,
    /// What the model made, in order.
    pub output: Vec<OutputItem>,
    /// Tokens taken, once it has ended.
    pub usage: Option<ResponseUsage>,
    /// How the answer's JSON Schema was enforced, where it had one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub structured: Option<StructuredBody>,
    /// What was asked for.
    #[serde(flatten)]
    pub asked: Asked,
}

/// What was asked for, told again. Clients count on every field, so what was left out is told as what
/// holds without it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(default)]
pub struct Asked {
    /// Always false.
    pub background: bool,
    /// -2 to 2.
    #[serde(serialize_with = "decimal")]
    pub frequency_penalty: f32,
    /// The instructions of this request.
    pub instructions: Option<String>,
    /// The most tokens to generate.
    pub max_output_tokens: Option<u32>,
    /// How often tools of the provider's own may be called.
    pub max_tool_calls: Option<u32>,
    /// The client's own notes.
    #[schema(value_type = Object)]
    pub metadata: Map<String, Value>,
    /// Whether one turn may call several tools.
    pub parallel_tool_calls: bool,
    /// -2 to 2.
    #[serde(serialize_with = "decimal")]
    pub presence_penalty: f32,
    /// The response that this one goes on from.
    pub previous_response_id: Option<String>,
    /// The client's name for prompts that begin alike, for a provider of this dialect.
    pub prompt_cache_key: Option<String>,
    /// How much to think.
    pub reasoning: ReasoningBody,
    /// The client's name for its own user, for a provider of this dialect.
    pub safety_identifier: Option<String>,
    /// What a provider of this dialect was asked to put first; `default`, if nothing was asked.
    pub service_tier: String,
    /// Whether the conversation is kept.
    pub store: bool,
    /// 0 to 2. Null until it is known who answers.
    #[serde(serialize_with = "decimal")]
    pub temperature: Option<f32>,
    /// The form of the answer.
    pub text: TextBody,
    /// Whether a tool is called.
    pub tool_choice: ResponsesToolChoice,
    /// The tools on offer.
    pub tools: Vec<ResponsesTool>,
    /// How many likely tokens are told for each place.
    pub top_logprobs: u32,
    /// 0 to 1. Null until it is known who answers.
    #[serde(serialize_with = "decimal")]
    pub top_p: Option<f32>,
    /// `auto` or `disabled`; nothing is left out of a conversation here.
    pub truncation: String,
}

impl Default for Asked {
    fn default() -> Self {
        Self {
            background: false,
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

impl Asked {
    /// Tells what holds where the request names no temperature or `top_p`: a node's own, or, as the vendors'
    /// APIs say of themselves, 1.
    pub(super) fn settle(&mut self, at_node: bool) {
        let (temperature, top_p) = if at_node { (DEFAULT_TEMPERATURE, DEFAULT_TOP_P) } else { (1.0, 1.0) };
        self.temperature.get_or_insert(temperature);
        self.top_p.get_or_insert(top_p);
    }
}

/// 0.8 as 0.8: widened, it would be 0.800000011920929.
fn decimal<S: Serializer>(number: &(impl Copy + Into<Option<f32>>), to: S) -> Result<S::Ok, S::Error> {
    let number: Option<f32> = (*number).into();
    number.map(|number| number.to_string().parse().unwrap_or(f64::from(number))).serialize(to)
}

/// Why a response failed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ResponseFailure {
    /// A stable code, documented in `docs/errors`.
    pub code: String,
    /// What happened.
    pub message: String,
}

/// Why a response is incomplete.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Incomplete {
    /// `max_output_tokens` or `content_filter`.
    pub reason: String,
}

/// A thing that the model made.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum OutputItem {
    /// What it says.
    Message {
        /// The item's id.
        id: String,
        /// `in_progress`, `completed` or `incomplete`.
        status: String,
        /// Always `assistant`.
        role: String,
        /// The text, or the refusal, once it has begun.
        content: Vec<OutputPart>,
    },
    /// What it thinks.
    Reasoning {
        /// The item's id.
        id: String,
        /// `in_progress`, `completed` or `incomplete`.
        status: String,
        /// The thoughts as `summary_text`, where a summary was asked for.
        summary: Vec<ReasoningText>,
        /// The thoughts as `reasoning_text`, where none was.
        #[serde(skip_serializing_if = "Option::is_none")]
        content: Option<Vec<ReasoningText>>,
        /// What goes back to the thoughts' maker, where `include` asks for it.
        encrypted_content: Option<String>,
    },
    /// A function that it calls.
    FunctionCall {
        /// The item's id.
        id: String,
        /// `in_progress`, `completed` or `incomplete`.
        status: String,
        /// What the output names.
        call_id: String,
        /// The function's name.
        name: String,
        /// The namespace that it is in.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        namespace: Option<String>,
        /// Its arguments, a JSON text.
        arguments: String,
    },
    /// A custom tool that it calls.
    CustomToolCall {
        /// The item's id.
        id: String,
        /// `in_progress`, `completed` or `incomplete`.
        status: String,
        /// What the output names.
        call_id: String,
        /// The tool's name.
        name: String,
        /// The namespace that it is in.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        namespace: Option<String>,
        /// What it is given.
        input: String,
    },
}

/// A message's text, or why there is none.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(untagged)]
pub enum OutputPart {
    /// The text.
    Text(OutputText),
    /// What the model says in place of an answer.
    Refusal(OutputRefusal),
}

impl OutputPart {
    /// One that has yet to be told.
    pub(super) fn begun(refuses: bool) -> Self {
        let refusal = || OutputRefusal { kind: "refusal".to_owned(), refusal: String::new() };
        if refuses { Self::Refusal(refusal()) } else { Self::Text(OutputText::default()) }
    }
}

/// What the model says in place of an answer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct OutputRefusal {
    /// Always `refusal`.
    #[serde(rename = "type")]
    pub kind: String,
    /// The words.
    pub refusal: String,
}

/// A message's text.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct OutputText {
    /// Always `output_text`.
    #[serde(rename = "type")]
    pub kind: String,
    /// The text.
    pub text: String,
    /// Always empty.
    #[schema(value_type = Vec<Object>)]
    pub annotations: Vec<Value>,
    /// Its tokens, if they were asked for.
    pub logprobs: Vec<TokenLogprobBody>,
}

impl Default for OutputText {
    fn default() -> Self {
        Self {
            kind: "output_text".to_owned(),
            text: String::new(),
            annotations: Vec::new(),
            logprobs: Vec::new(),
        }
    }
}

/// Thoughts, or a summary of them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ReasoningText {
    /// `reasoning_text` or `summary_text`.
    #[serde(rename = "type")]
    pub kind: String,
    /// The text.
    pub text: String,
}

/// Tokens taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ResponseUsage {
    /// Tokens of the rendered prompt.
    pub input_tokens: u32,
    /// More about them.
    pub input_tokens_details: InputDetails,
    /// Tokens generated.
    pub output_tokens: u32,
    /// More about them.
    pub output_tokens_details: OutputDetails,
    /// Both together.
    pub total_tokens: u32,
}

/// More about the prompt's tokens.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct InputDetails {
    /// Those that needed no prefill.
    pub cached_tokens: u32,
}

/// More about the tokens generated.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct OutputDetails {
    /// Those that were thoughts.
    pub reasoning_tokens: u32,
}

impl From<Usage> for ResponseUsage {
    fn from(usage: Usage) -> Self {
        Self {
            input_tokens: usage.prompt_tokens,
            input_tokens_details: InputDetails { cached_tokens: usage.cached_tokens },
            output_tokens: usage.completion_tokens,
            output_tokens_details: OutputDetails { reasoning_tokens: usage.reasoning_tokens },
            total_tokens: usage.total_tokens(),
        }
    }
}

/// The answer to a `DELETE`.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct DeletedResponse {
    /// The response's id.
    pub id: String,
    /// Always `response`.
    pub object: String,
    /// Always true.
    pub deleted: bool,
}

impl DeletedResponse {
    /// Of this id.
    #[must_use]
    pub fn new(id: String) -> Self {
        Self { id, object: "response".to_owned(), deleted: true }
    }
}

impl OutputItem {
    /// The item as it is added, before there is anything of it.
    pub(super) fn begun(&self) -> Value {
        let mut item = self.clone();
        match &mut item {
            Self::Message { content, .. } => content.clear(),
            Self::Reasoning { summary, content, encrypted_content, .. } => {
                summary.clear();
                content.iter_mut().for_each(Vec::clear);
                *encrypted_content = None;
            }
            Self::FunctionCall { arguments, .. } => arguments.clear(),
            Self::CustomToolCall { input, .. } => input.clear(),
        }
        json!(item)
    }
}
