//! The frames of an answer: each is a whole response with some parts more. There is no last frame: the stream
//! ends after a reason has been given.

use hearth_domain::{FinishReason, Reasoning, TokenLogprob, Usage};
use hearth_wire::{ApiError, ErrorCode, RunEventBody, event::ToolCallBegin};

use super::{
    response::{Candidate, FunctionCall, Part, Response},
    seal::{self, Place},
};
use crate::{
    dialect::{
        Decoder, Frame, broken_off,
        failure::{failure, named_failure, stated_failure},
        json,
        tool_calls::new_call_id,
        unknown_finish_reason, unreadable,
    },
    lenient::says_something,
};

/// The most calls of one answer.
const CALLS_MAX_COUNT: usize = 1024;

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
    /// The ids of the calls that there were.
    calls: Vec<String>,
    /// How many blocks of thoughts have begun.
    blocks: u32,
    /// Whether the last of them goes on.
    thinking: bool,
    /// How many bytes of text there were.
    text: usize,
    ended: Option<FinishReason>,
}

impl Decoder for GeminiDecoder {
    fn take(&mut self, frame: Frame<'_>) -> Result<Vec<RunEventBody>, ApiError> {
        if frame.data.trim() == "[DONE]" {
            return self.end();
        }
        if frame.event == "error" {
            return Err(named_failure(frame.data));
        }
        let Some(response) = json::parse::<Response>(frame.data)? else { return Ok(Vec::new()) };
        if says_something(&response.error) {
            return Err(failure(&response.error));
        }
        if response.candidates.is_empty()
            && response.usage_metadata.is_none()
            && response.prompt_feedback.is_none()
            && let Some(error) = stated_failure(frame.data)
        {
            return Err(error);
        }
        self.usage = response.usage_metadata.map(Usage::from).or(self.usage);
        self.blocked |= response.prompt_feedback.is_some_and(|feedback| feedback.block_reason.is_some());
        let mut events = Vec::new();
        for candidate in response.candidates {
            self.candidate(candidate, &mut events)?;
        }
        Ok(events)
    }

    fn end(&mut self) -> Result<Vec<RunEventBody>, ApiError> {
        let mut reasons = Vec::with_capacity(self.candidates.len());
        for candidate in &self.candidates {
            let calls = !candidate.calls.is_empty();
            reasons.push(match candidate.ended.ok_or_else(broken_off)? {
                FinishReason::Stop if calls => FinishReason::ToolCalls,
                reason => reason,
            });
        }
        let done = match reasons.first() {
            Some(reason) => *reason,
            None if self.blocked => FinishReason::ContentFilter,
            None => return Err(broken_off()),
        };
        let others = (1..).zip(reasons.into_iter().skip(1));
        let mut events: Vec<RunEventBody> = others
            .map(|(choice, finish_reason)| RunEventBody::ChoiceDone { choice, finish_reason })
            .collect();
        events.extend(self.usage.map(|usage| RunEventBody::Usage { usage }));
        events.push(RunEventBody::Done { finish_reason: done });
        Ok(events)
    }
}

impl GeminiDecoder {
    fn candidate(&mut self, said: Candidate, events: &mut Vec<RunEventBody>) -> Result<(), ApiError> {
        let number = said.index.unwrap_or_default();
        let place = number as usize;
        if place >= hearth_domain::check::MAX_CHOICES as usize {
            return Err(unreadable(format!("a candidate number {number}")));
        }
        if place >= self.candidates.len() {
            self.candidates.resize_with(place + 1, Answering::default);
        }
        let candidate = &mut self.candidates[place];
        let mut logprobs: Vec<TokenLogprob> = said.logprobs_result.unwrap_or_default().into();
        for part in said.content.unwrap_or_default().parts {
            candidate.part(number, part, &mut logprobs, events)?;
        }
        if !logprobs.is_empty() {
            events.push(RunEventBody::Delta { choice: number, text: String::new(), logprobs });
        }
        // The last one counts: some servers give one in each frame.
        if let Some(reason) = said.finish_reason.filter(|reason| !reason.is_empty()) {
            candidate.ended = ending(&reason, said.finish_message.as_deref())?.or(candidate.ended);
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
    ) -> Result<(), ApiError> {
        let Part { text, thought, thought_signature: seal, function_call } = part;
        let text = text.unwrap_or_default();
        let seal = seal.filter(|seal| !seal.is_empty());
        let sealed = |place| seal.as_deref().map(|seal| seal::signature(place, seal));
        if let Some(FunctionCall { id, name, args }) = function_call {
            let Some(name) = name.filter(|name| !name.is_empty()) else {
                return Err(unreadable("a tool call without a name"));
            };
            let id = id.filter(|id| !self.calls.contains(id)).unwrap_or_else(new_call_id);
            let signature = sealed(Place::Call(&id));
            let begins = Some(ToolCallBegin { id: id.clone(), name });
            let arguments = args.filter(|args| !args.trim().is_empty()).unwrap_or_else(|| "{}".to_owned());
            let index = u32::try_from(self.calls.len()).unwrap_or(u32::MAX);
            self.thinking = false;
            self.seal(choice, signature, events);
            events.push(RunEventBody::ToolCall { choice, index, begins, arguments });
            if self.calls.len() >= CALLS_MAX_COUNT {
                return Err(unreadable(format!("it has more than {CALLS_MAX_COUNT} tool calls")));
            }
            self.calls.push(id);
        } else if thought {
            let signature = sealed(Place::Thought);
            if text.is_empty() && signature.is_none() {
                return Ok(());
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
        Ok(())
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

/// What a finish reason means (docs/dialects.md has the table); nothing for the one that Google doesn't use. What was no
/// use to Google itself is a failure.
fn ending(reason: &str, message: Option<&str>) -> Result<Option<FinishReason>, ApiError> {
    match reason {
        "FINISH_REASON_UNSPECIFIED" => Ok(None),
        "STOP" => Ok(Some(FinishReason::Stop)),
        "MAX_TOKENS" => Ok(Some(FinishReason::Length)),
        "SAFETY"
        | "RECITATION"
        | "LANGUAGE"
        | "BLOCKLIST"
        | "PROHIBITED_CONTENT"
        | "SPII"
        | "MODEL_ARMOR"
        | "IMAGE_SAFETY"
        | "IMAGE_PROHIBITED_CONTENT"
        | "IMAGE_RECITATION" => Ok(Some(FinishReason::ContentFilter)),
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
        _ => Err(unknown_finish_reason(reason)),
    }
}
