//! The frames of an answer (<https://platform.claude.com/docs/en/build-with-claude/streaming>).

use hearth_domain::{FinishReason, Reasoning, Usage};
use hearth_wire::{ApiError, ErrorCode, RunEventBody, event::ToolCallBegin};
use serde::Deserialize;
use serde_json::{Map, Value};

use crate::dialect::{Decoder, Frame, broken_off, unreadable};

/// Reads named events.
#[derive(Debug, Default)]
pub(in crate::dialect) struct MessagesDecoder {
    usage: Counted,
    open: Option<Open>,
    /// How many blocks of thoughts have begun.
    thoughts: u32,
    /// How many calls have.
    calls: u32,
    stop_reason: Option<String>,
    stop_sequence: Option<String>,
}

/// The block that is being told. There is one at a time.
#[derive(Debug)]
enum Open {
    Text,
    Thoughts(u32),
    Call {
        number: u32,
        /// The arguments, if they came with the block's beginning.
        input: Map<String, Value>,
        /// Whether some came after it.
        told: bool,
    },
    /// One that the gateway has no word for, such as a search of the provider's own.
    Other,
}

#[derive(Debug, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
enum Event {
    MessageStart {
        message: Begun,
    },
    ContentBlockStart {
        content_block: Block,
    },
    ContentBlockDelta {
        delta: Delta,
    },
    ContentBlockStop,
    MessageDelta {
        delta: Ended,
        usage: Option<Counted>,
    },
    MessageStop,
    Error {
        error: Failure,
    },
    /// `ping`, and what may be added: the documentation asks to pass over it.
    #[serde(other)]
    Other,
}

#[derive(Debug, Deserialize)]
struct Begun {
    usage: Option<Counted>,
}

#[derive(Debug, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
enum Block {
    Text {
        #[serde(default)]
        text: String,
    },
    Thinking {
        #[serde(default)]
        thinking: String,
        #[serde(default)]
        signature: String,
    },
    RedactedThinking {
        data: String,
    },
    ToolUse {
        id: String,
        name: String,
        input: Option<Map<String, Value>>,
    },
    #[serde(other)]
    Other,
}

#[derive(Debug, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
#[expect(clippy::enum_variant_names, reason = "the names of the format")]
enum Delta {
    TextDelta {
        text: String,
    },
    InputJsonDelta {
        partial_json: String,
    },
    ThinkingDelta {
        thinking: String,
    },
    SignatureDelta {
        signature: String,
    },
    #[serde(other)]
    OtherDelta,
}

#[derive(Debug, Deserialize)]
struct Ended {
    stop_reason: Option<String>,
    stop_sequence: Option<String>,
}

#[derive(Debug, Deserialize)]
struct Failure {
    #[serde(rename = "type", default)]
    kind: String,
    #[serde(default)]
    message: String,
}

/// Tokens so far; what a frame leaves out is as before.
#[derive(Debug, Clone, Copy, Default, Deserialize)]
struct Counted {
    input_tokens: Option<u32>,
    cache_creation_input_tokens: Option<u32>,
    cache_read_input_tokens: Option<u32>,
    output_tokens: Option<u32>,
    output_tokens_details: Option<OutputTokens>,
}

#[derive(Debug, Clone, Copy, Deserialize)]
struct OutputTokens {
    thinking_tokens: Option<u32>,
}

impl Decoder for MessagesDecoder {
    fn take(&mut self, frame: Frame<'_>) -> Result<Vec<RunEventBody>, ApiError> {
        let event: Event = serde_json::from_str(frame.data).map_err(unreadable)?;
        let event = match event {
            Event::MessageStart { message } => {
                self.usage.take(message.usage.unwrap_or_default());
                None
            }
            Event::ContentBlockStart { content_block } => self.begin(content_block),
            Event::ContentBlockDelta { delta } => self.go_on(delta)?,
            Event::ContentBlockStop => self.close(),
            Event::MessageDelta { delta, usage } => {
                self.usage.take(usage.unwrap_or_default());
                self.stop_reason = delta.stop_reason.or(self.stop_reason.take());
                self.stop_sequence = delta.stop_sequence.or(self.stop_sequence.take());
                None
            }
            Event::MessageStop => return self.end(),
            Event::Error { error } => return Err(failure(&error)),
            Event::Other => None,
        };
        Ok(event.into_iter().collect())
    }

    fn end(&mut self) -> Result<Vec<RunEventBody>, ApiError> {
        let finish_reason = match self.stop_reason.as_deref().ok_or_else(broken_off)? {
            // A paused turn is one that was cut off: its client may ask to go on with it.
            "max_tokens" | "model_context_window_exceeded" | "pause_turn" => FinishReason::Length,
            "refusal" => FinishReason::ContentFilter,
            "tool_use" => FinishReason::ToolCalls,
            _ => FinishReason::Stop,
        };
        let stop = self.stop_sequence.take().map(|text| RunEventBody::StopText { choice: 0, text });
        let usage = RunEventBody::Usage { usage: self.usage.into() };
        Ok(stop.into_iter().chain([usage, RunEventBody::Done { finish_reason }]).collect())
    }
}

impl MessagesDecoder {
    fn begin(&mut self, block: Block) -> Option<RunEventBody> {
        let (open, event) = match block {
            Block::Text { text } => (Open::Text, said(text)),
            Block::Thinking { thinking, signature } => {
                let signature = Some(signature).filter(|signature| !signature.is_empty());
                let added = Reasoning { text: thinking, signature, encrypted: None };
                let number = self.next_thoughts();
                (Open::Thoughts(number), thought(number, added))
            }
            Block::RedactedThinking { data } => {
                let added = Reasoning { encrypted: Some(data), ..Reasoning::default() };
                (Open::Other, thought(self.next_thoughts(), added))
            }
            Block::ToolUse { id, name, input } => {
                let number = self.calls;
                self.calls += 1;
                let begins = Some(ToolCallBegin { id, name });
                let event =
                    RunEventBody::ToolCall { choice: 0, index: number, begins, arguments: String::new() };
                let input = input.unwrap_or_default();
                (Open::Call { number, input, told: false }, Some(event))
            }
            Block::Other => (Open::Other, None),
        };
        self.open = Some(open);
        event
    }

    fn go_on(&mut self, delta: Delta) -> Result<Option<RunEventBody>, ApiError> {
        match (&mut self.open, delta) {
            (Some(Open::Text), Delta::TextDelta { text }) => Ok(said(text)),
            (Some(Open::Thoughts(number)), Delta::ThinkingDelta { thinking }) => {
                Ok(thought(*number, Reasoning { text: thinking, ..Reasoning::default() }))
            }
            (Some(Open::Thoughts(number)), Delta::SignatureDelta { signature }) => {
                Ok(thought(*number, Reasoning { signature: Some(signature), ..Reasoning::default() }))
            }
            (Some(Open::Call { number, told, .. }), Delta::InputJsonDelta { partial_json }) => {
                *told |= !partial_json.is_empty();
                Ok(arguments(*number, partial_json))
            }
            (Some(Open::Other), _) | (_, Delta::OtherDelta) => Ok(None),
            (_, delta) => Err(unreadable(format!("a piece that its block can't have: {}", delta.name()))),
        }
    }

    /// A call without arguments has none told: they are an empty object all the same.
    fn close(&mut self) -> Option<RunEventBody> {
        match self.open.take()? {
            Open::Call { number, input, told: false } => arguments(number, Value::Object(input).to_string()),
            _ => None,
        }
    }

    fn next_thoughts(&mut self) -> u32 {
        self.thoughts += 1;
        self.thoughts - 1
    }
}

impl Delta {
    fn name(&self) -> &'static str {
        match self {
            Self::TextDelta { .. } => "text_delta",
            Self::InputJsonDelta { .. } => "input_json_delta",
            Self::ThinkingDelta { .. } => "thinking_delta",
            Self::SignatureDelta { .. } => "signature_delta",
            Self::OtherDelta => "another",
        }
    }
}

fn said(text: String) -> Option<RunEventBody> {
    (!text.is_empty()).then(|| RunEventBody::text(text))
}

fn thought(index: u32, added: Reasoning) -> Option<RunEventBody> {
    (added != Reasoning::default()).then_some(RunEventBody::Reasoning { choice: 0, index, added })
}

fn arguments(index: u32, arguments: String) -> Option<RunEventBody> {
    (!arguments.is_empty()).then_some(RunEventBody::ToolCall { choice: 0, index, begins: None, arguments })
}

/// An error within a stream (<https://platform.claude.com/docs/en/api/errors>).
fn failure(error: &Failure) -> ApiError {
    let code = match error.kind.as_str() {
        "overloaded_error" | "rate_limit_error" => ErrorCode::ProviderRateLimited,
        "authentication_error" | "permission_error" => ErrorCode::ProviderAuth,
        "billing_error" => ErrorCode::QuotaExceeded,
        "invalid_request_error" => ErrorCode::InvalidRequest,
        "not_found_error" => ErrorCode::ModelNotFound,
        "request_too_large" => ErrorCode::PayloadTooLarge,
        "timeout_error" => ErrorCode::ProviderTimeout,
        _ => ErrorCode::ProviderError,
    };
    let message = match error.message.as_str() {
        "" => "it says nothing more",
        // Its words may show a part of the key.
        _ if code == ErrorCode::ProviderAuth => "it refused the gateway's key",
        message => message,
    };
    ApiError::new(code, format!("the provider failed: {message}"))
}

impl Counted {
    fn take(&mut self, later: Self) {
        self.input_tokens = later.input_tokens.or(self.input_tokens);
        self.cache_creation_input_tokens =
            later.cache_creation_input_tokens.or(self.cache_creation_input_tokens);
        self.cache_read_input_tokens = later.cache_read_input_tokens.or(self.cache_read_input_tokens);
        self.output_tokens = later.output_tokens.or(self.output_tokens);
        self.output_tokens_details = later.output_tokens_details.or(self.output_tokens_details);
    }
}

impl From<Counted> for Usage {
    fn from(counted: Counted) -> Self {
        let read = counted.cache_read_input_tokens.unwrap_or_default();
        let written = counted.cache_creation_input_tokens.unwrap_or_default();
        let fresh = counted.input_tokens.unwrap_or_default();
        Self {
            prompt_tokens: fresh.saturating_add(read).saturating_add(written),
            completion_tokens: counted.output_tokens.unwrap_or_default(),
            cached_tokens: read,
            reasoning_tokens: counted
                .output_tokens_details
                .and_then(|details| details.thinking_tokens)
                .unwrap_or_default(),
        }
    }
}
