//! The request of `POST /v1/messages`.

use hearth_domain::{
    ClientDialect, Extra, Field, Generation, Message, ModelId, ResponseFormat, RunId, Sampling, TextTask,
    ToolChoice, message::name_results,
};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};
use utoipa::ToSchema;

use super::{
    MessagesContent, MessagesFormat, MessagesOutputConfig, MessagesRenderer, MessagesThinking, MessagesTool,
    MessagesToolChoice, MessagesTurn,
    thinking::ThinkingDisplay,
    tools::{apply_choice, offered_tools},
};
use crate::{
    ApiError,
    offered_tools::tool_param,
    run_options::{RunOptions, SamplingOptions},
    seed::engine_seed,
    template_kwargs::{TEMPLATE_KWARGS, template_kwargs},
    unknown_fields::unknown_fields,
};

/// The field of a conversation that the server stores.
const THREAD: &str = "thread";

/// A message request as Anthropic's SDKs send it. Unknown fields are passed on to a provider of this dialect.
#[derive(Debug, Clone, Deserialize, Serialize, ToSchema)]
pub struct MessagesRequest {
    /// A model's id, or `auto`.
    #[schema(example = "tiny-chat")]
    pub model: String,
    /// The conversation, oldest first. With `template_id` it may be left out.
    #[serde(default)]
    #[schema(required = true)]
    pub messages: Vec<MessagesTurn>,
    /// Largest number of tokens to generate, at least 1.
    #[schema(example = 1024)]
    pub max_tokens: u32,
    /// Instructions: a text, or a list of text blocks.
    pub system: Option<MessagesContent>,
    /// If true, the answer is streamed as server-sent events.
    #[serde(default)]
    pub stream: Option<bool>,
    /// Texts that end the answer.
    pub stop_sequences: Option<Vec<String>>,
    /// Sampling temperature, 0 to 1.
    pub temperature: Option<f32>,
    /// Nucleus sampling: probability mass to choose from, 0 to 1.
    pub top_p: Option<f32>,
    /// Tools that the model may call; at most 2048, and fewer at some providers.
    pub tools: Option<Vec<MessagesTool>>,
    /// Controls whether the model calls a tool. Absent: the model decides.
    pub tool_choice: Option<MessagesToolChoice>,
    /// Reasoning options.
    pub thinking: Option<MessagesThinking>,
    /// Options of the answer.
    pub output_config: Option<MessagesOutputConfig>,
    /// Older name of `output_config.format`.
    pub output_format: Option<MessagesFormat>,
    /// Extension. Seed for repeatable sampling.
    pub seed: Option<i64>,
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

impl MessagesRequest {
    /// Returns whether to stream.
    #[must_use]
    pub fn streams(&self) -> bool {
        self.stream.unwrap_or(false)
    }

    /// Creates the renderer of the run `id`.
    #[must_use]
    pub fn renderer(&self, id: RunId) -> MessagesRenderer {
        MessagesRenderer::new(id, ThinkingDisplay::of(self.thinking.as_ref()))
    }

    /// Converts the request.
    ///
    /// # Errors
    /// `invalid_request`, naming the field.
    pub fn into_generation(mut self) -> Result<Generation, ApiError> {
        self.refuse_thread()?;
        let extra = self.vendor_fields();
        let sampling = Sampling {
            temperature: self.temperature,
            top_p: self.top_p,
            top_k: self.sampling_options.top_k,
            min_p: self.sampling_options.min_p,
            repeat_penalty: self.sampling_options.repeat_penalty,
            ignore_eos: self.sampling_options.ignore_eos.unwrap_or(false),
            stop: self.stop_sequences.unwrap_or_default(),
            seed: self.seed.map(engine_seed),
            max_tokens: Some(self.max_tokens),
            ..Sampling::default()
        };
        let (format, effort) = match self.output_config {
            Some(config) => (config.format, config.effort),
            None => (None, None),
        };
        let thinking = self.thinking.map(|thinking| thinking.effort(self.max_tokens, effort.as_deref()));
        let (messages, call_params): (Vec<Message>, Vec<String>) =
            conversation(self.system, self.messages, self.run_options.has_template())?.into_iter().unzip();
        let mut offered = offered_tools(self.tools)?;
        let raw_choice = json!(self.tool_choice);
        let choice = self.tool_choice.map(MessagesToolChoice::into_domain).transpose()?;
        let (tool_choice, parallel_tool_calls) = choice.unwrap_or((ToolChoice::Auto, true));
        let tool_choice = apply_choice(&mut offered, tool_choice, raw_choice);
        let task = TextTask {
            response_format: response_format(format, self.output_format)?,
            tools: offered.functions,
            tool_extra: offered.extra,
            tool_choice,
            parallel_tool_calls,
            reasoning: thinking.transpose()?.flatten(),
            template_kwargs: template_kwargs(&extra)?,
            ..TextTask::new(messages, sampling)
        };
        self.run_options.check_text(&task).map_err(|error| {
            let param = param(error.field, &call_params, &offered.params);
            ApiError::unfit(param, &error)
        })?;
        self.run_options.apply(Generation {
            extra: Extra { hosted: offered.hosted, ..unknown_fields(ClientDialect::Anthropic, extra)? },
            ..Generation::new(Some(ModelId::new(self.model)), task)
        })
    }

    /// Refuses `thread`, with which a client sends only the newest messages of a conversation that the server stores.
    /// The tool runners of Anthropic's SDKs send it by default; after an error with these details they send the whole
    /// conversation instead.
    fn refuse_thread(&mut self) -> Result<(), ApiError> {
        match self.extra.remove(THREAD) {
            None | Some(Value::Null) => Ok(()),
            Some(_) => {
                let message = "the gateway doesn't store conversations of this dialect; leave thread out, and send all messages";
                let error = ApiError::invalid(THREAD, message);
                Err(error.with("error_code", "thread_unsupported_request").with("unsupported", vec![THREAD]))
            }
        }
    }

    /// The fields that are passed on to a provider of this dialect: the unknown ones, and those that the gateway supports
    /// only in part.
    fn vendor_fields(&self) -> Map<String, Value> {
        let mut extra = self.extra.clone();
        extra.extend(self.thinking.as_ref().map(|thinking| ("thinking".to_owned(), json!(thinking))));
        if let Some(config) = &self.output_config {
            let config = json!(MessagesOutputConfig { format: None, ..config.clone() });
            extra.extend(
                Some(config).filter(|config| *config != json!({})).map(|c| ("output_config".into(), c)),
            );
        }
        extra
    }
}

/// Converts the conversation to messages, each with the field of its call's id, for errors. `may_be_empty`: the messages of a
/// template come before them.
///
/// # Errors
/// `invalid_request`, naming the block or the field.
pub(super) fn conversation(
    system: Option<MessagesContent>,
    turns: Vec<MessagesTurn>,
    may_be_empty: bool,
) -> Result<Vec<(Message, String)>, ApiError> {
    if turns.is_empty() && !may_be_empty {
        return Err(ApiError::invalid("messages", "messages must not be empty"));
    }
    let mut messages = Vec::with_capacity(turns.len() + 1);
    if let Some(system) = system.map(|system| system.into_system("system")).transpose()? {
        messages.extend(Some((system, "system".to_owned())).filter(|(system, _)| !system.content.is_empty()));
    }
    for (index, turn) in turns.into_iter().enumerate() {
        messages.extend(turn.into_domain(&format!("messages[{index}]"))?);
    }
    let (mut messages, call_params): (Vec<_>, Vec<_>) = messages.into_iter().unzip();
    name_results(&mut messages);
    Ok(messages.into_iter().zip(call_params).collect())
}

fn response_format(
    newer: Option<MessagesFormat>,
    older: Option<MessagesFormat>,
) -> Result<ResponseFormat, ApiError> {
    match (newer, older) {
        (Some(format), _) => format.into_domain("output_config.format"),
        (None, Some(format)) => format.into_domain("output_format"),
        (None, None) => Ok(ResponseFormat::Text),
    }
}

/// Returns this dialect's name of a field. `call_params` has the field of each message's call id, `tools` that of each
/// function.
pub(crate) fn param(field: Field, call_params: &[String], tools: &[String]) -> String {
    let name = match field {
        Field::Messages => "messages",
        Field::Sampling("stop") => "stop_sequences",
        Field::Sampling(name) => name,
        Field::ResponseFormat => "output_config.format",
        Field::ResponseSchema => "output_config.format.schema",
        Field::Tools => "tools",
        Field::ToolChoice => "tool_choice",
        Field::TemplateKwargs => TEMPLATE_KWARGS,
        Field::ToolCallId(index) => call_params.get(index).map_or("messages", String::as_str),
        Field::ToolName(index) => return format!("{}.name", tool_param(tools, index)),
        Field::ToolParameters(index) => return format!("{}.input_schema", tool_param(tools, index)),
        // Fields that this dialect lacks.
        Field::Choices
        | Field::TopLogprobs
        | Field::Inputs
        | Field::Input(_)
        | Field::Dimensions
        | Field::Media(_) => "messages",
    };
    name.to_owned()
}
