//! The request of `POST /v1/responses`.

use hearth_domain::{
    ClientDialect, ContextOverflow, Extra, Field, Generation, Message, ModelId, OnDisconnect, Role, RunId,
    Sampling, SessionId, TextTask, ToolChoice, message::name_results,
};
use serde::{Deserialize, Serialize, de::DeserializeOwned};
use serde_json::{Map, Value, json};
use utoipa::ToSchema;

use super::{
    CONVERSATION, ConversationParam, ConversationReference, InputItem, PREVIOUS_RESPONSE, ReasoningBody,
    RenderOptions, RequestEcho, ResponsesInput, ResponsesRenderer, ResponsesTool, ResponsesToolChoice,
    TextBody, TextFormat, conversations::conversation_not_found, offered_tools::add_tool,
    tool_names::ClientNames,
};
use crate::{
    ApiError, ErrorCode,
    effort::effort,
    offered_tools::{OfferedTools, tool_param},
    run_options::{RunOptions, SamplingOptions},
    seed::engine_seed,
    stop::Stop,
    template_kwargs::{TEMPLATE_KWARGS, template_kwargs},
    tool_choice::ToolMode,
    unknown_fields::unknown_fields,
};

/// Value of `include` for log-probabilities.
const INCLUDE_LOGPROBS: &str = "message.output_text.logprobs";
/// Value of `include` for encrypted reasoning.
pub(super) const INCLUDE_ENCRYPTED: &str = "reasoning.encrypted_content";

/// A request for a response as OpenAI's SDKs send it. Unknown fields are passed on to a provider of this
/// dialect.
#[derive(Debug, Clone, Deserialize, Serialize, ToSchema)]
pub struct ResponsesRequest {
    /// A model's id, or `auto`.
    #[schema(example = "tiny-chat")]
    pub model: String,
    /// A user's text, or the items of a conversation.
    pub input: Option<ResponsesInput>,
    /// Instructions for this response alone.
    pub instructions: Option<String>,
    /// A stored response of the same user, whose conversation this request continues.
    pub previous_response_id: Option<String>,
    /// A conversation of the same user, by its id or as `{"id": ...}`: the model gets its items before the input, and input and
    /// output are added to it. Not with `previous_response_id`.
    pub conversation: Option<ConversationParam>,
    /// True (the default) to store the conversation for 30 days, so that another request can continue it.
    pub store: Option<bool>,
    /// If true, the answer is streamed as server-sent events.
    pub stream: Option<bool>,
    /// Tools that the model may call; at most 128 functions, including those in namespaces.
    pub tools: Option<Vec<ResponsesTool>>,
    /// Controls whether the model calls a tool. Absent: the model decides.
    pub tool_choice: Option<ResponsesToolChoice>,
    /// True (the default) if the model may call several tools at once.
    pub parallel_tool_calls: Option<bool>,
    /// Format of the answer's text.
    pub text: Option<TextBody>,
    /// Reasoning options.
    pub reasoning: Option<ReasoningBody>,
    /// Sampling temperature, 0 to 2.
    pub temperature: Option<f32>,
    /// Nucleus sampling: probability mass to choose from, 0 to 1.
    pub top_p: Option<f32>,
    /// Largest number of tokens to generate, at least 1.
    pub max_output_tokens: Option<u32>,
    /// Number of most likely tokens to return for each position, 0 to 20.
    pub top_logprobs: Option<u32>,
    /// Further content of the response: `message.output_text.logprobs`, `reasoning.encrypted_content`. Other values are passed
    /// on to a provider of this dialect.
    pub include: Option<Vec<String>>,
    /// Data of the client's own, which the response repeats.
    #[schema(value_type = Option<Object>)]
    pub metadata: Option<Map<String, Value>>,
    /// `disabled` or `auto`. A provider of this dialect may truncate a conversation that is too long; the gateway never
    /// does.
    pub truncation: Option<String>,
    /// True to receive the response at once, `queued` or `in_progress`, and to read it later: the run goes on without its
    /// client. With `stream`, the events are streamed, and `GET /v1/responses/{id}?stream=true&starting_after=N` resumes them.
    /// It needs `store`.
    pub background: Option<bool>,
    /// Extension. A text or a list of texts that end the answer.
    pub stop: Option<Stop>,
    /// Extension. Seed for repeatable sampling.
    pub seed: Option<i64>,
    /// Extension. Penalty for tokens that occur already, -2 to 2.
    pub presence_penalty: Option<f32>,
    /// Extension. Penalty for tokens by their frequency so far, -2 to 2.
    pub frequency_penalty: Option<f32>,
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

/// One turn of a conversation.
#[derive(Debug, Clone, PartialEq)]
pub struct ResponsesTurn {
    /// The converted request.
    pub generation: Generation,
    /// The conversation up to the answer, without the instructions of this request.
    pub messages: Vec<Message>,
    /// Number of the first messages, which are those of earlier responses.
    pub earlier_count: usize,
}

impl ResponsesRequest {
    /// Returns whether to stream.
    #[must_use]
    pub fn streams(&self) -> bool {
        self.stream.unwrap_or(false)
    }

    /// Returns whether to store the conversation.
    #[must_use]
    pub fn stores(&self) -> bool {
        self.store.unwrap_or(true)
    }

    /// Returns whether the run goes on without its client.
    #[must_use]
    pub fn is_background(&self) -> bool {
        self.background.unwrap_or(false)
    }

    /// The run whose conversation this request continues.
    ///
    /// # Errors
    /// `not_found` for an id that is not a run's.
    pub fn previous(&self) -> Result<Option<RunId>, ApiError> {
        let id = self.previous_response_id.as_deref().map(str::parse).transpose();
        id.map_err(|_| {
            let message = "there is no stored response with this id";
            ApiError::new(ErrorCode::NotFound, message).at(PREVIOUS_RESPONSE)
        })
    }

    /// The conversation that this request continues.
    ///
    /// # Errors
    /// `not_found` for an id that is no conversation's; `invalid_request` with `previous_response_id`.
    pub fn conversation(&self) -> Result<Option<SessionId>, ApiError> {
        let Some(conversation) = &self.conversation else { return Ok(None) };
        if self.previous_response_id.is_some() {
            let message = "send conversation or previous_response_id, not both";
            return Err(ApiError::invalid(CONVERSATION, message));
        }
        conversation.id().parse().map(Some).map_err(|_| conversation_not_found().at(CONVERSATION))
    }

    /// The policy for a conversation that no longer fits in the model's context, if the request has one.
    #[must_use]
    pub fn context_overflow(&self) -> Option<ContextOverflow> {
        match self.truncation.as_deref() {
            Some("auto") => Some(ContextOverflow::TruncateOldest),
            Some("disabled") => Some(ContextOverflow::Error),
            _ => None,
        }
    }

    /// True if the input has the result of a call, which may be in the conversation.
    #[must_use]
    pub fn has_call_results(&self) -> bool {
        let is_result = |item: &InputItem| {
            matches!(item.kind.as_deref(), Some("function_call_output" | "custom_tool_call_output"))
        };
        matches!(&self.input, Some(ResponsesInput::Items(items)) if items.iter().any(is_result))
    }

    /// Creates the renderer of the run `id`.
    #[must_use]
    pub fn renderer(&self, id: RunId) -> ResponsesRenderer {
        ResponsesRenderer::new(id, self.echo(), self.render_options())
    }

    /// The options with which the run's events are rendered.
    #[must_use]
    pub fn render_options(&self) -> RenderOptions {
        let items = match &self.input {
            Some(ResponsesInput::Items(items)) => items.as_slice(),
            _ => &[],
        };
        let additional: Vec<_> = items.iter().flat_map(InputItem::additional_tools).collect();
        let client_names = ClientNames::of(self.tools.iter().flatten().chain(&additional));
        RenderOptions { include_encrypted: self.includes(INCLUDE_ENCRYPTED), client_names }
    }

    /// The parameters that the response repeats.
    #[must_use]
    pub fn echo(&self) -> RequestEcho {
        let text = self.text.clone().unwrap_or_default();
        RequestEcho {
            background: self.is_background(),
            conversation: self
                .conversation
                .as_ref()
                .map(|one| ConversationReference { id: one.id().to_owned() }),
            frequency_penalty: self.frequency_penalty.unwrap_or(0.0),
            instructions: self.instructions.clone(),
            max_output_tokens: self.max_output_tokens,
            max_tool_calls: self.unknown_field("max_tool_calls"),
            metadata: self.metadata.clone().unwrap_or_default(),
            parallel_tool_calls: self.parallel_tool_calls.unwrap_or(true),
            presence_penalty: self.presence_penalty.unwrap_or(0.0),
            previous_response_id: self.previous_response_id.clone(),
            prompt_cache_key: self.unknown_field("prompt_cache_key"),
            reasoning: self.reasoning.clone().unwrap_or_default(),
            safety_identifier: self.unknown_field("safety_identifier"),
            service_tier: self.unknown_field("service_tier").unwrap_or_else(|| "default".to_owned()),
            store: self.stores(),
            temperature: self.temperature,
            text: TextBody { format: Some(text.format.unwrap_or_default()), ..text },
            tool_choice: self.tool_choice.clone().unwrap_or(ResponsesToolChoice::Mode(ToolMode::Auto)),
            tools: self.tools.clone().unwrap_or_default(),
            top_logprobs: self.top_logprobs.unwrap_or(0),
            top_p: self.top_p,
            truncation: self.truncation.clone().unwrap_or_else(|| "disabled".to_owned()),
        }
    }

    /// Reads an unknown field; `None` if it is absent or has another type.
    fn unknown_field<T: DeserializeOwned>(&self, name: &str) -> Option<T> {
        self.extra.get(name).and_then(|value| T::deserialize(value).ok())
    }

    /// Converts the request, which continues the conversation `earlier`.
    ///
    /// # Errors
    /// `invalid_request`, naming the field.
    pub fn into_turn(mut self, earlier: Vec<Message>) -> Result<ResponsesTurn, ApiError> {
        self.refuse_unsupported()?;
        self.check_depth()?;
        let (sampling, top_logprobs, extra) = (self.sampling(), self.top_logprobs(), self.extra());
        let instructions = self.instructions.take().map(|text| Message::new(Role::System, text));
        let earlier_count = earlier.len();
        let mut messages = earlier;
        let mut item_indices = Vec::new();
        let mut offered = OfferedTools::default();
        if let Some(mut input) = self.input.take() {
            for (param, tools) in input.take_additional_tools()? {
                for (index, tool) in tools.into_iter().enumerate() {
                    add_tool(&mut offered, tool, &format!("{param}.tools[{index}]"))?;
                }
            }
            for (item_index, message) in input.into_messages()? {
                item_indices.push(item_index);
                messages.push(message);
            }
        }
        if messages.is_empty() && !self.run_options.has_template() {
            return Err(ApiError::invalid("input", "input is empty; send a text, or a list of items"));
        }
        name_results(&mut messages);
        for (index, tool) in self.tools.into_iter().flatten().enumerate() {
            add_tool(&mut offered, tool, &format!("tools[{index}]"))?;
        }
        let choice = self.tool_choice.map(|choice| choice.into_domain(&mut offered)).transpose()?;
        let tool_choice = choice.unwrap_or(ToolChoice::Auto);
        let format = self.text.and_then(|text| text.format).map(TextFormat::into_domain).transpose()?;
        let reasoning = self.reasoning.and_then(|reasoning| reasoning.effort);
        let (response_format, schema_label) = format.unwrap_or_default();
        let mut task = TextTask {
            response_format,
            schema_label,
            tools: offered.functions,
            tool_extra: offered.extra,
            tool_choice,
            parallel_tool_calls: self.parallel_tool_calls.unwrap_or(true),
            top_logprobs,
            reasoning: reasoning.as_deref().map(effort).transpose().map_err(|_| unknown_effort())?,
            template_kwargs: template_kwargs(&extra)?,
            ..TextTask::new(messages.clone(), sampling)
        };
        self.run_options.check_text(&task).map_err(|error| {
            let param = param(error.field, earlier_count, &item_indices, &offered.params);
            ApiError::unfit(param, &error)
        })?;
        task.messages.splice(0..0, instructions);
        let is_background = self.background.unwrap_or(false);
        let mut generation = self.run_options.apply(Generation {
            extra: Extra { hosted: offered.hosted, ..unknown_fields(ClientDialect::OpenAiResponses, extra)? },
            ..Generation::new(Some(ModelId::new(self.model)), task)
        })?;
        if is_background && !generation.on_disconnect.outlives_client() {
            generation.on_disconnect = OnDisconnect::Continue;
        }
        Ok(ResponsesTurn { generation, messages, earlier_count })
    }

    fn refuse_unsupported(&self) -> Result<(), ApiError> {
        if self.is_background() && !self.stores() {
            let message =
                "background needs store: the response is read later; leave store out, or set it to true";
            return Err(ApiError::invalid("background", message));
        }
        if self.truncation.as_deref().is_some_and(|word| !matches!(word, "auto" | "disabled")) {
            return Err(ApiError::invalid("truncation", "truncation must be auto or disabled"));
        }
        // It names a prompt that OpenAI stores.
        if self.extra.get("prompt").is_some_and(|value| !value.is_null()) {
            let message = "prompt is not stored by the gateway; send input, or previous_response_id";
            return Err(ApiError::invalid("prompt", message));
        }
        Ok(())
    }

    fn sampling(&self) -> Sampling {
        Sampling {
            temperature: self.temperature,
            top_p: self.top_p,
            top_k: self.sampling_options.top_k,
            min_p: self.sampling_options.min_p,
            repeat_penalty: self.sampling_options.repeat_penalty,
            presence_penalty: self.presence_penalty,
            frequency_penalty: self.frequency_penalty,
            seed: self.seed.map(engine_seed),
            stop: self.stop.clone().map(Into::into).unwrap_or_default(),
            max_tokens: self.max_output_tokens,
            ignore_eos: self.sampling_options.ignore_eos.unwrap_or(false),
            ..Sampling::default()
        }
    }

    /// Number of most likely tokens to return; `None` for no log-probabilities.
    fn top_logprobs(&self) -> Option<u32> {
        let top = self.top_logprobs.unwrap_or(0);
        (top > 0 || self.includes(INCLUDE_LOGPROBS)).then_some(top)
    }

    fn includes(&self, value: &str) -> bool {
        self.include.iter().flatten().any(|included| included == value)
    }

    /// Takes the fields that the gateway doesn't support, for a provider of this dialect.
    fn extra(&mut self) -> Map<String, Value> {
        let mut extra = std::mem::take(&mut self.extra);
        let own = |value: &&String| matches!(value.as_str(), INCLUDE_LOGPROBS | INCLUDE_ENCRYPTED);
        let include: Vec<&String> = self.include.iter().flatten().filter(|value| !own(value)).collect();
        if !include.is_empty() {
            extra.insert("include".to_owned(), json!(include));
        }
        if let Some(verbosity) = self.text.as_ref().and_then(|text| text.verbosity.as_ref()) {
            extra.insert("text".to_owned(), json!({"verbosity": verbosity}));
        }
        if let Some(summary) = self.reasoning.as_ref().and_then(|reasoning| reasoning.summary.as_ref()) {
            extra.insert("reasoning".to_owned(), json!({"summary": summary}));
        }
        if let Some(truncation) = &self.truncation {
            extra.insert("truncation".to_owned(), json!(truncation));
        }
        extra
    }
}

fn unknown_effort() -> ApiError {
    let param = "reasoning.effort";
    ApiError::invalid(param, format!("{param} must be none, minimal, low, medium or high"))
}

/// Returns this API's name of a field. The first `earlier_count` messages are the earlier conversation's; `item_indices`
/// has the index of the input item of each later message, `tools` the field of each function.
pub(crate) fn param(field: Field, earlier_count: usize, item_indices: &[usize], tools: &[String]) -> String {
    let name = match field {
        Field::Messages | Field::Inputs => "input",
        Field::Sampling("max_tokens") => "max_output_tokens",
        Field::Sampling(name) => name,
        Field::ResponseFormat => "text.format",
        Field::ResponseSchema => "text.format.schema",
        Field::Tools => "tools",
        Field::ToolChoice => "tool_choice",
        Field::Choices => "n",
        Field::TopLogprobs => "top_logprobs",
        Field::TemplateKwargs => TEMPLATE_KWARGS,
        Field::Dimensions => "dimensions",
        Field::Media(name) => name,
        Field::ToolCallId(message) => {
            let item = message.checked_sub(earlier_count).and_then(|number| item_indices.get(number));
            match item {
                Some(item) => return format!("input[{item}].call_id"),
                None => PREVIOUS_RESPONSE,
            }
        }
        Field::ToolName(index) => return format!("{}.name", tool_param(tools, index)),
        Field::ToolParameters(index) => return format!("{}.parameters", tool_param(tools, index)),
        Field::Input(index) => return format!("input[{index}]"),
    };
    name.to_owned()
}
