//! What is asked.

use hearth_domain::{
    ClientDialect, Extra, Field, Generation, ModelId, OnDisconnect, Priority, ReasoningEffort, Route, RunId,
    Sampling, SelectionMode, TextTask, ToolChoice, WhileLoading, message::name_results,
};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use utoipa::ToSchema;

use super::{ChatMessage, Renderer};
use crate::{
    ApiError,
    native::{fallback::Fallback, generate::Stop},
    openai::{
        format::ResponseFormatBody,
        logprobs::{LogitBias, biases, top_logprobs},
        tools::{ALLOWED, Offered, ToolBody, ToolChoiceBody, keep_allowed},
    },
    passed_on::unknown_fields,
};

/// A chat request as OpenAI's SDKs send it. Unknown fields are passed on to a provider of this dialect.
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
    /// How many completions, 1 to 32.
    pub n: Option<u32>,
    /// The form of the answer.
    pub response_format: Option<ResponseFormatBody>,
    /// Tools that the model may call; at most 2048, and fewer where the provider takes fewer.
    pub tools: Option<Vec<ToolBody>>,
    /// Whether it calls one. Absent: as it sees fit.
    pub tool_choice: Option<ToolChoiceBody>,
    /// Whether it may call several at once; it may, unless this is false.
    pub parallel_tool_calls: Option<bool>,
    /// Added to the logits of tokens, by the tokens' ids; each -100 to 100.
    #[schema(value_type = Option<Object>)]
    pub logit_bias: Option<LogitBias>,
    /// Whether to give log-probabilities.
    pub logprobs: Option<bool>,
    /// With `logprobs`: tell this many of the likeliest tokens for each place, 0 to 20.
    pub top_logprobs: Option<u32>,
    /// How much to think: `none`, `minimal`, `low`, `medium` or `high`.
    pub reasoning_effort: Option<String>,
    /// Refused: the older form of `tools`.
    #[schema(value_type = Option<Vec<Object>>)]
    pub functions: Option<Value>,
    /// Refused: the older form of `tool_choice`.
    #[schema(value_type = Option<Object>)]
    pub function_call: Option<Value>,
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
    /// An extension: while the model is being loaded, `wait`, or let the `default` model answer.
    #[schema(value_type = Option<String>)]
    pub while_loading: Option<WhileLoading>,
    /// An extension: `low`, `normal` or `high` among the requests that wait.
    #[schema(value_type = Option<String>)]
    pub priority: Option<Priority>,
    /// An extension: what to try when the first choice can't serve it: `false`, or `{"models": [...]}`.
    #[schema(value_type = Option<Object>)]
    pub fallback: Option<Fallback>,
    /// Whether another model may go on with an answer that breaks off.
    pub resume: Option<bool>,
    /// An extension: `auto`, `free_only`, `commercial_only`, or only the `model` that is named.
    #[schema(value_type = Option<String>)]
    pub selection_mode: Option<SelectionMode>,
    /// What a provider of this dialect may know.
    #[serde(flatten)]
    #[schema(ignore)]
    pub extra: Map<String, Value>,
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

    /// What shows the events of the run `id` as this request wants them.
    #[must_use]
    pub fn renderer(&self, id: RunId) -> Renderer {
        let include_usage = self.stream_options.and_then(|o| o.include_usage).unwrap_or(false);
        let offers_tools = self.tools.as_ref().is_some_and(|tools| !tools.is_empty());
        Renderer::new(id, self.n.unwrap_or(1), include_usage, offers_tools)
    }

    /// The request without its dialect.
    ///
    /// # Errors
    /// `invalid_request`, naming the field.
    pub fn into_generation(self) -> Result<Generation, ApiError> {
        self.refuse_the_older_form()?;
        let sampling = self.sampling()?;
        let newer_limit = self.max_completion_tokens.is_some();
        let mut messages = Vec::with_capacity(self.messages.len());
        for (index, message) in self.messages.into_iter().enumerate() {
            messages.push(message.into_domain(&format!("messages[{index}]"))?);
        }
        name_results(&mut messages);
        let mut offered = Offered::of_chat(self.tools)?;
        let choice = self.tool_choice.map(ToolChoiceBody::into_domain).transpose()?;
        let (tool_choice, allowed) = choice.unwrap_or((ToolChoice::Auto, None));
        let tool_choice = offered.choose(tool_choice);
        let format = self.response_format.map(|format| format.into_domain("response_format")).transpose()?;
        let (response_format, schema_label) = format.unwrap_or_default();
        let mut task = TextTask {
            response_format,
            schema_label,
            tools: offered.functions,
            tool_extra: offered.extra,
            tool_choice,
            parallel_tool_calls: self.parallel_tool_calls.unwrap_or(true),
            choices: self.n.unwrap_or(1),
            top_logprobs: top_logprobs(self.logprobs, self.top_logprobs, "top_logprobs")?,
            reasoning: self.reasoning_effort.as_deref().map(effort).transpose()?,
            template_kwargs: template_kwargs(&self.extra)?,
            ..TextTask::new(messages, sampling)
        };
        task.check().map_err(|error| {
            let param = param(error.field, newer_limit);
            ApiError::unfit(param, &error)
        })?;
        if let Some(names) = allowed {
            keep_allowed(&mut task.tools, &names, ALLOWED)?;
        }
        Ok(Generation {
            on_disconnect: self.on_disconnect.unwrap_or_default(),
            while_loading: self.while_loading.unwrap_or_default(),
            priority: self.priority.unwrap_or_default(),
            route: Route {
                mode: self.selection_mode.unwrap_or_default(),
                fallbacks: self.fallback.map(Fallback::into_models).transpose()?,
                resume: self.resume.unwrap_or_default(),
                ..Route::default()
            },
            extra: Extra { hosted: offered.hosted, ..unknown_fields(ClientDialect::OpenAiChat, self.extra)? },
            ..Generation::new(Some(ModelId::new(self.model)), task)
        })
    }

    fn sampling(&self) -> Result<Sampling, ApiError> {
        Ok(Sampling {
            temperature: self.temperature,
            top_p: self.top_p,
            top_k: self.top_k,
            min_p: self.min_p,
            repeat_penalty: self.repeat_penalty,
            presence_penalty: self.presence_penalty,
            frequency_penalty: self.frequency_penalty,
            // The engine's seeds have 32 bits: the low half of OpenAI's is enough to repeat a choice.
            seed: self.seed.map(|seed| (seed & i64::from(u32::MAX)) as u32),
            stop: self.stop.clone().map(Into::into).unwrap_or_default(),
            max_tokens: self.max_completion_tokens.or(self.max_tokens),
            ignore_eos: self.ignore_eos.unwrap_or(false),
            logit_bias: biases(self.logit_bias.clone(), "logit_bias")?,
        })
    }

    /// Functions came before tools. To ignore them would change the answer's meaning.
    fn refuse_the_older_form(&self) -> Result<(), ApiError> {
        let older =
            [("functions", &self.functions, "tools"), ("function_call", &self.function_call, "tool_choice")];
        for (param, value, newer) in older {
            if value.is_some() {
                let message = format!("{param} is of an older dialect; use {newer} instead");
                return Err(ApiError::invalid(param, message));
            }
        }
        Ok(())
    }
}

/// The field of values for a local model's chat template, as vLLM and llama-server call it. It stays among the
/// further fields, so that a provider of this dialect is given it too.
pub(crate) const TEMPLATE_KWARGS: &str = "chat_template_kwargs";

/// The values for the chat template among a request's further fields.
///
/// # Errors
/// `invalid_request`, naming the field, for what is no object.
pub(crate) fn template_kwargs(extra: &Map<String, Value>) -> Result<Map<String, Value>, ApiError> {
    match extra.get(TEMPLATE_KWARGS) {
        None | Some(Value::Null) => Ok(Map::new()),
        Some(Value::Object(kwargs)) => Ok(kwargs.clone()),
        Some(_) => {
            let message =
                format!("{TEMPLATE_KWARGS} must be an object, such as {{\"enable_thinking\": false}}");
            Err(ApiError::invalid(TEMPLATE_KWARGS, message))
        }
    }
}

/// How much to think, in OpenAI's words.
pub(crate) fn effort(word: &str) -> Result<ReasoningEffort, ApiError> {
    match word {
        "none" => Ok(ReasoningEffort::None),
        "minimal" => Ok(ReasoningEffort::Minimal),
        "low" => Ok(ReasoningEffort::Low),
        "medium" => Ok(ReasoningEffort::Medium),
        // Words for more, of newer models and of Codex; high is the most here.
        "high" | "xhigh" | "max" | "ultra" => Ok(ReasoningEffort::High),
        _ => {
            let message = "reasoning_effort must be none, minimal, low, medium or high";
            Err(ApiError::invalid("reasoning_effort", message))
        }
    }
}

/// What this dialect calls a field.
pub(crate) fn param(field: Field, newer_limit: bool) -> String {
    let name = match field {
        Field::Messages => "messages",
        Field::Sampling("max_tokens") if newer_limit => "max_completion_tokens",
        Field::Sampling(name) => name,
        Field::ResponseFormat => "response_format",
        Field::ResponseSchema => "response_format.json_schema.schema",
        Field::Tools => "tools",
        Field::ToolChoice => "tool_choice",
        Field::Choices => "n",
        Field::TopLogprobs => "top_logprobs",
        Field::TemplateKwargs => TEMPLATE_KWARGS,
        Field::Inputs => "input",
        Field::Dimensions => "dimensions",
        Field::Media(name) => name,
        Field::ToolCallId(index) => return format!("messages[{index}].tool_call_id"),
        Field::ToolName(index) => return format!("tools[{index}].function.name"),
        Field::ToolParameters(index) => return format!("tools[{index}].function.parameters"),
        Field::Input(index) => return format!("input[{index}]"),
    };
    name.to_owned()
}
