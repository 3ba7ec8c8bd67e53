//! The frames of an answer: chunks, and `[DONE]`.

use hearth_domain::{FinishReason, Logprob, Reasoning, TokenLogprob, Usage};
use hearth_wire::{ApiError, ErrorCode, RunEventBody, event::ToolCallBegin};
use serde::Deserialize;
use serde_json::Value;

use crate::dialect::{Decoder, Frame, broken_off, unreadable};

/// Reads chunks.
#[derive(Debug, Default)]
pub(in crate::dialect) struct ChatDecoder {
    usage: Option<Usage>,
    choices: Vec<Choice>,
}

/// One answer, as far as it has come.
#[derive(Debug, Default)]
struct Choice {
    /// How many calls have begun.
    calls: u32,
    refused: bool,
    ended: Option<FinishReason>,
}

#[derive(Debug, Deserialize)]
struct Chunk {
    #[serde(default)]
    choices: Vec<ChunkChoice>,
    usage: Option<ChunkUsage>,
    error: Option<Value>,
}

#[derive(Debug, Deserialize)]
struct ChunkChoice {
    #[serde(default)]
    index: u32,
    #[serde(default)]
    delta: Delta,
    finish_reason: Option<String>,
    /// vLLM's word for the stop text that was met; a token's number where that ended the answer.
    #[serde(default)]
    stop_reason: Value,
    logprobs: Option<Logprobs>,
}

#[derive(Debug, Default, Deserialize)]
struct Delta {
    content: Option<String>,
    refusal: Option<String>,
    /// DeepSeek's name for thoughts, taken over by vLLM, xAI and others.
    reasoning_content: Option<String>,
    /// OpenRouter's, Groq's and Ollama's.
    reasoning: Option<String>,
    #[serde(default)]
    tool_calls: Option<Vec<CallDelta>>,
}

#[derive(Debug, Deserialize)]
struct CallDelta {
    index: Option<u32>,
    id: Option<String>,
    #[serde(default)]
    function: FunctionDelta,
}

#[derive(Debug, Default, Deserialize)]
struct FunctionDelta {
    name: Option<String>,
    /// A JSON text; some servers give the object itself.
    arguments: Option<Value>,
}

#[derive(Debug, Deserialize)]
struct Logprobs {
    content: Option<Vec<LogprobEntry>>,
}

/// A token, as the responses' API writes it too.
#[derive(Debug, Deserialize)]
pub(in crate::dialect) struct LogprobEntry {
    token: String,
    logprob: f32,
    bytes: Option<Vec<u8>>,
    #[serde(default)]
    top_logprobs: Vec<LogprobEntry>,
}

#[derive(Debug, Deserialize)]
struct ChunkUsage {
    #[serde(default)]
    prompt_tokens: u32,
    #[serde(default)]
    completion_tokens: u32,
    prompt_tokens_details: Option<PromptDetails>,
    completion_tokens_details: Option<CompletionDetails>,
    /// DeepSeek's name for cached tokens.
    prompt_cache_hit_tokens: Option<u32>,
}

#[derive(Debug, Deserialize)]
struct PromptDetails {
    cached_tokens: Option<u32>,
}

#[derive(Debug, Deserialize)]
struct CompletionDetails {
    reasoning_tokens: Option<u32>,
}

impl Decoder for ChatDecoder {
    fn take(&mut self, frame: Frame<'_>) -> Result<Vec<RunEventBody>, ApiError> {
        if frame.data.trim() == "[DONE]" {
            return self.end();
        }
        let chunk: Chunk = serde_json::from_str(frame.data).map_err(unreadable)?;
        if let Some(error) = chunk.error {
            return Err(failure(&error));
        }
        if let Some(usage) = chunk.usage {
            self.usage = Some(usage.into());
        }
        let mut events = Vec::new();
        for choice in chunk.choices {
            self.choice(choice, &mut events)?;
        }
        Ok(events)
    }

    fn end(&mut self) -> Result<Vec<RunEventBody>, ApiError> {
        let reason = self.choices.first().and_then(|choice| choice.ended).ok_or_else(broken_off)?;
        let usage = self.usage.map(|usage| RunEventBody::Usage { usage });
        Ok(usage.into_iter().chain([RunEventBody::Done { finish_reason: reason }]).collect())
    }
}

impl ChatDecoder {
    fn choice(&mut self, said: ChunkChoice, events: &mut Vec<RunEventBody>) -> Result<(), ApiError> {
        let number = said.index;
        let place = number as usize;
        if place >= hearth_domain::check::MAX_CHOICES as usize {
            return Err(unreadable(format!("a choice number {number}")));
        }
        if place >= self.choices.len() {
            self.choices.resize_with(place + 1, Choice::default);
        }
        let choice = &mut self.choices[place];
        let thoughts = said.delta.reasoning_content.or(said.delta.reasoning);
        if let Some(text) = thoughts.filter(|text| !text.is_empty()) {
            let added = Reasoning { text, ..Reasoning::default() };
            events.push(RunEventBody::Reasoning { choice: number, index: 0, added });
        }
        let logprobs = said.logprobs.and_then(|logprobs| logprobs.content).unwrap_or_default();
        let logprobs: Vec<TokenLogprob> = logprobs.into_iter().map(Into::into).collect();
        let text = said.delta.content.unwrap_or_default();
        if !text.is_empty() || !logprobs.is_empty() {
            events.push(RunEventBody::Delta { choice: number, text, logprobs });
        }
        if let Some(text) = said.delta.refusal.filter(|text| !text.is_empty()) {
            choice.refused = true;
            events.push(RunEventBody::Refusal { choice: number, text });
        }
        for call in said.delta.tool_calls.unwrap_or_default() {
            events.extend(choice.call(number, call)?);
        }
        if let (Some(_), Value::String(text)) = (&said.finish_reason, said.stop_reason) {
            events.push(RunEventBody::StopText { choice: number, text });
        }
        if let Some(reason) = said.finish_reason {
            let reason = match reason.as_str() {
                "length" | "max_tokens" | "model_length" => FinishReason::Length,
                "content_filter" => FinishReason::ContentFilter,
                _ if choice.refused => FinishReason::ContentFilter,
                _ if choice.calls > 0 => FinishReason::ToolCalls,
                _ => FinishReason::Stop,
            };
            if choice.ended.replace(reason).is_none() && number > 0 {
                events.push(RunEventBody::ChoiceDone { choice: number, finish_reason: reason });
            }
        }
        Ok(())
    }
}

impl Choice {
    fn call(&mut self, number: u32, call: CallDelta) -> Result<Option<RunEventBody>, ApiError> {
        let begins = call.function.name.filter(|name| !name.is_empty()).filter(|_| {
            // A vendor may repeat the name in each piece of a call.
            call.index.is_none_or(|index| index >= self.calls)
        });
        let index = call.index.unwrap_or_else(|| match begins {
            Some(_) => self.calls,
            None => self.calls.saturating_sub(1),
        });
        let begins = match begins {
            Some(name) => {
                let id =
                    call.id.filter(|id| !id.is_empty()).unwrap_or_else(|| format!("call_{number}_{index}"));
                self.calls = index + 1;
                Some(ToolCallBegin { id, name })
            }
            None if index < self.calls => None,
            None => return Err(unreadable("a tool call without a name")),
        };
        let arguments = match call.function.arguments {
            Some(Value::String(text)) => text,
            Some(Value::Null) | None => String::new(),
            Some(object) => object.to_string(),
        };
        let nothing = begins.is_none() && arguments.is_empty();
        Ok((!nothing).then_some(RunEventBody::ToolCall { choice: number, index, begins, arguments }))
    }
}

/// An error within a stream: OpenAI's envelope, or what stands in its place. Of those that pass others' errors on,
/// OpenRouter for one, the code is a status, of which 529 is Anthropic's for being overloaded.
pub(in crate::dialect) fn failure(error: &Value) -> ApiError {
    let message = error["message"].as_str().or(error.as_str()).unwrap_or("it says nothing more");
    let code = error["code"].as_str().or(error["type"].as_str()).unwrap_or_default();
    let kind = match (code, error["code"].as_u64()) {
        (_, Some(429 | 529)) => ErrorCode::ProviderRateLimited,
        (code, _) if ["rate_limit", "overloaded"].iter().any(|word| code.contains(word)) => {
            ErrorCode::ProviderRateLimited
        }
        ("context_length_exceeded", _) => ErrorCode::ContextLengthExceeded,
        _ => ErrorCode::ProviderError,
    };
    ApiError::new(kind, format!("the provider failed: {message}"))
}

impl From<LogprobEntry> for TokenLogprob {
    fn from(entry: LogprobEntry) -> Self {
        let top = entry.top_logprobs.iter().map(LogprobEntry::one).collect();
        Self { token: entry.one(), top }
    }
}

impl LogprobEntry {
    fn one(&self) -> Logprob {
        let bytes = self.bytes.clone().unwrap_or_else(|| self.token.as_bytes().to_vec());
        Logprob { bytes, logprob: self.logprob }
    }
}

impl From<ChunkUsage> for Usage {
    fn from(usage: ChunkUsage) -> Self {
        let cached = usage.prompt_tokens_details.and_then(|details| details.cached_tokens);
        let reasoning = usage.completion_tokens_details.and_then(|details| details.reasoning_tokens);
        Self {
            prompt_tokens: usage.prompt_tokens,
            completion_tokens: usage.completion_tokens,
            cached_tokens: cached.or(usage.prompt_cache_hit_tokens).unwrap_or_default(),
            reasoning_tokens: reasoning.unwrap_or_default(),
        }
    }
}
