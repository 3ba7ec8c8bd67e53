//! The languages that providers speak. A vendor's file says which one, and how it differs.
//!
//! A dialect turns a call into a request's body, and the frames of the streamed answer into run events.
//! Nothing here does I/O: the bytes come and go in [`crate::http`].

mod anthropic;
pub mod bedrock;
pub(crate) mod failure;
pub mod gemini;
mod json;
pub mod openai_chat;
pub mod openai_responses;
mod tool_calls;

use hearth_domain::{ClientDialect, RawPrompt, TextTask};
use hearth_wire::{ApiError, ErrorCode, RunEventBody};
use reqwest::header::{HeaderMap, HeaderName, HeaderValue};
use serde_json::{Map, Value};

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

/// A frame of a provider's stream.
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
    #[must_use]
    pub fn path(self, model: &str) -> String {
        match self {
            Self::OpenAiChat(_) => "/chat/completions".to_owned(),
            Self::OpenAiResponses => "/responses".to_owned(),
            Self::Gemini => gemini::path(model),
            Self::Bedrock => bedrock::path(model),
            Self::Anthropic => "/messages".to_owned(),
        }
    }

    /// The body of the request.
    ///
    /// # Errors
    /// `invalid_request` for what the dialect can't say.
    pub fn body(self, call: &Call, task: &TextTask) -> Result<Value, ApiError> {
        refuse_raw(task)?;
        let hosted = &call.generation.extra.hosted;
        if !self.is_the_clients(call) {
            hosted::refuse(hosted)?;
            return self.own_body(call, task);
        }
        let mut body = self.own_body(call, task)?;
        hosted::add(hosted, task, &mut body);
        Ok(body)
    }

    fn own_body(self, call: &Call, task: &TextTask) -> Result<Value, ApiError> {
        match self {
            Self::OpenAiChat(habits) => openai_chat::request::body(habits, call, task),
            Self::OpenAiResponses => openai_responses::request::body(call, task),
            Self::Gemini => gemini::request::body(call.model.as_str(), task),
            Self::Bedrock => bedrock::request::body(call.model.as_str(), task),
            Self::Anthropic => anthropic::request::body(call, task),
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

    /// What the client said beyond what the gateway knows, if it was said in this dialect.
    fn extra(self, call: &Call) -> Map<String, Value> {
        if self.is_the_clients(call) { call.generation.extra.fields.clone() } else { Map::new() }
    }

    fn is_the_clients(self, call: &Call) -> bool {
        self.client_dialect() == Some(call.generation.extra.dialect)
    }

    /// The dialect of clients that is the same, if there is one.
    #[must_use]
    pub fn client_dialect(self) -> Option<ClientDialect> {
        match self {
            Self::OpenAiChat(_) => Some(ClientDialect::OpenAiChat),
            Self::OpenAiResponses => Some(ClientDialect::OpenAiResponses),
            Self::Anthropic => Some(ClientDialect::Anthropic),
            // No client speaks them.
            Self::Gemini | Self::Bedrock => None,
        }
    }
}

/// Refuses a prompt that is no conversation: the APIs here take conversations alone.
fn refuse_raw(task: &TextTask) -> Result<(), ApiError> {
    let (param, message) = match &task.raw {
        None => return Ok(()),
        Some(RawPrompt::Tokens(_)) => {
            ("prompt", "this provider takes no tokens as a prompt; send a text, or name a local model")
        }
        Some(RawPrompt::Infill { .. }) => {
            ("suffix", "this provider fills no gaps; leave suffix out, or name a local model that can")
        }
    };
    Err(ApiError::invalid(param, message))
}

/// A text as one piece of a path: all but letters, digits and `-._~` is escaped (RFC 3986, section 2.3).
pub(crate) fn escaped(text: &str) -> String {
    let mut path = String::with_capacity(text.len());
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            path.push(char::from(byte));
        } else {
            path.push_str(&format!("%{byte:02X}"));
        }
    }
    path
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
