//! What is asked.

use hearth_domain::{
    ClientDialect, Extra, Field, Generation, Message, ModelId, OnDisconnect, Priority, Role, RunId, Sampling,
    TextTask, ToolChoice, WhileLoading, message::name_results,
};
use serde::{Deserialize, Serialize, de::DeserializeOwned};
use serde_json::{Map, Value, json};
use utoipa::ToSchema;

use super::{
    Asked, ReasoningBody, Renderer, ResponsesInput, ResponsesTool, ResponsesToolChoice, TextBody, TextFormat,
    offer::{ClientNames, Offer, additional},
};
use crate::{
    ApiError, ErrorCode,
    native::generate::Stop,
    openai::{
        chat::{TEMPLATE_KWARGS, effort, template_kwargs},
        tools::ToolMode,
    },
    passed_on::unknown_fields,
};

const PREVIOUS: &str = "previous_response_id";
/// What `include` says to be told tokens, and what to be given sealed thoughts.
const LOGPROBS: &str = "message.output_text.logprobs";
const SEALED: &str = "reasoning.encrypted_content";

/// A request for a response as OpenAI's SDKs send it. Unknown fields are passed on to a provider of this
/// dialect.
#[derive(Debug, Clone, Deserialize, Serialize, ToSchema)]
pub struct ResponsesRequest {
    /// A model's id, or `auto`.
    #[schema(example = "tiny-chat")]
    pub model: String,
    /// A text that the user says, or the items of a conversation.
    pub input: Option<ResponsesInput>,
    /// Instructions that hold for this response alone.
    pub instructions: Option<String>,
    /// An earlier response of the caller's, whose conversation goes on. It must have been stored.
    pub previous_response_id: Option<String>,
    /// Whether to keep the conversation, for 30 days, so that another request can go on from it; it is
    /// kept, unless this is false.
    pub store: Option<bool>,
    /// Whether to answer with server-sent events.
    pub stream: Option<bool>,
    /// Tools that the model may call; at most 128 functions, those in namespaces counted.
    pub tools: Option<Vec<ResponsesTool>>,
    /// Whether it calls one. Absent: as it sees fit.
    pub tool_choice: Option<ResponsesToolChoice>,
    /// Whether it may call several at once; it may, unless this is false.
    pub parallel_tool_calls: Option<bool>,
    /// The form of the answer.
    pub text: Option<TextBody>,
    /// How much to think.
    pub reasoning: Option<ReasoningBody>,
    /// 0 to 2.
    pub temperature: Option<f32>,
    /// 0 to 1.
    pub top_p: Option<f32>,
    /// At least 1.
    pub max_output_tokens: Option<u32>,
    /// Tell this many of the likeliest tokens for each place, 0 to 20.
    pub top_logprobs: Option<u32>,
    /// What else to tell: `message.output_text.logprobs`, `reasoning.encrypted_content`.
    pub include: Option<Vec<String>>,
    /// The client's own notes, given back with the response.
    #[schema(value_type = Option<Object>)]
    pub metadata: Option<Map<String, Value>>,
    /// `disabled` or `auto`. A provider of this dialect may shorten a conversation that is too long; the
    /// gateway doesn't.
    pub truncation: Option<String>,
    /// Refused if true: `prefer: respond-async` asks for the same.
    pub background: Option<bool>,
    /// An extension: a text or a list of texts that end the answer.
    pub stop: Option<Stop>,
    /// An extension: makes the choice repeatable.
    pub seed: Option<i64>,
    /// An extension: 0 keeps all.
    pub top_k: Option<u32>,
    /// An extension: 0 to 1.
    pub min_p: Option<f32>,
    /// An extension: above 0, at most 2.
    pub repeat_penalty: Option<f32>,
    /// An extension: -2 to 2.
    pub presence_penalty: Option<f32>,
    /// An extension: -2 to 2.
    pub frequency_penalty: Option<f32>,
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

/// What a request asks for, and the conversation that it is a turn of.
#[derive(Debug, Clone, PartialEq)]
pub struct Turn {
    /// What to make.
    pub generation: Generation,
    /// What was said so far, the instructions of this turn left out; the answer belongs behind it.
    pub said: Vec<Message>,
}

impl ResponsesRequest {
    /// Whether to stream.
    #[must_use]
    pub fn streams(&self) -> bool {
        self.stream.unwrap_or(false)
    }

    /// Whether to keep the conversation.
    #[must_use]
    pub fn keeps(&self) -> bool {
        self.store.unwrap_or(true)
    }

    /// The run that this one goes on from.
    ///
    /// # Errors
    /// `not_found` for what is no run's id.
    pub fn previous(&self) -> Result<Option<RunId>, ApiError> {
        let id = self.previous_response_id.as_deref().map(str::parse).transpose();
        id.map_err(|_| {
            let message = "there is no stored response with this id";
            ApiError::new(ErrorCode::NotFound, message).at(PREVIOUS)
        })
    }

    /// What shows the events of the run `id` as this request wants them.
    #[must_use]
    pub fn renderer(&self, id: RunId) -> Renderer {
        let items = match &self.input {
            Some(ResponsesInput::Items(items)) => items.as_slice(),
            _ => &[],
        };
        let added = items.iter().filter_map(additional).flatten();
        let names = ClientNames::of(self.tools.iter().flatten().chain(added));
        Renderer::new(id, self.asked(), self.includes(SEALED), names)
    }

    /// What was asked for, as the answer tells it again.
    #[must_use]
    pub fn asked(&self) -> Asked {
        let text = self.text.clone().unwrap_or_default();
        Asked {
            background: false,
            frequency_penalty: self.frequency_penalty.unwrap_or(0.0),
            instructions: self.instructions.clone(),
            max_output_tokens: self.max_output_tokens,
            max_tool_calls: self.passed_on("max_tool_calls"),
            metadata: self.metadata.clone().unwrap_or_default(),
            parallel_tool_calls: self.parallel_tool_calls.unwrap_or(true),
            presence_penalty: self.presence_penalty.unwrap_or(0.0),
            previous_response_id: self.previous_response_id.clone(),
            prompt_cache_key: self.passed_on("prompt_cache_key"),
            reasoning: self.reasoning.clone().unwrap_or_default(),
            safety_identifier: self.passed_on("safety_identifier"),
            service_tier: self.passed_on("service_tier").unwrap_or_else(|| "default".to_owned()),
            store: self.keeps(),
            temperature: self.temperature,
            text: TextBody { format: Some(text.format.unwrap_or_default()), ..text },
            tool_choice: self.tool_choice.clone().unwrap_or(ResponsesToolChoice::Mode(ToolMode::Auto)),
            tools: self.tools.clone().unwrap_or_default(),
            top_logprobs: self.top_logprobs.unwrap_or(0),
            top_p: self.top_p,
            truncation: self.truncation.clone().unwrap_or_else(|| "disabled".to_owned()),
        }
    }

    /// A field that is passed on as it is, if it is what it should be.
    fn passed_on<T: DeserializeOwned>(&self, name: &str) -> Option<T> {
        self.extra.get(name).and_then(|value| T::deserialize(value).ok())
    }

    /// The request without its dialect, after the conversation `earlier`.
    ///
    /// # Errors
    /// `invalid_request`, naming the field.
    pub fn into_turn(mut self, earlier: Vec<Message>) -> Result<Turn, ApiError> {
        self.refuse_what_is_not_done()?;
        let (sampling, top_logprobs, extra) = (self.sampling(), self.top_logprobs(), self.extra());
        let instructions = self.instructions.take().map(|text| Message::new(Role::System, text));
        let before = earlier.len();
        let mut said = earlier;
        let mut items = Vec::new();
        let mut offer = Offer::default();
        if let Some(mut input) = self.input.take() {
            for (place, tools) in input.take_tools() {
                for (index, tool) in tools.into_iter().enumerate() {
                    offer.take(tool, &format!("{place}.tools[{index}]"))?;
                }
            }
            for (item, message) in input.into_messages()? {
                items.push(item);
                said.push(message);
            }
        }
        if said.is_empty() {
            return Err(ApiError::invalid("input", "input is empty; send a text, or a list of items"));
        }
        name_results(&mut said);
        for (index, tool) in self.tools.into_iter().flatten().enumerate() {
            offer.take(tool, &format!("tools[{index}]"))?;
        }
        let choice = self.tool_choice.map(|choice| choice.into_domain(&mut offer)).transpose()?;
        let tool_choice = choice.unwrap_or(ToolChoice::Auto);
        let format = self.text.and_then(|text| text.format).map(TextFormat::into_domain).transpose()?;
        let reasoning = self.reasoning.and_then(|reasoning| reasoning.effort);
        let (response_format, schema_label) = format.unwrap_or_default();
        let mut task = TextTask {
            response_format,
            schema_label,
            tools: offer.functions,
            tool_extra: offer.extra,
            tool_choice,
            parallel_tool_calls: self.parallel_tool_calls.unwrap_or(true),
            top_logprobs,
            reasoning: reasoning.as_deref().map(effort).transpose().map_err(|_| no_such_effort())?,
            template_kwargs: template_kwargs(&extra)?,
            ..TextTask::new(said.clone(), sampling)
        };
        task.check().map_err(|error| {
            let param = param(error.field, before, &items, &offer.places);
            ApiError::unfit(param, &error)
        })?;
        task.messages.splice(0..0, instructions);
        let generation = Generation {
            on_disconnect: self.on_disconnect.unwrap_or_default(),
            while_loading: self.while_loading.unwrap_or_default(),
            priority: self.priority.unwrap_or_default(),
            extra: Extra { hosted: offer.hosted, ..unknown_fields(ClientDialect::OpenAiResponses, extra)? },
            ..Generation::new(Some(ModelId::new(self.model)), task)
        };
        Ok(Turn { generation, said })
    }

    fn refuse_what_is_not_done(&self) -> Result<(), ApiError> {
        if self.background == Some(true) {
            let message = "background is not done here; send the header `prefer: respond-async` instead";
            return Err(ApiError::invalid("background", message));
        }
        if self.truncation.as_deref().is_some_and(|word| !matches!(word, "auto" | "disabled")) {
            return Err(ApiError::invalid("truncation", "truncation must be auto or disabled"));
        }
        // They mean a conversation or a prompt that is kept at OpenAI.
        for name in ["conversation", "prompt"] {
            if self.extra.get(name).is_some_and(|value| !value.is_null()) {
                let message = format!("{name} is not kept here; send input, or previous_response_id");
                return Err(ApiError::invalid(name, message));
            }
        }
        Ok(())
    }

    fn sampling(&self) -> Sampling {
        Sampling {
            temperature: self.temperature,
            top_p: self.top_p,
            top_k: self.top_k,
            min_p: self.min_p,
            repeat_penalty: self.repeat_penalty,
            presence_penalty: self.presence_penalty,
            frequency_penalty: self.frequency_penalty,
            // The engine's seeds have 32 bits, as in chat.
            seed: self.seed.map(|seed| (seed & i64::from(u32::MAX)) as u32),
            stop: self.stop.clone().map(Into::into).unwrap_or_default(),
            max_tokens: self.max_output_tokens,
            ..Sampling::default()
        }
    }

    /// How many likely tokens to tell: `include` asks for the tokens themselves.
    fn top_logprobs(&self) -> Option<u32> {
        let top = self.top_logprobs.unwrap_or(0);
        (top > 0 || self.includes(LOGPROBS)).then_some(top)
    }

    fn includes(&self, what: &str) -> bool {
        self.include.iter().flatten().any(|name| name == what)
    }

    /// What the gateway doesn't understand, in the places where a provider of this dialect looks for it.
    fn extra(&mut self) -> Map<String, Value> {
        let mut extra = std::mem::take(&mut self.extra);
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

fn no_such_effort() -> ApiError {
    let param = "reasoning.effort";
    ApiError::invalid(param, format!("{param} must be none, minimal, low, medium or high"))
}

/// What this dialect calls a field. `items` has the item of each message after the first `before`, which
/// are the earlier conversation's; `tools` has where each function stood.
pub(crate) fn param(field: Field, before: usize, items: &[usize], tools: &[String]) -> String {
    let tool = |index: usize| tools.get(index).cloned().unwrap_or_else(|| format!("tools[{index}]"));
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
        Field::ToolCallId(index) => match index.checked_sub(before).and_then(|place| items.get(place)) {
            Some(item) => return format!("input[{item}].call_id"),
            None => PREVIOUS,
        },
        Field::ToolName(index) => return format!("{}.name", tool(index)),
        Field::ToolParameters(index) => return format!("{}.parameters", tool(index)),
        Field::Input(index) => return format!("input[{index}]"),
    };
    name.to_owned()
}
