//! The request of `POST /v1/chat/completions`.

use hearth_domain::{
    ClientDialect, Extra, Field, Generation, ModelId, RunId, Sampling, TextTask, ToolChoice,
    message::name_results,
};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use utoipa::ToSchema;

use super::{ChatMessage, ChatRenderer};
use crate::{
    ApiError,
    effort::effort,
    logprobs::{LogitBias, parse_logit_bias, top_logprobs},
    offered_tools::tool_param,
    response_format::ResponseFormatBody,
    run_options::{RunOptions, SamplingOptions},
    seed::engine_seed,
    stop::Stop,
    template_kwargs::{TEMPLATE_KWARGS, template_kwargs},
    tool_choice::{ALLOWED_TOOLS_PARAM, ToolChoiceBody, retain_allowed},
    tools::{ToolBody, apply_chat_choice, chat_tools},
    unknown_fields::unknown_fields,
};

/// A chat request as OpenAI's SDKs send it. Unknown fields are passed on to a provider of this dialect.
#[derive(Debug, Clone, Deserialize, Serialize, ToSchema)]
pub struct ChatRequest {
    /// A model's id, or `auto`.
    #[schema(example = "tiny-chat")]
    pub model: String,
    /// The conversation, oldest first. With `template_id` it may be left out.
    #[serde(default)]
    #[schema(required = true)]
    pub messages: Vec<ChatMessage>,
    /// If true, the answer is streamed as server-sent events.
    #[serde(default)]
    pub stream: Option<bool>,
    /// Options of the stream.
    pub stream_options: Option<StreamOptions>,
    /// Sampling temperature, 0 to 2.
    pub temperature: Option<f32>,
    /// Nucleus sampling: probability mass to choose from, 0 to 1.
    pub top_p: Option<f32>,
    /// Penalty for tokens that occur already, -2 to 2.
    pub presence_penalty: Option<f32>,
    /// Penalty for tokens by their frequency so far, -2 to 2.
    pub frequency_penalty: Option<f32>,
    /// Seed for repeatable sampling.
    pub seed: Option<i64>,
    /// A text or a list of texts that end the answer.
    pub stop: Option<Stop>,
    /// Older name of `max_completion_tokens`.
    pub max_tokens: Option<u32>,
    /// Largest number of tokens to generate, at least 1.
    pub max_completion_tokens: Option<u32>,
    /// Number of answers, 1 to 32.
    pub n: Option<u32>,
    /// Format of the answer.
    pub response_format: Option<ResponseFormatBody>,
    /// Tools that the model may call; at most 2048, and fewer at some providers.
    pub tools: Option<Vec<ToolBody>>,
    /// Controls whether the model calls a tool. Absent: the model decides.
    pub tool_choice: Option<ToolChoiceBody>,
    /// True (the default) if the model may call several tools at once.
    pub parallel_tool_calls: Option<bool>,
    /// Biases added to the logits of tokens, by token id; each -100 to 100.
    #[schema(value_type = Option<Object>)]
    pub logit_bias: Option<LogitBias>,
    /// If true, the answer has the log-probabilities of its tokens.
    pub logprobs: Option<bool>,
    /// With `logprobs`: number of most likely tokens to return for each position, 0 to 20.
    pub top_logprobs: Option<u32>,
    /// Reasoning effort: `none`, `minimal`, `low`, `medium` or `high`.
    pub reasoning_effort: Option<String>,
    /// Refused: the older form of `tools`.
    #[schema(value_type = Option<Vec<Object>>)]
    pub functions: Option<Value>,
    /// Refused: the older form of `tool_choice`.
    #[schema(value_type = Option<Object>)]
    pub function_call: Option<Value>,
    /// Sampling parameters of local models.
    #[serde(flatten)]
    pub sampling_options: SamplingOptions,
    /// Options of the gateway.
    #[serde(flatten)]
    pub run_options: RunOptions,
    /// Unknown fields, for a provider of this dialect.
    #[serde(flatten)]
    #[schema(ignore)]
    pub extra: Map<String, Value>,
}

/// Options of a stream.
#[derive(Debug, Clone, Copy, Default, Deserialize, Serialize, ToSchema)]
pub struct StreamOptions {
    /// If true, the stream ends with a chunk that has the usage.
    #[serde(default)]
    pub include_usage: Option<bool>,
}

impl ChatRequest {
    /// Returns whether to stream.
    #[must_use]
    pub fn streams(&self) -> bool {
        self.stream.unwrap_or(false)
    }

    /// Creates the renderer of the run `id`.
    #[must_use]
    pub fn renderer(&self, id: RunId) -> ChatRenderer {
        let include_usage = self.stream_options.and_then(|o| o.include_usage).unwrap_or(false);
        let offers_tools = self.tools.as_ref().is_some_and(|tools| !tools.is_empty());
        ChatRenderer::new(id, self.n.unwrap_or(1), include_usage, offers_tools)
    }

    /// Converts the request.
    ///
    /// # Errors
    /// `invalid_request`, naming the field.
    pub fn into_generation(self) -> Result<Generation, ApiError> {
        self.refuse_functions()?;
        let sampling = self.sampling()?;
        let newer_limit = self.max_completion_tokens.is_some();
        let mut messages = Vec::with_capacity(self.messages.len());
        for (index, message) in self.messages.into_iter().enumerate() {
            messages.push(message.into_domain(format_args!("messages[{index}]"))?);
        }
        name_results(&mut messages);
        let mut offered = chat_tools(self.tools)?;
        let choice = self.tool_choice.map(ToolChoiceBody::into_domain).transpose()?;
        let (tool_choice, allowed) = choice.unwrap_or((ToolChoice::Auto, None));
        let tool_choice = apply_chat_choice(&mut offered, tool_choice);
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
        self.run_options.check_text(&task).map_err(|error| {
            let param = param(error.field, newer_limit, &offered.params);
            ApiError::unfit(param, &error)
        })?;
        if let Some(names) = allowed {
            retain_allowed(&mut task.tools, &names, ALLOWED_TOOLS_PARAM)?;
        }
        self.run_options.apply(Generation {
            extra: Extra { hosted: offered.hosted, ..unknown_fields(ClientDialect::OpenAiChat, self.extra)? },
            ..Generation::new(Some(ModelId::new(self.model)), task)
        })
    }

    fn sampling(&self) -> Result<Sampling, ApiError> {
        Ok(Sampling {
            temperature: self.temperature,
            top_p: self.top_p,
            top_k: self.sampling_options.top_k,
            min_p: self.sampling_options.min_p,
            repeat_penalty: self.sampling_options.repeat_penalty,
            presence_penalty: self.presence_penalty,
            frequency_penalty: self.frequency_penalty,
            seed: self.seed.map(engine_seed),
            stop: self.stop.clone().map(Into::into).unwrap_or_default(),
            max_tokens: self.max_completion_tokens.or(self.max_tokens),
            ignore_eos: self.sampling_options.ignore_eos.unwrap_or(false),
            logit_bias: parse_logit_bias(self.logit_bias.clone(), "logit_bias")?,
        })
    }

    /// Refuses `functions`, the older form of `tools`: without them the answer would be another.
    fn refuse_functions(&self) -> Result<(), ApiError> {
        let older =
            [("functions", &self.functions, "tools"), ("function_call", &self.function_call, "tool_choice")];
        for (param, value, newer) in older {
            if value.is_some() {
                let message = format!("{param} is deprecated and not supported; use {newer} instead");
                return Err(ApiError::invalid(param, message));
            }
        }
        Ok(())
    }
}

/// Returns this API's name of a field. `newer_limit`: the request has `max_completion_tokens`; `tools`: the field of
/// each function.
pub(crate) fn param(field: Field, newer_limit: bool, tools: &[String]) -> String {
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
        Field::ToolName(index) => return format!("{}.function.name", tool_param(tools, index)),
        Field::ToolParameters(index) => return format!("{}.function.parameters", tool_param(tools, index)),
        Field::Input(index) => return format!("input[{index}]"),
    };
    name.to_owned()
}
