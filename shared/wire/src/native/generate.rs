//! `POST /v1/generate`: what is asked and what is answered.

use hearth_domain::{
    CacheControl, ClientDialect, Cost, Extra, Field, FinishReason, Generation, Intent, Message, Modality,
    ModelId, OnDisconnect, Priority, Role, Route, Sampling, SelectionMode, Task, TextTask, ToolChoice, Usage,
    WhileLoading, message::name_results,
};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use utoipa::ToSchema;

use super::{fallback::Fallback, input::Input, media, output::Output, providers::CreditsBody};
use crate::{
    ApiError,
    openai::{
        chat::{TEMPLATE_KWARGS, effort},
        format::ResponseFormatBody,
        logprobs::{LogitBias, biases, top_logprobs},
        tools::{ALLOWED, ToolBody, ToolChoiceBody, keep_allowed},
    },
    structured::StructuredBody,
};

/// A request to generate. An unknown field is an error that names it.
#[derive(Debug, Clone, Default, Deserialize, Serialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct GenerateRequest {
    /// A model's id, or `auto`. Absent: the default model.
    #[schema(example = "tiny-chat")]
    pub model: Option<String>,
    /// The provider that must serve it; any, when absent.
    #[schema(example = "local")]
    pub provider: Option<String>,
    /// A model that its user likes best: it serves where `model` is absent or `auto`, if it can.
    pub preferred_model: Option<String>,
    /// What may serve it: `auto`, `free_only`, `commercial_only`, or only the `model` that is named.
    #[serde(default)]
    #[schema(value_type = Option<String>, example = "auto")]
    pub selection_mode: SelectionMode,
    /// What to try when the first choice can't serve it, in place of what the operator has set.
    #[schema(value_type = Option<Object>, example = json!({"models": ["tiny-chat"]}))]
    pub fallback: Option<Fallback>,
    /// Whether another model may go on with an answer that breaks off. The answer then says `resumed`.
    #[serde(default)]
    pub resume: bool,
    /// What to make: `text`, `image` or `3d`. Absent: what the model's name says; where none is named, what the
    /// prompt plainly asks for, such as "draw me a ..."; else text.
    #[schema(value_type = Option<String>, example = "text")]
    pub modality: Option<Modality>,
    /// What to make it from.
    pub input: Input,
    /// How to make it.
    #[serde(default)]
    pub parameters: Parameters,
    /// Instructions that go before the conversation.
    pub system_prompt: Option<String>,
    /// Tools that the model may call; at most 2048, and fewer where the provider takes fewer.
    pub tools: Option<Vec<ToolBody>>,
    /// Whether it calls one. Absent: as it sees fit.
    pub tool_choice: Option<ToolChoiceBody>,
    /// Whether it may call several at once; it may, unless this is false.
    pub parallel_tool_calls: Option<bool>,
    /// Whether to answer with server-sent events.
    #[serde(default)]
    pub stream: bool,
    /// Whether the run is stopped (`cancel`) or goes on (`continue`) when the client goes away.
    #[serde(default)]
    #[schema(value_type = Option<String>, example = "cancel")]
    pub on_disconnect: OnDisconnect,
    /// While the model is being loaded, `wait`, or let the `default` model answer.
    #[serde(default)]
    #[schema(value_type = Option<String>, example = "wait")]
    pub while_loading: WhileLoading,
    /// `low`, `normal` or `high` among the requests that wait.
    #[serde(default)]
    #[schema(value_type = Option<String>, example = "normal")]
    pub priority: Priority,
    /// What it wants of the cache: `use` it though the answer may vary, `no-cache` for a fresh answer, `no-store`,
    /// `only-if-cached`. Absent: as the header `x-hearth-cache` says.
    #[serde(default)]
    #[schema(value_type = Option<String>, example = "use")]
    pub cache: CacheControl,
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
    /// How many answers, 1 to 32.
    pub n: Option<u32>,
    /// The form of the answer.
    pub response_format: Option<ResponseFormatBody>,
    /// Added to the logits of tokens, by the tokens' ids; each -100 to 100.
    #[schema(value_type = Option<Object>)]
    pub logit_bias: Option<LogitBias>,
    /// Whether to give log-probabilities.
    pub logprobs: Option<bool>,
    /// With `logprobs`: tell this many of the likeliest tokens for each place, 0 to 20.
    pub top_logprobs: Option<u32>,
    /// How much to think before the answer, where the model can: `none`, `minimal`, `low`, `medium` or
    /// `high`.
    pub reasoning_effort: Option<String>,
    /// Values for the chat template of a local model, such as `{"enable_thinking": false}`; at most 16 KiB. A
    /// provider of OpenAI's dialect is given them too.
    #[schema(value_type = Option<Object>)]
    pub chat_template_kwargs: Option<Map<String, Value>>,
    /// Of images: width and height in pixels, such as `1024x1024`.
    pub size: Option<String>,
    /// Of images: the width in pixels, in place of `size` and with `height`.
    pub width: Option<u32>,
    /// Of images: the height in pixels.
    pub height: Option<u32>,
    /// Of images: how well, in the provider's words, such as `high`.
    pub quality: Option<String>,
    /// Of images: `png`, `jpeg` or `webp`. Of meshes: `glb`.
    pub format: Option<String>,
    /// Of images: `transparent`, `opaque` or `auto`.
    pub background: Option<String>,
    /// Of images: what they don't show.
    pub negative_prompt: Option<String>,
    /// Of images: how many steps a diffusion model takes, 1 to 500.
    pub steps: Option<u32>,
    /// Of images and meshes: how closely to keep to what is given, 0 to 100.
    pub guidance_scale: Option<f32>,
    /// Of images: how much of the one that is given to change, 0 to 1.
    pub strength: Option<f32>,
    /// Of meshes: the side of the texture in pixels, 512, 1024 or 2048.
    pub texture_size: Option<u32>,
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

impl GenerateRequest {
    /// The request without its dialect.
    ///
    /// # Errors
    /// `invalid_request`, naming the field.
    pub fn into_generation(mut self) -> Result<Generation, ApiError> {
        let intent = if media::is_open(&self) { Intent::Open } else { Intent::Settled };
        let task = match media::modality(&self) {
            Modality::Text => Task::Text(self.text()?),
            Modality::Image => Task::Image(media::image(&mut self)?),
            Modality::ThreeD => Task::Mesh(media::mesh(&mut self)?),
            Modality::Embedding => {
                return Err(ApiError::invalid("modality", "embeddings are made by POST /v1/embeddings"));
            }
        };
        Ok(Generation {
            extra: extra(&task),
            intent,
            on_disconnect: self.on_disconnect,
            while_loading: self.while_loading,
            priority: self.priority,
            cache: self.cache,
            route: Route {
                provider: self.provider,
                mode: self.selection_mode,
                fallbacks: self.fallback.map(Fallback::into_models).transpose()?,
                preferred: self.preferred_model,
                resume: self.resume,
            },
            ..Generation::new(self.model.map(ModelId::new), task)
        })
    }

    /// Takes what a text is to be made of.
    fn text(&mut self) -> Result<TextTask, ApiError> {
        media::refuse_for_text(&self.parameters)?;
        media::refuse_mesh(&self.input)?;
        let mut messages = Vec::new();
        messages.extend(self.system_prompt.take().map(|text| Message::new(Role::System, text)));
        let before = messages.len();
        std::mem::take(&mut self.input).append_to(&mut messages)?;
        name_results(&mut messages);
        let mut tools = Vec::new();
        for (index, tool) in self.tools.take().into_iter().flatten().enumerate() {
            tools.push(tool.into_domain(&format!("tools[{index}]"))?);
        }
        let choice = self.tool_choice.take().map(ToolChoiceBody::into_domain).transpose()?;
        let (tool_choice, allowed) = choice.unwrap_or((ToolChoice::Auto, None));
        let mut task = std::mem::take(&mut self.parameters).into_task(messages)?;
        task.tools = tools;
        task.tool_choice = tool_choice;
        task.parallel_tool_calls = self.parallel_tool_calls.unwrap_or(true);
        task.check().map_err(|error| ApiError::unfit(param(error.field, before), &error))?;
        if let Some(names) = allowed {
            keep_allowed(&mut task.tools, &names, ALLOWED)?;
        }
        Ok(task)
    }
}

/// What a provider of OpenAI's dialect is given beside the task.
fn extra(task: &Task) -> Extra {
    match task {
        Task::Text(task) if !task.template_kwargs.is_empty() => {
            let kwargs = (TEMPLATE_KWARGS.to_owned(), task.template_kwargs.clone().into());
            Extra::new(ClientDialect::OpenAiChat, Map::from_iter([kwargs]))
        }
        _ => Extra::default(),
    }
}

impl Parameters {
    /// A task without tools.
    fn into_task(self, messages: Vec<Message>) -> Result<TextTask, ApiError> {
        let sampling = Sampling {
            temperature: self.temperature,
            top_p: self.top_p,
            top_k: self.top_k,
            min_p: self.min_p,
            repeat_penalty: self.repeat_penalty,
            presence_penalty: self.presence_penalty,
            frequency_penalty: self.frequency_penalty,
            seed: self.seed,
            stop: self.stop.map(Into::into).unwrap_or_default(),
            max_tokens: self.max_tokens,
            ignore_eos: self.ignore_eos,
            logit_bias: biases(self.logit_bias, "parameters.logit_bias")?,
        };
        let format = self.response_format.map(|format| format.into_domain("parameters.response_format"));
        let (response_format, schema_label) = format.transpose()?.unwrap_or_default();
        Ok(TextTask {
            response_format,
            schema_label,
            choices: self.n.unwrap_or(1),
            top_logprobs: top_logprobs(self.logprobs, self.top_logprobs, "parameters.top_logprobs")?,
            reasoning: self.reasoning_effort.as_deref().map(effort).transpose()?,
            template_kwargs: self.chat_template_kwargs.unwrap_or_default(),
            ..TextTask::new(messages, sampling)
        })
    }
}

/// What this dialect calls a field. `before`: how many messages came before those of the input.
pub(crate) fn param(field: Field, before: usize) -> String {
    match field {
        Field::Messages => "input.messages".to_owned(),
        Field::Sampling(name) => format!("parameters.{name}"),
        Field::ResponseFormat => "parameters.response_format".to_owned(),
        Field::ResponseSchema => "parameters.response_format.json_schema.schema".to_owned(),
        Field::Tools => "tools".to_owned(),
        Field::ToolChoice => "tool_choice".to_owned(),
        Field::Choices => "parameters.n".to_owned(),
        Field::TopLogprobs => "parameters.top_logprobs".to_owned(),
        Field::TemplateKwargs => format!("parameters.{TEMPLATE_KWARGS}"),
        Field::ToolCallId(index) => {
            format!("input.messages[{}].tool_call_id", index.saturating_sub(before))
        }
        Field::ToolName(index) => format!("tools[{index}].function.name"),
        Field::ToolParameters(index) => format!("tools[{index}].function.parameters"),
        Field::Inputs | Field::Input(_) | Field::Dimensions | Field::Media(_) => "input".to_owned(),
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
    /// What it costs; null where that isn't known.
    #[serde(default)]
    pub cost: Option<CostBody>,
    /// How the credit stands of the provider that served it; or of the one in whose place it was served, if that
    /// has none left. Null where no provider was asked.
    #[serde(default)]
    pub credits_status: Option<CreditsBody>,
    /// `stop`, `length`, `tool_calls` or `cancelled`.
    #[schema(value_type = Option<String>)]
    pub finish_reason: Option<FinishReason>,
    /// How the answer's JSON Schema was enforced, where it had one; of several answers that of the first.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub structured: Option<StructuredBody>,
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
    /// Whether it isn't the first choice.
    pub fallback_used: bool,
    /// Why not: `loading` while the first choice is being loaded.
    pub fallback_reason: Option<String>,
    /// Whether it goes on with what another model had begun.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub resumed: bool,
}

/// What something costs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct CostBody {
    /// US dollars, as a decimal number.
    #[schema(value_type = String, example = "0.000123")]
    pub usd: Cost,
}

impl From<Cost> for CostBody {
    fn from(usd: Cost) -> Self {
        Self { usd }
    }
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
    /// Prompt tokens that needed no computing.
    pub cached_tokens: u32,
    /// Of the tokens generated, those that were thoughts.
    #[serde(default)]
    pub reasoning_tokens: u32,
}

impl From<Usage> for UsageBody {
    fn from(usage: Usage) -> Self {
        Self {
            prompt_tokens: usage.prompt_tokens,
            completion_tokens: usage.completion_tokens,
            total_tokens: usage.total_tokens(),
            cached_tokens: usage.cached_tokens,
            reasoning_tokens: usage.reasoning_tokens,
        }
    }
}

#[cfg(test)]
mod tests;
