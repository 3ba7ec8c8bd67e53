//! The dialects of providers' APIs. A vendor's file names the dialect of its API and its quirks.
//!
//! A dialect turns a call into a request's body, and the frames of the answer into run events. Nothing here does I/O:
//! [`crate::http`] sends the request and receives the answer.

mod anthropic;
pub mod bedrock;
mod body;
pub(crate) mod failure;
pub mod gemini;
pub(crate) mod hosted;
mod json;
pub mod openai_chat;
pub mod openai_responses;
mod tool_calls;

use std::borrow::Cow;

use hearth_domain::{ClientDialect, RawPrompt, TextTask};
use hearth_wire::ApiError;
use http::header::{HeaderMap, HeaderName, HeaderValue};

use crate::{
    decoder::Decoder,
    framing::Framing,
    json_tree::{Json, Object},
    provider::Call,
};

pub(crate) use anthropic::claude_version;
pub use body::AnswerMode;
use body::PassThrough;
pub(crate) use json::repair;

/// The header in which Anthropic's clients name betas.
const BETA: &str = "anthropic-beta";

/// A dialect of providers' APIs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Dialect {
    /// OpenAI's chat completions, with a vendor's quirks.
    OpenAiChat(&'static openai_chat::Quirks),
    /// OpenAI's responses.
    OpenAiResponses,
    /// Google's `generateContent`.
    Gemini,
    /// Amazon Bedrock's `ConverseStream`.
    Bedrock,
    /// Anthropic's messages.
    Anthropic,
}

impl Dialect {
    /// Returns the path of text generations, below the base URL.
    ///
    /// # Errors
    /// `invalid_request`, naming `model`, for a name that can't be part of the path.
    pub fn path(self, model: &str, mode: AnswerMode) -> Result<Cow<'static, str>, ApiError> {
        match self {
            Self::OpenAiChat(_) => Ok("/chat/completions".into()),
            Self::OpenAiResponses => Ok("/responses".into()),
            Self::Gemini => gemini::path(model, mode).map(Cow::Owned),
            Self::Bedrock => bedrock::path(model, mode).map(Cow::Owned),
            Self::Anthropic => Ok("/messages".into()),
        }
    }

    /// Returns the media type of the answer, for the request's `accept`.
    #[must_use]
    pub fn media_type(self, mode: AnswerMode) -> &'static str {
        match mode {
            AnswerMode::Stream => self.framing().media_type(),
            AnswerMode::Whole => "application/json",
        }
    }

    /// Returns the token limit of an answer to `task`, if there is one. It includes thoughts.
    pub(crate) fn answer_limit(self, call: &Call, task: &TextTask) -> Option<u32> {
        match self {
            Self::Anthropic => Some(anthropic::request::answer_limit(call, task)),
            Self::OpenAiChat(_) | Self::OpenAiResponses | Self::Gemini | Self::Bedrock => {
                task.sampling.max_tokens
            }
        }
    }

    /// Builds the body of the request.
    ///
    /// # Errors
    /// `invalid_request` for a field that the dialect can't express.
    pub(crate) fn body<'a>(
        self,
        call: &'a Call,
        task: &'a TextTask,
        mode: AnswerMode,
    ) -> Result<Json<'a>, ApiError> {
        reject_raw_prompt(task)?;
        let extra = &call.generation.extra;
        let pass = self.pass_through(extra.dialect);
        let mut body: Object<'_> = match self {
            Self::OpenAiChat(quirks) => openai_chat::request::body(quirks, pass, call, task, mode),
            Self::OpenAiResponses => openai_responses::request::body(pass, call, task, mode),
            Self::Gemini => gemini::request::body(pass, call, task)?,
            Self::Bedrock => bedrock::request::body(call.model.as_str(), task)?,
            Self::Anthropic => anthropic::request::body(pass, call, task, mode)?,
        };
        if self.is_spoken_by(extra.dialect) {
            hosted::add(&extra.hosted, task, &mut body);
        }
        Ok(body.into())
    }

    /// Returns the headers that are passed on from the client: the betas, if client and provider have Anthropic's dialect
    /// (<https://platform.claude.com/docs/en/api/beta-headers>).
    #[must_use]
    pub fn headers(self, call: &Call) -> HeaderMap {
        let extra = &call.generation.extra;
        let is_passed_on = self == Self::Anthropic && extra.dialect == ClientDialect::Anthropic;
        let betas = HeaderValue::try_from(extra.betas.join(","));
        let betas = betas.ok().filter(|betas| is_passed_on && !betas.is_empty());
        betas.map(|betas| (HeaderName::from_static(BETA), betas)).into_iter().collect()
    }

    /// Creates the decoder of an answer.
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

    /// Returns whether the body of a request has a schema that the provider enforces, rather than only follows.
    pub(crate) fn enforces_schema(self, body: &Json<'_>) -> bool {
        match self {
            Self::OpenAiChat(_) => body.is_true_at(&["response_format", "json_schema", "strict"]),
            Self::OpenAiResponses => body.is_true_at(&["text", "format", "strict"]),
            Self::Anthropic => body.has(&["output_config", "format"]),
            Self::Gemini => body.has(&["generationConfig", "responseJsonSchema"]),
            Self::Bedrock => body.has(&["outputConfig", "textFormat"]),
        }
    }

    /// Returns the format of streamed answers.
    #[must_use]
    pub fn framing(self) -> Framing {
        match self {
            Self::OpenAiChat(_) | Self::OpenAiResponses | Self::Anthropic | Self::Gemini => {
                Framing::ServerSentEvents
            }
            Self::Bedrock => Framing::AwsEventStream,
        }
    }

    /// Returns whether a client's dialect is this one. Unknown fields of the client are then passed on.
    pub(crate) fn is_spoken_by(self, client: ClientDialect) -> bool {
        match self {
            Self::OpenAiChat(_) => client == ClientDialect::OpenAiChat,
            Self::OpenAiResponses => client == ClientDialect::OpenAiResponses,
            Self::Anthropic => client == ClientDialect::Anthropic,
            Self::Gemini => client == ClientDialect::Gemini,
            // There is no client dialect of Bedrock.
            Self::Bedrock => false,
        }
    }

    /// Returns which unknown fields are passed on. Anthropic and OpenRouter have the same marks for a prompt cache
    /// (<https://openrouter.ai/docs/features/prompt-caching>).
    fn pass_through(self, client: ClientDialect) -> PassThrough {
        match (self, client) {
            _ if self.is_spoken_by(client) => PassThrough::All,
            (Self::Anthropic, ClientDialect::OpenAiChat) => PassThrough::CacheMarks,
            (Self::OpenAiChat(quirks), ClientDialect::Anthropic) if quirks.cache_marks => {
                PassThrough::CacheMarks
            }
            _ => PassThrough::Nothing,
        }
    }
}

/// Rejects a prompt that is no conversation: these APIs accept conversations only.
fn reject_raw_prompt(task: &TextTask) -> Result<(), ApiError> {
    let (param, message) = match &task.raw {
        None => return Ok(()),
        Some(RawPrompt::Tokens(_)) => {
            ("prompt", "this provider doesn't accept tokens as a prompt; send a text, or name a local model")
        }
        Some(RawPrompt::Text(_)) => {
            ("raw", "this provider always applies its chat template; leave raw out, or name a local model")
        }
        Some(RawPrompt::Infill { .. }) => {
            ("suffix", "this provider can't fill in text; leave suffix out, or name a local model that can")
        }
    };
    Err(ApiError::invalid(param, message))
}
