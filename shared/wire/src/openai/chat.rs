//! `POST /v1/chat/completions`.

use hearth_domain::{
    FinishReason, Generation, Message, ModelId, OnDisconnect, Role, Sampling, TextTask, Usage,
};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::ToSchema;

use super::content::Content;
use crate::{ApiError, ErrorCode, RunEvent, RunEventBody, native::generate::Stop};

/// A chat request as OpenAI's SDKs send it. Unknown fields are ignored.
#[derive(Debug, Clone, Deserialize, Serialize, ToSchema)]
pub struct ChatRequest {
    /// A model's id, or `auto`.
    #[schema(example = "tiny-chat")]
    pub model: String,
    /// The conversation, oldest first.
    pub messages: Vec<ChatMessage>,
    /// Whether to answer with server-sent events.
    #[serde(default)]
    pub stream: Option<bool>,
    /// What else to stream.
    pub stream_options: Option<StreamOptions>,
    /// 0 to 2.
    pub temperature: Option<f32>,
    /// 0 to 1.
    pub top_p: Option<f32>,
    /// -2 to 2.
    pub presence_penalty: Option<f32>,
    /// -2 to 2.
    pub frequency_penalty: Option<f32>,
    /// Makes the choice repeatable.
    pub seed: Option<i64>,
    /// A text or a list of texts that end the completion.
    pub stop: Option<Stop>,
    /// At least 1. The older name of `max_completion_tokens`.
    pub max_tokens: Option<u32>,
    /// At least 1.
    pub max_completion_tokens: Option<u32>,
    /// How many completions; 1 is what local models serve.
    pub n: Option<u32>,
    /// `{"type": "text"}`.
    #[schema(value_type = Option<Object>)]
    pub response_format: Option<Value>,
    /// Tools that the model may call. Local models take none yet.
    #[schema(value_type = Option<Vec<Object>>)]
    pub tools: Option<Vec<Value>>,
    /// Tools under their older name. Local models take none yet.
    #[schema(value_type = Option<Vec<Object>>)]
    pub functions: Option<Vec<Value>>,
    /// Tokens to favour or ban. Local models take none yet.
    #[schema(value_type = Option<Object>)]
    pub logit_bias: Option<serde_json::Map<String, Value>>,
    /// Whether to give log-probabilities. Local models give none yet.
    pub logprobs: Option<bool>,
    /// An extension: 0 keeps all.
    pub top_k: Option<u32>,
    /// An extension: 0 to 1.
    pub min_p: Option<f32>,
    /// An extension: above 0, at most 2.
    pub repeat_penalty: Option<f32>,
    /// An extension: goes on past the end-of-turn token.
    pub ignore_eos: Option<bool>,
    /// An extension: `cancel` or `continue`.
    #[schema(value_type = Option<String>)]
    pub on_disconnect: Option<OnDisconnect>,
}

/// One message of a conversation.
#[derive(Debug, Clone, Deserialize, Serialize, ToSchema)]
pub struct ChatMessage {
    /// `system`, `developer`, `user` or `assistant`.
    #[schema(value_type = String, example = "user")]
    pub role: ChatRole,
    /// A text, or a list of text parts.
    pub content: Option<Content>,
}

/// Who says a message.
#[derive(Debug, Clone, Copy, Deserialize, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum ChatRole {
    /// Instructions.
    System,
    /// Instructions, under their newer name.
    Developer,
    /// Who asks.
    User,
    /// The model.
    Assistant,
    /// A tool's result.
    Tool,
    /// A tool's result, under its older name.
    Function,
}

/// What else to stream.
#[derive(Debug, Clone, Copy, Default, Deserialize, Serialize, ToSchema)]
pub struct StreamOptions {
    /// Whether a last chunk tells the usage.
    #[serde(default)]
    pub include_usage: Option<bool>,
}

impl ChatRequest {
    /// Whether to stream.
    #[must_use]
    pub fn streams(&self) -> bool {
        self.stream.unwrap_or(false)
    }

    /// Whether a stream's last chunk tells the usage.
    #[must_use]
    pub fn includes_usage(&self) -> bool {
        self.stream_options.and_then(|o| o.include_usage).unwrap_or(false)
    }

    /// The request without its dialect.
    ///
    /// # Errors
    /// `invalid_request`, naming the field.
    pub fn into_generation(self) -> Result<Generation, ApiError> {
        self.refuse_what_local_models_lack()?;
        if self.messages.is_empty() {
            return Err(ApiError::invalid("messages", "messages must not be empty"));
        }
        let mut messages = Vec::with_capacity(self.messages.len());
        for (index, message) in self.messages.into_iter().enumerate() {
            messages.push(message.into_domain(index)?);
        }
        let sampling = Sampling {
            temperature: self.temperature,
            top_p: self.top_p,
            top_k: self.top_k,
            min_p: self.min_p,
            repeat_penalty: self.repeat_penalty,
            presence_penalty: self.presence_penalty,
            frequency_penalty: self.frequency_penalty,
            // The engine's seeds have 32 bits: the low half of OpenAI's is enough to repeat a choice.
            seed: self.seed.map(|seed| (seed & i64::from(u32::MAX)) as u32),
            stop: self.stop.map(Into::into).unwrap_or_default(),
            max_tokens: self.max_completion_tokens.or(self.max_tokens),
            ignore_eos: self.ignore_eos.unwrap_or(false),
            logit_bias: Vec::new(),
        };
        sampling.check().map_err(|error| {
            let renamed = error.param == "max_tokens" && self.max_completion_tokens.is_some();
            let error = ApiError::from(error);
            if renamed { error.at("max_completion_tokens") } else { error }
        })?;
        let on_disconnect = self.on_disconnect.unwrap_or_default();
        let task = TextTask::new(messages, sampling);
        Ok(Generation { on_disconnect, ..Generation::new(Some(ModelId::new(self.model)), task) })
    }

    /// What would change the answer's meaning is refused rather than ignored.
    fn refuse_what_local_models_lack(&self) -> Result<(), ApiError> {
        if self.n.is_some_and(|n| n != 1) {
            return Err(ApiError::invalid("n", "n must be 1: local models give one completion a request"));
        }
        if self.tools.as_ref().is_some_and(|tools| !tools.is_empty()) {
            return Err(ApiError::invalid(
                "tools",
                "local models don't take tools yet; send the request without",
            ));
        }
        if self.functions.as_ref().is_some_and(|functions| !functions.is_empty()) {
            return Err(ApiError::invalid("functions", "local models don't take functions yet"));
        }
        if self.logit_bias.as_ref().is_some_and(|bias| !bias.is_empty()) {
            return Err(ApiError::invalid("logit_bias", "local models don't take a logit_bias yet"));
        }
        if self.logprobs == Some(true) {
            return Err(ApiError::invalid("logprobs", "local models don't give log-probabilities yet"));
        }
        let format = self.response_format.as_ref().map(|format| format["type"].as_str());
        if format.is_some_and(|kind| kind != Some("text")) {
            let message = "local models take response_format {\"type\": \"text\"} only, so far";
            return Err(ApiError::invalid("response_format", message));
        }
        Ok(())
    }
}

impl ChatMessage {
    fn into_domain(self, index: usize) -> Result<Message, ApiError> {
        let role = match self.role {
            ChatRole::System | ChatRole::Developer => Role::System,
            ChatRole::User => Role::User,
            ChatRole::Assistant => Role::Assistant,
            ChatRole::Tool | ChatRole::Function => {
                let message = "local models don't take tool results yet";
                return Err(ApiError::invalid(format!("messages[{index}].role"), message));
            }
        };
        let param = format!("messages[{index}].content");
        match self.content {
            Some(content) => Ok(Message::new(role, content.into_text(&param)?)),
            None if role == Role::Assistant => Ok(Message::new(role, "")),
            None => Err(ApiError::invalid(param, "a message needs a content")),
        }
    }
}

/// How a run ended, of all its events.
///
/// # Errors
/// The run's own error; `cancelled` if it was stopped; `internal` if it hasn't ended.
pub fn ending(events: &[RunEvent]) -> Result<FinishReason, ApiError> {
    match events.last().map(|event| &event.body) {
        Some(RunEventBody::Done { finish_reason }) => Ok(*finish_reason),
        Some(RunEventBody::Error { error }) => Err(error.clone()),
        Some(RunEventBody::Cancelled) => {
            Err(ApiError::new(ErrorCode::Cancelled, "the request was cancelled before it ended"))
        }
        _ => Err(ApiError::new(ErrorCode::Internal, "the run ended without a last event")),
    }
}

/// A whole completion.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct ChatCompletion {
    /// The run's id.
    pub id: String,
    /// Always `chat.completion`.
    pub object: String,
    /// Seconds since 1970.
    pub created: i64,
    /// The model that served it.
    pub model: String,
    /// One choice.
    pub choices: Vec<ChatChoice>,
    /// Tokens taken.
    pub usage: ChatUsage,
}

/// A completion's text.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct ChatChoice {
    /// 0.
    pub index: u32,
    /// What the model said.
    pub message: ChatAnswer,
    /// Always null so far.
    #[schema(value_type = Option<Object>)]
    pub logprobs: Option<Value>,
    /// `stop` or `length`.
    pub finish_reason: Option<String>,
}

/// What the model said.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct ChatAnswer {
    /// Always `assistant`.
    pub role: String,
    /// The text.
    pub content: Option<String>,
    /// Always null so far.
    pub refusal: Option<String>,
}

/// One chunk of a streamed completion.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct ChatChunk {
    /// The run's id.
    pub id: String,
    /// Always `chat.completion.chunk`.
    pub object: String,
    /// Seconds since 1970.
    pub created: i64,
    /// The model that serves it.
    pub model: String,
    /// One choice, or none in the chunk that tells the usage.
    pub choices: Vec<ChunkChoice>,
    /// Tokens taken, in the last chunk if asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub usage: Option<ChatUsage>,
}

/// What a chunk adds.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct ChunkChoice {
    /// 0.
    pub index: u32,
    /// What is added.
    pub delta: ChunkDelta,
    /// Always null so far.
    #[schema(value_type = Option<Object>)]
    pub logprobs: Option<Value>,
    /// `stop` or `length`, in the last one.
    pub finish_reason: Option<String>,
}

/// What a chunk adds to the message.
#[derive(Debug, Clone, Default, Serialize, Deserialize, ToSchema)]
pub struct ChunkDelta {
    /// `assistant`, in the first one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub role: Option<String>,
    /// Text to append.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub content: Option<String>,
}

/// Tokens taken, as OpenAI's clients read them.
#[derive(Debug, Clone, Copy, Serialize, Deserialize, ToSchema)]
pub struct ChatUsage {
    /// Tokens of the rendered prompt.
    pub prompt_tokens: u32,
    /// Tokens generated.
    pub completion_tokens: u32,
    /// Both together.
    pub total_tokens: u32,
    /// More about the prompt's tokens.
    pub prompt_tokens_details: PromptTokensDetails,
}

/// More about the prompt's tokens.
#[derive(Debug, Clone, Copy, Serialize, Deserialize, ToSchema)]
pub struct PromptTokensDetails {
    /// Those that needed no prefill.
    pub cached_tokens: u32,
}

impl From<Usage> for ChatUsage {
    fn from(usage: Usage) -> Self {
        Self {
            prompt_tokens: usage.prompt_tokens,
            completion_tokens: usage.completion_tokens,
            total_tokens: usage.total_tokens(),
            prompt_tokens_details: PromptTokensDetails { cached_tokens: usage.cached_tokens },
        }
    }
}
