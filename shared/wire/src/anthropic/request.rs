//! What is asked.

use hearth_domain::{
    ClientDialect, Extra, Field, Generation, Message, ModelId, OnDisconnect, Priority, ResponseFormat, RunId,
    Sampling, TextTask, ToolChoice, WhileLoading, message::name_results,
};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};
use utoipa::ToSchema;

use super::{
    MessagesContent, MessagesFormat, MessagesOutputConfig, MessagesThinking, MessagesTool,
    MessagesToolChoice, MessagesTurn, Renderer, thoughts::ThoughtsMode, tools::Offer,
};
use crate::{
    ApiError,
    openai::chat::{TEMPLATE_KWARGS, template_kwargs},
    passed_on::unknown_fields,
};

/// The field that names a conversation on the server.
const THREAD: &str = "thread";

/// A request as Anthropic's SDKs send it. Unknown fields are passed on to a provider of this dialect.
#[derive(Debug, Clone, Deserialize, Serialize, ToSchema)]
pub struct MessagesRequest {
    /// A model's id, or `auto`.
    #[schema(example = "tiny-chat")]
    pub model: String,
    /// The conversation, oldest first.
    pub messages: Vec<MessagesTurn>,
    /// At least 1.
    #[schema(example = 1024)]
    pub max_tokens: u32,
    /// Instructions: a text, or a list of text blocks.
    pub system: Option<MessagesContent>,
    /// Whether to answer with server-sent events.
    #[serde(default)]
    pub stream: Option<bool>,
    /// Texts that end the answer.
    pub stop_sequences: Option<Vec<String>>,
    /// 0 to 1.
    pub temperature: Option<f32>,
    /// 0 to 1.
    pub top_p: Option<f32>,
    /// 0 keeps all.
    pub top_k: Option<u32>,
    /// Tools that the model may call; at most 2048, and fewer where the provider takes fewer.
    pub tools: Option<Vec<MessagesTool>>,
    /// Whether it calls one. Absent: as it sees fit.
    pub tool_choice: Option<MessagesToolChoice>,
    /// Whether it thinks first, where it can.
    pub thinking: Option<MessagesThinking>,
    /// The form of the answer.
    pub output_config: Option<MessagesOutputConfig>,
    /// The older name of `output_config.format`.
    pub output_format: Option<MessagesFormat>,
    /// An extension: makes the choice repeatable.
    pub seed: Option<i64>,
    /// An extension: `cancel` or `continue`.
    #[schema(value_type = Option<String>)]
    pub on_disconnect: Option<OnDisconnect>,
    /// An extension: while the model is being loaded, `wait`, or let the `default` model answer.
    #[schema(value_type = Option<String>)]
    pub while_loading: Option<WhileLoading>,
    /// An extension: `low`, `normal` or `high` among the requests that wait.
    #[schema(value_type = Option<String>)]
    pub priority: Option<Priority>,
    /// What a provider of this dialect may know.
    #[serde(flatten)]
    #[schema(ignore)]
    pub extra: Map<String, Value>,
}

impl MessagesRequest {
    /// Whether to stream.
    #[must_use]
    pub fn streams(&self) -> bool {
        self.stream.unwrap_or(false)
    }

    /// What shows the events of the run `id` as this request wants them.
    #[must_use]
    pub fn renderer(&self, id: RunId) -> Renderer {
        Renderer::new(id, ThoughtsMode::of(self.thinking.as_ref()))
    }

    /// The request without its dialect.
    ///
    /// # Errors
    /// `invalid_request`, naming the field.
    pub fn into_generation(mut self) -> Result<Generation, ApiError> {
        self.refuse_thread()?;
        let extra = self.passed_on();
        let sampling = Sampling {
            temperature: self.temperature,
            top_p: self.top_p,
            top_k: self.top_k,
            stop: self.stop_sequences.unwrap_or_default(),
            // The engine's seeds have 32 bits, as in OpenAI's dialects.
            seed: self.seed.map(|seed| (seed & i64::from(u32::MAX)) as u32),
            max_tokens: Some(self.max_tokens),
            ..Sampling::default()
        };
        let (format, effort) = match self.output_config {
            Some(config) => (config.format, config.effort),
            None => (None, None),
        };
        let thinking = self.thinking.map(|thinking| thinking.effort(self.max_tokens, effort.as_deref()));
        let (messages, places): (Vec<Message>, Vec<String>) =
            conversation(self.system, self.messages)?.into_iter().unzip();
        let mut offer = Offer::of(self.tools)?;
        let said = json!(self.tool_choice);
        let choice = self.tool_choice.map(MessagesToolChoice::into_domain).transpose()?;
        let (tool_choice, parallel_tool_calls) = choice.unwrap_or((ToolChoice::Auto, true));
        let tool_choice = offer.choose(tool_choice, said);
        let task = TextTask {
            response_format: response_format(format, self.output_format)?,
            tools: offer.tools,
            tool_extra: offer.extra,
            tool_choice,
            parallel_tool_calls,
            reasoning: thinking.transpose()?.flatten(),
            template_kwargs: template_kwargs(&extra)?,
            ..TextTask::new(messages, sampling)
        };
        task.check().map_err(|error| {
            let param = param(error.field, &places, &offer.places);
            ApiError::unfit(param, &error)
        })?;
        Ok(Generation {
            on_disconnect: self.on_disconnect.unwrap_or_default(),
            while_loading: self.while_loading.unwrap_or_default(),
            priority: self.priority.unwrap_or_default(),
            extra: Extra { hosted: offer.hosted, ..unknown_fields(ClientDialect::Anthropic, extra)? },
            ..Generation::new(Some(ModelId::new(self.model)), task)
        })
    }

    /// Refuses `thread`, by which a client sends only the newest messages of a conversation that the server keeps.
    /// Anthropic's SDKs send it unasked from their tool runners; at an error with these details they send the whole
    /// conversation instead, from then on.
    fn refuse_thread(&mut self) -> Result<(), ApiError> {
        match self.extra.remove(THREAD) {
            None | Some(Value::Null) => Ok(()),
            Some(_) => {
                let message = "conversations of this dialect aren't stored here; leave thread out, and send all messages";
                let error = ApiError::invalid(THREAD, message);
                Err(error.with("error_code", "thread_unsupported_request").with("unsupported", vec![THREAD]))
            }
        }
    }

    /// What a provider of this dialect is given as it is: what the gateway doesn't know, and what it
    /// knows only in part.
    fn passed_on(&self) -> Map<String, Value> {
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

/// The conversation without its dialect. With each message comes where the id of the call that it answers
/// stood.
///
/// # Errors
/// `invalid_request`, naming the block or the field.
pub(super) fn conversation(
    system: Option<MessagesContent>,
    turns: Vec<MessagesTurn>,
) -> Result<Vec<(Message, String)>, ApiError> {
    if turns.is_empty() {
        return Err(ApiError::invalid("messages", "messages must not be empty"));
    }
    let mut messages = Vec::with_capacity(turns.len() + 1);
    if let Some(system) = system.map(|system| system.into_system("system")).transpose()? {
        messages.extend(Some((system, "system".to_owned())).filter(|(system, _)| !system.content.is_empty()));
    }
    for (index, turn) in turns.into_iter().enumerate() {
        messages.extend(turn.into_domain(&format!("messages[{index}]"))?);
    }
    let (mut named, places): (Vec<_>, Vec<_>) = messages.into_iter().unzip();
    name_results(&mut named);
    Ok(named.into_iter().zip(places).collect())
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

/// What this dialect calls a field. `places`: where each message's id of a call stood; `tools`: where each tool did.
pub(crate) fn param(field: Field, places: &[String], tools: &[usize]) -> String {
    let tool = |index: usize| tools.get(index).copied().unwrap_or(index);
    let name = match field {
        Field::Messages => "messages",
        Field::Sampling("stop") => "stop_sequences",
        Field::Sampling(name) => name,
        Field::ResponseFormat => "output_config.format",
        Field::ResponseSchema => "output_config.format.schema",
        Field::Tools => "tools",
        Field::ToolChoice => "tool_choice",
        Field::TemplateKwargs => TEMPLATE_KWARGS,
        Field::ToolCallId(index) => places.get(index).map_or("messages", String::as_str),
        Field::ToolName(index) => return format!("tools[{}].name", tool(index)),
        Field::ToolParameters(index) => return format!("tools[{}].input_schema", tool(index)),
        // This dialect can't say them.
        Field::Choices
        | Field::TopLogprobs
        | Field::Inputs
        | Field::Input(_)
        | Field::Dimensions
        | Field::Media(_) => "messages",
    };
    name.to_owned()
}
