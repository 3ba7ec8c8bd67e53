//! `POST /v1/generate`: what is asked and what is answered.

use hearth_domain::{
    FinishReason, Generation, Message, Modality, ModelId, OnDisconnect, Role, Sampling, TextTask, Usage,
};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::{ApiError, openai::content::Content};

/// A request to generate. An unknown field is an error that names it.
#[derive(Debug, Clone, Deserialize, Serialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct GenerateRequest {
    /// A model's id, or `auto`. Absent: the default model.
    #[schema(example = "tiny-chat")]
    pub model: Option<String>,
    /// What to make. Inferred from the model when absent; `text` is what local models serve.
    #[schema(value_type = Option<String>, example = "text")]
    pub modality: Option<Modality>,
    /// What to make it from.
    pub input: Input,
    /// How to make it.
    #[serde(default)]
    pub parameters: Parameters,
    /// Instructions that go before the conversation.
    pub system_prompt: Option<String>,
    /// Whether to answer with server-sent events.
    #[serde(default)]
    pub stream: bool,
    /// Whether the run is stopped (`cancel`) or goes on (`continue`) when the client goes away.
    #[serde(default)]
    #[schema(value_type = Option<String>, example = "cancel")]
    pub on_disconnect: OnDisconnect,
}

/// A prompt, or a conversation; exactly one of them.
#[derive(Debug, Clone, Default, Deserialize, Serialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Input {
    /// One question or instruction.
    #[schema(example = "Tell me a story.")]
    pub prompt: Option<String>,
    /// A conversation, oldest first.
    pub messages: Option<Vec<InputMessage>>,
}

/// One message of a conversation.
#[derive(Debug, Clone, Deserialize, Serialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct InputMessage {
    /// `system`, `user` or `assistant`.
    #[schema(value_type = String, example = "user")]
    pub role: Role,
    /// A text, or a list of text parts.
    pub content: Content,
}

/// How to sample and when to stop.
#[derive(Debug, Clone, Default, Deserialize, Serialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Parameters {
    /// 0 to 2; 0 always takes the likeliest token.
    pub temperature: Option<f32>,
    /// 0 to 1.
    pub top_p: Option<f32>,
    /// 0 keeps all.
    pub top_k: Option<u32>,
    /// 0 to 1.
    pub min_p: Option<f32>,
    /// Above 0, at most 2; 1 changes nothing.
    pub repeat_penalty: Option<f32>,
    /// -2 to 2.
    pub presence_penalty: Option<f32>,
    /// -2 to 2.
    pub frequency_penalty: Option<f32>,
    /// Makes the choice repeatable.
    pub seed: Option<u32>,
    /// A text or a list of texts that end the completion.
    pub stop: Option<Stop>,
    /// At least 1.
    pub max_tokens: Option<u32>,
    /// Goes on past the end-of-turn token.
    #[serde(default)]
    pub ignore_eos: bool,
}

/// One stop text, or several.
#[derive(Debug, Clone, Deserialize, Serialize, ToSchema)]
#[serde(untagged, expecting = "expected a string or a list of strings")]
pub enum Stop {
    /// One.
    One(String),
    /// Several.
    Many(Vec<String>),
}

impl From<Stop> for Vec<String> {
    fn from(stop: Stop) -> Self {
        match stop {
            Stop::One(text) => vec![text],
            Stop::Many(texts) => texts,
        }
    }
}

impl From<Parameters> for Sampling {
    fn from(p: Parameters) -> Self {
        Self {
            temperature: p.temperature,
            top_p: p.top_p,
            top_k: p.top_k,
            min_p: p.min_p,
            repeat_penalty: p.repeat_penalty,
            presence_penalty: p.presence_penalty,
            frequency_penalty: p.frequency_penalty,
            seed: p.seed,
            stop: p.stop.map(Into::into).unwrap_or_default(),
            max_tokens: p.max_tokens,
            ignore_eos: p.ignore_eos,
            logit_bias: Vec::new(),
        }
    }
}

impl GenerateRequest {
    /// The request without its dialect.
    ///
    /// # Errors
    /// `invalid_request`, naming the field.
    pub fn into_generation(self) -> Result<Generation, ApiError> {
        if let Some(other) = self.modality.filter(|m| *m != Modality::Text) {
            let message = format!("no model here makes {}; ask for text", other.as_str());
            return Err(ApiError::invalid("modality", message));
        }
        let mut messages = Vec::new();
        if let Some(text) = self.system_prompt {
            messages.push(Message::new(Role::System, text));
        }
        match (self.input.prompt, self.input.messages) {
            (Some(prompt), None) if !prompt.is_empty() => messages.push(Message::new(Role::User, prompt)),
            (None, Some(turns)) if !turns.is_empty() => {
                for (index, turn) in turns.into_iter().enumerate() {
                    let text = turn.content.into_text(&format!("input.messages[{index}].content"))?;
                    messages.push(Message::new(turn.role, text));
                }
            }
            (Some(_), Some(_)) => {
                return Err(ApiError::invalid("input", "give input.prompt or input.messages, not both"));
            }
            (Some(_), None) => {
                return Err(ApiError::invalid("input.prompt", "input.prompt must not be empty"));
            }
            (None, Some(_)) => {
                return Err(ApiError::invalid("input.messages", "input.messages must not be empty"));
            }
            (None, None) => return Err(ApiError::invalid("input", "give input.prompt or input.messages")),
        }
        let sampling = Sampling::from(self.parameters);
        sampling.check().map_err(|e| {
            let error = ApiError::from(e);
            let param = format!("parameters.{}", error.param.clone().unwrap_or_default());
            error.at(param)
        })?;
        let task = TextTask::new(messages, sampling);
        let generation = Generation::new(self.model.map(ModelId::new), task);
        Ok(Generation { on_disconnect: self.on_disconnect, ..generation })
    }
}

/// What was generated, whole.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct GenerateResponse {
    /// The run's id.
    pub request_id: String,
    /// The model that served it.
    pub model: String,
    /// What was made.
    #[schema(value_type = String)]
    pub modality: Modality,
    /// Why this model served it.
    pub selection: Selection,
    /// What was made.
    pub output: Output,
    /// Tokens taken.
    pub usage: UsageBody,
    /// `stop`, `length` or `cancelled`.
    #[schema(value_type = Option<String>)]
    pub finish_reason: Option<FinishReason>,
    /// What a client should know though nothing failed.
    pub warnings: Vec<String>,
}

/// Why a model served a request.
#[derive(Debug, Clone, Default, Serialize, Deserialize, ToSchema)]
pub struct Selection {
    /// The model's id.
    pub selected_model: String,
    /// Who serves it.
    pub selected_provider: String,
    /// Why it was chosen.
    pub reason: String,
    /// Whether an earlier choice failed.
    pub fallback_used: bool,
    /// Why it failed.
    pub fallback_reason: Option<String>,
}

/// What was made.
#[derive(Debug, Clone, Default, Serialize, Deserialize, ToSchema)]
pub struct Output {
    /// The text.
    pub text: String,
}

/// Tokens taken.
#[derive(Debug, Clone, Copy, Default, Serialize, Deserialize, ToSchema)]
pub struct UsageBody {
    /// Tokens of the rendered prompt.
    pub prompt_tokens: u32,
    /// Tokens generated.
    pub completion_tokens: u32,
    /// Both together.
    pub total_tokens: u32,
    /// Prompt tokens that needed no prefill.
    pub cached_tokens: u32,
}

impl From<Usage> for UsageBody {
    fn from(usage: Usage) -> Self {
        Self {
            prompt_tokens: usage.prompt_tokens,
            completion_tokens: usage.completion_tokens,
            total_tokens: usage.total_tokens(),
            cached_tokens: usage.cached_tokens,
        }
    }
}
