//! The frames of an answer: each is a whole response with some parts more. There is no last frame: the stream
//! ends after a reason has been given.

use hearth_domain::{FinishReason, Logprob, Reasoning, TokenLogprob, Usage};
use hearth_wire::{ApiError, ErrorCode, RunEventBody, event::ToolCallBegin};
use rand::distr::{Alphanumeric, SampleString as _};
use serde::Deserialize;
use serde_json::Value;

use super::seal::{self, Place};
use crate::dialect::{Decoder, Frame, broken_off, unreadable};

/// Reads responses.
#[derive(Debug, Default)]
pub(in crate::dialect) struct GeminiDecoder {
    usage: Option<Usage>,
    /// The prompt isn't answered.
    blocked: bool,
    candidates: Vec<Answering>,
}

/// One answer, as far as it has come.
#[derive(Debug, Default)]
struct Answering {
    /// How many calls there were.
    calls: u32,
    /// How many blocks of thoughts have begun.
    blocks: u32,
    /// Whether the last of them goes on.
    thinking: bool,
    /// How many bytes of text there were.
    text: usize,
    ended: Option<FinishReason>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Response {
    #[serde(default)]
    candidates: Vec<Candidate>,
    prompt_feedback: Option<PromptFeedback>,
    usage_metadata: Option<UsageMetadata>,
    error: Option<Value>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct PromptFeedback {
    block_reason: Option<String>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Candidate {
    #[serde(default)]
    index: u32,
    #[serde(default)]
    content: Content,
    finish_reason: Option<String>,
    finish_message: Option<String>,
    logprobs_result: Option<LogprobsResult>,
}

#[derive(Debug, Default, Deserialize)]
struct Content {
    #[serde(default)]
    parts: Vec<Part>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Part {
    #[serde(default)]
    text: String,
    #[serde(default)]
    thought: bool,
    thought_signature: Option<String>,
    function_call: Option<FunctionCall>,
}

#[derive(Debug, Deserialize)]
struct FunctionCall {
    id: Option<String>,
    name: String,
    args: Option<Value>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct LogprobsResult {
    chosen_candidates: Vec<LogprobCandidate>,
    top_candidates: Vec<TopCandidates>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct TopCandidates {
    candidates: Vec<LogprobCandidate>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct LogprobCandidate {
    token: String,
    log_probability: f32,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct UsageMetadata {
    prompt_token_count: u32,
    /// What Google's own tools have added to the prompt.
    tool_use_prompt_token_count: u32,
    candidates_token_count: u32,
    thoughts_token_count: u32,
    cached_content_token_count: u32,
}

impl Decoder for GeminiDecoder {
    fn take(&mut self, frame: Frame<'_>) -> Result<Vec<RunEventBody>, ApiError> {
        let response: Response = serde_json::from_str(frame.data).map_err(unreadable)?;
        if let Some(error) = response.error {
            return Err(failure(&error));
        }
        if let Some(usage) = response.usage_metadata {
            self.usage = Some(usage.into());
        }
        self.blocked |= response.prompt_feedback.is_some_and(|feedback| feedback.block_reason.is_some());
        let mut events = Vec::new();
        for candidate in response.candidates {
            self.candidate(candidate, &mut events)?;
        }
        Ok(events)
    }

    fn end(&mut self) -> Result<Vec<RunEventBody>, ApiError> {
        let reason = match self.candidates.first() {
            Some(candidate) => candidate.ended.ok_or_else(broken_off)?,
            None if self.blocked => FinishReason::ContentFilter,
            None => return Err(broken_off()),
        };
        let usage = self.usage.map(|usage| RunEventBody::Usage { usage });
        Ok(usage.into_iter().chain([RunEventBody::Done { finish_reason: reason }]).collect())
    }
}

impl GeminiDecoder {
    fn candidate(&mut self, said: Candidate, events: &mut Vec<RunEventBody>) -> Result<(), ApiError> {
        let number = said.index;
        let place = number as usize;
        if place >= hearth_domain::check::MAX_CHOICES as usize {
            return Err(unreadable(format!("a candidate number {number}")));
        }
        if place >= self.candidates.len() {
            self.candidates.resize_with(place + 1, Answering::default);
        }
        let candidate = &mut self.candidates[place];
        let mut logprobs: Vec<TokenLogprob> = said.logprobs_result.unwrap_or_default().into();
        for part in said.content.parts {
            candidate.part(number, part, &mut logprobs, events);
        }
        if !logprobs.is_empty() {
            events.push(RunEventBody::Delta { choice: number, text: String::new(), logprobs });
        }
        if let Some(reason) = said.finish_reason {
            let reason = ending(&reason, said.finish_message.as_deref(), candidate.calls > 0)?;
            if candidate.ended.replace(reason).is_none() && number > 0 {
                events.push(RunEventBody::ChoiceDone { choice: number, finish_reason: reason });
            }
        }
        Ok(())
    }
}

impl Answering {
    /// Takes a part. The first text gets what is known about the frame's tokens.
    fn part(
        &mut self,
        choice: u32,
        part: Part,
        logprobs: &mut Vec<TokenLogprob>,
        events: &mut Vec<RunEventBody>,
    ) {
        let Part { text, thought, thought_signature: seal, function_call } = part;
        let sealed = |place| seal.as_deref().map(|seal| seal::signature(place, seal));
        if let Some(FunctionCall { id, name, args }) = function_call {
            let id = id.filter(|id| !id.is_empty()).unwrap_or_else(call_id);
            let signature = sealed(Place::Call(&id));
            let begins = Some(ToolCallBegin { id, name });
            let arguments =
                args.filter(|args| !args.is_null()).map_or("{}".to_owned(), |args| args.to_string());
            self.thinking = false;
            self.seal(choice, signature, events);
            events.push(RunEventBody::ToolCall { choice, index: self.calls, begins, arguments });
            self.calls += 1;
        } else if thought {
            let signature = sealed(Place::Thought);
            if text.is_empty() && signature.is_none() {
                return;
            }
            if !self.thinking {
                self.blocks += 1;
            }
            // What has its seal is whole.
            self.thinking = signature.is_none();
            let added = Reasoning { text, signature, ..Reasoning::default() };
            events.push(RunEventBody::Reasoning { choice, index: self.blocks - 1, added });
        } else {
            let from = self.text;
            self.text += text.len();
            if !text.is_empty() {
                self.thinking = false;
                let logprobs = std::mem::take(logprobs);
                events.push(RunEventBody::Delta { choice, text, logprobs });
            }
            self.seal(choice, sealed(Place::Text(from, self.text)), events);
        }
    }

    /// Gives a seal that isn't on thoughts a block of its own.
    fn seal(&mut self, choice: u32, signature: Option<String>, events: &mut Vec<RunEventBody>) {
        if signature.is_some() {
            self.thinking = false;
            let added = Reasoning { signature, ..Reasoning::default() };
            events.push(RunEventBody::Reasoning { choice, index: self.blocks, added });
            self.blocks += 1;
        }
    }
}

/// An id for a call that has none: nothing else in the conversation has it.
fn call_id() -> String {
    format!("call_{}", Alphanumeric.sample_string(&mut rand::rng(), 24))
}

/// Why an answer ended. What was no use to Google itself is a failure.
fn ending(reason: &str, message: Option<&str>, calls: bool) -> Result<FinishReason, ApiError> {
    match reason {
        "MAX_TOKENS" => Ok(FinishReason::Length),
        "SAFETY"
        | "RECITATION"
        | "LANGUAGE"
        | "BLOCKLIST"
        | "PROHIBITED_CONTENT"
        | "SPII"
        | "IMAGE_SAFETY"
        | "IMAGE_PROHIBITED_CONTENT"
        | "IMAGE_RECITATION" => Ok(FinishReason::ContentFilter),
        "MALFORMED_FUNCTION_CALL"
        | "MALFORMED_RESPONSE"
        | "UNEXPECTED_TOOL_CALL"
        | "TOO_MANY_TOOL_CALLS"
        | "MISSING_THOUGHT_SIGNATURE"
        | "OTHER" => {
            let message = message.map(|message| format!(": {message}")).unwrap_or_default();
            let message = format!("the provider gave the answer up ({reason}){message}");
            Err(ApiError::new(ErrorCode::ProviderError, message))
        }
        _ if calls => Ok(FinishReason::ToolCalls),
        _ => Ok(FinishReason::Stop),
    }
}

/// An error within a stream (<https://cloud.google.com/apis/design/errors>).
fn failure(error: &Value) -> ApiError {
    let message = error["message"].as_str().unwrap_or("it says nothing more");
    let code = match (error["code"].as_u64(), error["status"].as_str()) {
        (Some(429), _) | (_, Some("RESOURCE_EXHAUSTED")) => ErrorCode::ProviderRateLimited,
        (Some(504), _) | (_, Some("DEADLINE_EXCEEDED")) => ErrorCode::ProviderTimeout,
        _ => ErrorCode::ProviderError,
    };
    ApiError::new(code, format!("the provider failed: {message}"))
}

impl From<LogprobsResult> for Vec<TokenLogprob> {
    fn from(result: LogprobsResult) -> Self {
        let mut tops = result.top_candidates.into_iter();
        let mut token = |chosen: LogprobCandidate| {
            let top = tops.next().unwrap_or_default().candidates;
            TokenLogprob { token: chosen.into(), top: top.into_iter().map(Into::into).collect() }
        };
        result.chosen_candidates.into_iter().map(&mut token).collect()
    }
}

impl From<LogprobCandidate> for Logprob {
    fn from(candidate: LogprobCandidate) -> Self {
        Self { bytes: candidate.token.into_bytes(), logprob: candidate.log_probability }
    }
}

impl From<UsageMetadata> for Usage {
    fn from(usage: UsageMetadata) -> Self {
        Self {
            prompt_tokens: usage.prompt_token_count.saturating_add(usage.tool_use_prompt_token_count),
            completion_tokens: usage.candidates_token_count.saturating_add(usage.thoughts_token_count),
            cached_tokens: usage.cached_content_token_count,
            reasoning_tokens: usage.thoughts_token_count,
        }
    }
}
