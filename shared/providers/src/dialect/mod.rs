//! The languages that providers speak. A vendor's file says which one, and how it differs.
//!
//! A dialect turns a call into a request's body, and the frames of the streamed answer into run events.
//! Nothing here does I/O: the bytes come and go in [`crate::http`].

mod anthropic;
pub mod bedrock;
pub(crate) mod failure;
pub mod gemini;
pub(crate) mod hosted;
mod json;
pub mod openai_chat;
pub mod openai_responses;
mod tool_calls;

use std::borrow::Cow;

use hearth_domain::{ClientDialect, RawPrompt, TextTask, Tool};
use hearth_wire::{ApiError, ErrorCode, RunEventBody};
use http::header::{HeaderMap, HeaderName, HeaderValue};
use serde_json::{Map, Value};

pub(crate) use anthropic::claude_version;

use crate::{Call, Framing};

/// Where Anthropic's clients name the betas that they want.
const BETA: &str = "anthropic-beta";

/// The most of an unknown finish reason that is shown, in characters.
const FINISH_REASON_MAX_CHARS: usize = 60;

/// A language that providers speak.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Dialect {
    /// OpenAI's chat completions, and what many others have made of them.
    OpenAiChat(&'static openai_chat::Habits),
    /// OpenAI's responses.
    OpenAiResponses,
    /// Google's `generateContent`.
    Gemini,
    /// Amazon Bedrock's `ConverseStream`.
    Bedrock,
    /// Anthropic's messages.
    Anthropic,
}

/// How a provider is asked to send its answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AnswerMode {
    /// Piece by piece, as it is generated.
    Stream,
    /// In one JSON document, when all of it is there.
    Whole,
}

impl AnswerMode {
    /// Whether the answer is asked for as a stream.
    #[must_use]
    pub fn is_stream(self) -> bool {
        self == Self::Stream
    }
}

/// A frame of a provider's answer.
#[derive(Debug, Clone, Copy)]
pub struct Frame<'a> {
    /// The frame's event, where the dialect names them; else empty.
    pub event: &'a str,
    /// What it says, as a rule JSON.
    pub data: &'a str,
}

/// Reads the frames of one answer.
pub trait Decoder: Send {
    /// The events that a frame gives. After a terminal one no frame is asked about any more.
    ///
    /// # Errors
    /// The provider's own error, or `provider_error` for a frame that can't be understood.
    fn take(&mut self, frame: Frame<'_>) -> Result<Vec<RunEventBody>, ApiError>;

    /// The stream has ended: the last events, if the answer was whole.
    ///
    /// # Errors
    /// `provider_error` if it broke off.
    fn end(&mut self) -> Result<Vec<RunEventBody>, ApiError>;
}

impl Dialect {
    /// The path to send a text task to, below the base URL.
    ///
    /// # Errors
    /// `invalid_request`, naming `model`, for a name that can't be a part of the path.
    pub fn path(self, model: &str, mode: AnswerMode) -> Result<Cow<'static, str>, ApiError> {
        match self {
            Self::OpenAiChat(_) => Ok("/chat/completions".into()),
            Self::OpenAiResponses => Ok("/responses".into()),
            Self::Gemini => gemini::path(model, mode).map(Cow::Owned),
            Self::Bedrock => bedrock::path(model, mode).map(Cow::Owned),
            Self::Anthropic => Ok("/messages".into()),
        }
    }

    /// The media type of the answer, for the request's `accept`.
    #[must_use]
    pub fn media_type(self, mode: AnswerMode) -> &'static str {
        match mode {
            AnswerMode::Stream => self.framing().media_type(),
            AnswerMode::Whole => "application/json",
        }
    }

    /// The most tokens that an answer to `task` may have, if it has a limit; thoughts count towards it.
    pub(crate) fn answer_limit(self, call: &Call, task: &TextTask) -> Option<u32> {
        match self {
            Self::Anthropic => Some(anthropic::request::answer_limit(call, task)),
            Self::OpenAiChat(_) | Self::OpenAiResponses | Self::Gemini | Self::Bedrock => {
                task.sampling.max_tokens
            }
        }
    }

    /// The body of the request.
    ///
    /// # Errors
    /// `invalid_request` for what the dialect can't say.
    pub fn body(self, call: &Call, task: &TextTask, mode: AnswerMode) -> Result<Value, ApiError> {
        refuse_raw(task)?;
        let mut body = self.own_body(call, task, mode)?;
        let extra = &call.generation.extra;
        if self.is_spoken_by(extra.dialect) {
            hosted::add(&extra.hosted, task, &mut body);
        }
        Ok(body)
    }

    fn own_body(self, call: &Call, task: &TextTask, mode: AnswerMode) -> Result<Value, ApiError> {
        match self {
            Self::OpenAiChat(habits) => Ok(openai_chat::request::body(habits, call, task, mode)),
            Self::OpenAiResponses => Ok(openai_responses::request::body(call, task, mode)),
            Self::Gemini => gemini::request::body(call, task),
            Self::Bedrock => bedrock::request::body(call.model.as_str(), task),
            Self::Anthropic => anthropic::request::body(call, task, mode),
        }
    }

    /// What the head of the request says for the client: the betas that it asks for, if it speaks this dialect
    /// and this dialect has them (<https://platform.claude.com/docs/en/api/beta-headers>).
    #[must_use]
    pub fn headers(self, call: &Call) -> HeaderMap {
        let extra = &call.generation.extra;
        let passed_on = self == Self::Anthropic && extra.dialect == ClientDialect::Anthropic;
        let betas = HeaderValue::try_from(extra.betas.join(","));
        let betas = betas.ok().filter(|betas| passed_on && !betas.is_empty());
        betas.map(|betas| (HeaderName::from_static(BETA), betas)).into_iter().collect()
    }

    /// What reads the answer.
    #[must_use]
    pub fn decoder(self) -> Box<dyn Decoder> {
        match self {
            Self::OpenAiChat(_) => Box::new(openai_chat::stream::ChatDecoder::default()),
            Self::OpenAiResponses => Box::new(openai_responses::stream::ResponsesDecoder::default()),
            Self::Anthropic => Box::new(anthropic::stream::MessagesDecoder::default()),
            Self::Gemini => Box::new(gemini::stream::GeminiDecoder::default()),
            Self::Bedrock => Box::new(bedrock::stream::ConverseDecoder::default()),
        }
    }

    /// Whether the body of a request has a schema that the provider enforces, and is not only asked to keep to.
    pub(crate) fn enforces_schema(self, body: &Value) -> bool {
        let strict = |at: &str| body.pointer(at) == Some(&Value::Bool(true));
        match self {
            Self::OpenAiChat(_) => strict("/response_format/json_schema/strict"),
            Self::OpenAiResponses => strict("/text/format/strict"),
            Self::Anthropic => body.pointer("/output_config/format").is_some(),
            Self::Gemini => body.pointer("/generationConfig/responseJsonSchema").is_some(),
            Self::Bedrock => body.pointer("/outputConfig/textFormat").is_some(),
        }
    }

    /// How the answer is cut into frames.
    #[must_use]
    pub fn framing(self) -> Framing {
        match self {
            Self::OpenAiChat(_) | Self::OpenAiResponses | Self::Anthropic | Self::Gemini => {
                Framing::ServerSentEvents
            }
            Self::Bedrock => Framing::AwsEventStream,
        }
    }

    /// Whether a client's dialect is this one. What the client says beyond what the gateway knows then goes to the
    /// provider as it is.
    pub(crate) fn is_spoken_by(self, client: ClientDialect) -> bool {
        match self {
            Self::OpenAiChat(_) => client == ClientDialect::OpenAiChat,
            Self::OpenAiResponses => client == ClientDialect::OpenAiResponses,
            Self::Anthropic => client == ClientDialect::Anthropic,
            Self::Gemini => client == ClientDialect::Gemini,
            // No client speaks it.
            Self::Bedrock => false,
        }
    }

    /// What the client said beyond what the gateway knows, if it was said in this dialect.
    fn extra(self, call: &Call) -> Map<String, Value> {
        let extra = &call.generation.extra;
        if self.is_spoken_by(extra.dialect) { extra.fields.clone() } else { Map::new() }
    }

    /// Which further fields of a conversation's pieces go to the provider. Anthropic and OpenRouter have the same marks
    /// for a prompt cache (<https://openrouter.ai/docs/features/prompt-caching>).
    fn passing(self, client: ClientDialect) -> Passing {
        match (self, client) {
            _ if self.is_spoken_by(client) => Passing::All,
            (Self::Anthropic, ClientDialect::OpenAiChat) => Passing::CacheMarks,
            (Self::OpenAiChat(habits), ClientDialect::Anthropic) if habits.cache_marks => Passing::CacheMarks,
            _ => Passing::Nothing,
        }
    }
}

/// Which further fields of a conversation's pieces go to a provider.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Passing {
    /// All: it speaks the client's dialect.
    All,
    /// Those that ask it to keep what it has computed up to here.
    CacheMarks,
    Nothing,
}

/// What asks for a prompt cache, in Anthropic's dialect and OpenRouter's.
const CACHE_CONTROL: &str = "cache_control";

impl Passing {
    /// Whether some of these fields go to the provider.
    fn has_some(self, fields: Option<&Map<String, Value>>) -> bool {
        fields.is_some_and(|fields| match self {
            Self::All => !fields.is_empty(),
            Self::CacheMarks => fields.contains_key(CACHE_CONTROL),
            Self::Nothing => false,
        })
    }

    /// Adds those of the fields that go to the provider. What the gateway says itself stays.
    fn add(self, fields: Option<&Map<String, Value>>, to: &mut Value) {
        let (Some(fields), Some(to)) = (fields, to.as_object_mut()) else { return };
        for (name, value) in fields {
            if self == Self::All || self == Self::CacheMarks && name == CACHE_CONTROL {
                to.entry(name.clone()).or_insert_with(|| value.clone());
            }
        }
    }
}

/// A task's tools, as `say` writes them, each with its further fields.
fn offered(task: &TextTask, passing: Passing, say: fn(&Tool) -> Value) -> Vec<Value> {
    let functions = task.tools.iter().map(|tool| {
        let mut said = say(tool);
        passing.add(task.tool_extra.get(&tool.name), &mut said);
        said
    });
    functions.collect()
}

/// Refuses a prompt that is no conversation: the APIs here take conversations alone.
fn refuse_raw(task: &TextTask) -> Result<(), ApiError> {
    let (param, message) = match &task.raw {
        None => return Ok(()),
        Some(RawPrompt::Tokens(_)) => {
            ("prompt", "this provider takes no tokens as a prompt; send a text, or name a local model")
        }
        Some(RawPrompt::Text(_)) => {
            ("raw", "this provider has a chat template of its own; leave raw out, or name a local model")
        }
        Some(RawPrompt::Infill { .. }) => {
            ("suffix", "this provider fills no gaps; leave suffix out, or name a local model that can")
        }
    };
    Err(ApiError::invalid(param, message))
}

/// A number as people write it: 0.7, not 0.699999988079071.
fn round(value: f32) -> f64 {
    (f64::from(value) * 1e6).round() / 1e6
}

/// An answer that isn't what the dialect says.
pub(crate) fn unreadable(what: impl std::fmt::Display) -> ApiError {
    ApiError::new(ErrorCode::ProviderError, format!("the provider's answer can't be understood: {what}"))
}

/// A finish reason that no table has: such an answer may be cut off, so it is no success.
fn unknown_finish_reason(reason: &str) -> ApiError {
    let shown: String = reason.chars().take(FINISH_REASON_MAX_CHARS).collect();
    let message =
        format!("the provider ended the answer for the reason {shown:?}, which isn't a regular end");
    ApiError::new(ErrorCode::ProviderError, message)
}

/// A stream that ended before the answer did.
pub(crate) fn broken_off() -> ApiError {
    ApiError::new(ErrorCode::ProviderError, "the provider's stream broke off before the answer's end")
}
