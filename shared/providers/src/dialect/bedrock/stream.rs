//! The events of an answer: blocks that begin, go on and end, then the reason, then the usage
//! (<https://docs.aws.amazon.com/bedrock/latest/APIReference/API_runtime_ConverseStreamOutput.html>).

use std::collections::HashMap;

use hearth_domain::{FinishReason, Reasoning, Usage};
use hearth_wire::{ApiError, ErrorCode, RunEventBody, event::ToolCallBegin};
use serde::{Deserialize, de::DeserializeOwned};
use serde_json::Value;

use crate::dialect::{Decoder, Frame, broken_off, unreadable};

/// Reads events.
#[derive(Debug, Default)]
pub(in crate::dialect) struct ConverseDecoder {
    usage: Option<Usage>,
    /// The blocks that go on, by Bedrock's number for them.
    open: HashMap<u32, Block>,
    /// How many calls have begun.
    calls: u32,
    /// How many blocks of thoughts have.
    thoughts: u32,
    ended: Option<FinishReason>,
}

/// A block, with its own number among its kind.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Block {
    Call { index: u32, silent: bool },
    Thoughts { index: u32 },
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct BlockStart {
    content_block_index: u32,
    #[serde(default)]
    start: Start,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Start {
    tool_use: Option<ToolUseStart>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct ToolUseStart {
    tool_use_id: String,
    name: String,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct BlockDelta {
    content_block_index: u32,
    #[serde(default)]
    delta: Delta,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Delta {
    text: Option<String>,
    tool_use: Option<ToolUseDelta>,
    reasoning_content: Option<ReasoningDelta>,
}

#[derive(Debug, Deserialize)]
struct ToolUseDelta {
    #[serde(default)]
    input: String,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase")]
struct ReasoningDelta {
    #[serde(default)]
    text: String,
    signature: Option<String>,
    redacted_content: Option<String>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct BlockStop {
    content_block_index: u32,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct MessageStop {
    stop_reason: String,
    #[serde(default)]
    additional_model_response_fields: Value,
}

#[derive(Debug, Deserialize)]
struct Metadata {
    usage: Option<TokenUsage>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct TokenUsage {
    input_tokens: u32,
    output_tokens: u32,
    cache_read_input_tokens: u32,
    cache_write_input_tokens: u32,
}

impl Decoder for ConverseDecoder {
    fn take(&mut self, frame: Frame<'_>) -> Result<Vec<RunEventBody>, ApiError> {
        let data = frame.data;
        let event = match frame.event {
            "contentBlockStart" => self.start(read(data)?),
            "contentBlockDelta" => self.delta(read(data)?)?,
            "contentBlockStop" => self.stop(&read(data)?),
            "messageStop" => {
                let said: MessageStop = read(data)?;
                self.ended = Some(ending(&said.stop_reason, self.calls > 0)?);
                let stop = said.additional_model_response_fields["stop_sequence"].as_str();
                stop.map(|text| RunEventBody::StopText { choice: 0, text: text.to_owned() })
            }
            "metadata" => {
                self.usage = read::<Metadata>(data)?.usage.map(Into::into);
                None
            }
            exception if exception.ends_with("Exception") || exception.ends_with("Error") => {
                return Err(failure(exception, data));
            }
            // `messageStart` says nothing new, nor does what is yet to come.
            _ => None,
        };
        Ok(event.into_iter().collect())
    }

    fn end(&mut self) -> Result<Vec<RunEventBody>, ApiError> {
        let reason = self.ended.ok_or_else(broken_off)?;
        let usage = self.usage.map(|usage| RunEventBody::Usage { usage });
        Ok(usage.into_iter().chain([RunEventBody::Done { finish_reason: reason }]).collect())
    }
}

fn read<T: DeserializeOwned>(data: &str) -> Result<T, ApiError> {
    serde_json::from_str(data).map_err(unreadable)
}

impl ConverseDecoder {
    fn start(&mut self, said: BlockStart) -> Option<RunEventBody> {
        let ToolUseStart { tool_use_id, name } = said.start.tool_use?;
        let index = self.calls;
        self.calls += 1;
        self.open.insert(said.content_block_index, Block::Call { index, silent: true });
        let begins = Some(ToolCallBegin { id: tool_use_id, name });
        Some(RunEventBody::ToolCall { choice: 0, index, begins, arguments: String::new() })
    }

    fn delta(&mut self, said: BlockDelta) -> Result<Option<RunEventBody>, ApiError> {
        let number = said.content_block_index;
        let Delta { text, tool_use, reasoning_content } = said.delta;
        if let Some(ToolUseDelta { input }) = tool_use.filter(|call| !call.input.is_empty()) {
            let Some(Block::Call { index, silent }) = self.open.get_mut(&number) else {
                return Err(unreadable("a tool call without a name"));
            };
            *silent = false;
            let (index, begins) = (*index, None);
            return Ok(Some(RunEventBody::ToolCall { choice: 0, index, begins, arguments: input }));
        }
        if let Some(ReasoningDelta { text, signature, redacted_content: encrypted }) = reasoning_content {
            let index = self.thoughts(number);
            let added = Reasoning { text, signature, encrypted };
            return Ok(Some(RunEventBody::Reasoning { choice: 0, index, added }));
        }
        Ok(text.filter(|text| !text.is_empty()).map(RunEventBody::text))
    }

    /// Which block of thoughts Bedrock's `number` is: one begins without being announced.
    fn thoughts(&mut self, number: u32) -> u32 {
        match self.open.get(&number) {
            Some(Block::Thoughts { index }) => *index,
            _ => {
                let index = self.thoughts;
                self.thoughts += 1;
                self.open.insert(number, Block::Thoughts { index });
                index
            }
        }
    }

    /// A call without arguments is one with an empty object.
    fn stop(&mut self, said: &BlockStop) -> Option<RunEventBody> {
        match self.open.remove(&said.content_block_index)? {
            Block::Call { index, silent: true } => {
                Some(RunEventBody::ToolCall { choice: 0, index, begins: None, arguments: "{}".to_owned() })
            }
            _ => None,
        }
    }
}

/// Why an answer ended. What was no use to Bedrock itself is a failure.
fn ending(reason: &str, calls: bool) -> Result<FinishReason, ApiError> {
    match reason {
        "max_tokens" | "model_context_window_exceeded" => Ok(FinishReason::Length),
        "guardrail_intervened" | "content_filtered" | "refusal" => Ok(FinishReason::ContentFilter),
        "malformed_model_output" | "malformed_tool_use" => {
            let message = format!("the provider gave the answer up ({reason})");
            Err(ApiError::new(ErrorCode::ProviderError, message))
        }
        _ if calls => Ok(FinishReason::ToolCalls),
        _ => Ok(FinishReason::Stop),
    }
}

/// An exception within a stream.
fn failure(exception: &str, data: &str) -> ApiError {
    let said: Value = serde_json::from_str(data).unwrap_or_default();
    let message = said["message"].as_str().or(said["originalMessage"].as_str());
    let message = message.unwrap_or("it says nothing more");
    let code = match (exception, said["originalStatusCode"].as_u64()) {
        ("throttlingException", _) | (_, Some(429)) => ErrorCode::ProviderRateLimited,
        ("modelTimeoutException", _) | (_, Some(408)) => ErrorCode::ProviderTimeout,
        ("validationException", _) if message.to_lowercase().contains("too long") => {
            ErrorCode::ContextLengthExceeded
        }
        ("validationException", _) => ErrorCode::InvalidRequest,
        ("accessDeniedException", _) => ErrorCode::ProviderAuth,
        _ => ErrorCode::ProviderError,
    };
    ApiError::new(code, format!("the provider failed ({exception}): {message}"))
}

/// What came out of the cache, or went into it, isn't counted as input.
impl From<TokenUsage> for Usage {
    fn from(usage: TokenUsage) -> Self {
        let cache = usage.cache_read_input_tokens.saturating_add(usage.cache_write_input_tokens);
        Self {
            prompt_tokens: usage.input_tokens.saturating_add(cache),
            completion_tokens: usage.output_tokens,
            cached_tokens: usage.cache_read_input_tokens,
            reasoning_tokens: 0,
        }
    }
}
