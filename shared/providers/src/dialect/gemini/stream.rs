//! Decodes the frames of an answer. Each is a response with the next parts. No frame is marked as the last: the stream
//! ends after a finish reason.

use hearth_domain::{ClientDialect, FinishReason, Reasoning, TokenLogprob, Usage};
use hearth_wire::{ApiError, ErrorCode, RunEventBody, event::ToolCallBegin, extension::Extension};

use super::{
    response::{Candidate, FunctionCall, Part, Response},
    thought_signature::{self, SignedPart},
};
use crate::{
    answer_error::{broken_off, unknown_finish_reason, unreadable},
    decoder::{Decoder, Frame, TOOL_CALLS_MAX_COUNT},
    dialect::{
        failure::{failure, named_failure, stated_failure},
        json,
        tool_calls::new_call_id,
    },
    lenient::is_present,
};

/// Decodes responses.
#[derive(Debug, Default)]
pub(in crate::dialect) struct GeminiDecoder {
    usage: Option<Usage>,
    /// Google has blocked the prompt.
    blocked: bool,
    candidates: Vec<CandidateState>,
}

/// The state of one answer.
#[derive(Debug, Default)]
struct CandidateState {
    /// The ids of the calls so far.
    calls: Vec<String>,
    /// Number of blocks of thoughts so far.
    blocks: u32,
    /// True if the latest block of thoughts is open.
    thinking: bool,
    /// Number of bytes of text so far.
    text_bytes: usize,
    /// True if the latest part of the frame is text. Texts of two frames are pieces of one part, those of one frame are two parts.
    after_text: bool,
    ended: Option<FinishReason>,
}

impl Decoder for GeminiDecoder {
    fn decode(&mut self, frame: Frame<'_>, events: &mut Vec<RunEventBody>) -> Result<(), ApiError> {
        if frame.data.trim() == "[DONE]" {
            events.extend(self.end()?);
            return Ok(());
        }
        if frame.event == "error" {
            return Err(named_failure(frame.data));
        }
        let Some(response) = json::parse::<Response>(frame.data)? else { return Ok(()) };
        if is_present(&response.error) {
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
        for candidate in response.candidates {
            self.candidate(candidate, events)?;
        }
        Ok(())
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
    fn candidate(
        &mut self,
        mut candidate: Candidate,
        events: &mut Vec<RunEventBody>,
    ) -> Result<(), ApiError> {
        let number = candidate.index.unwrap_or_default();
        let place = number as usize;
        if place >= hearth_domain::check::MAX_CHOICES as usize {
            return Err(unreadable(format!("a candidate number {number}")));
        }
        if place >= self.candidates.len() {
            self.candidates.resize_with(place + 1, CandidateState::default);
        }
        let state = &mut self.candidates[place];
        let own = candidate.take_own_fields();
        let mut logprobs: Vec<TokenLogprob> = candidate.logprobs_result.unwrap_or_default().into();
        state.after_text = false;
        for part in candidate.content.unwrap_or_default().parts {
            state.part(number, part, &mut logprobs, events)?;
        }
        if !own.is_empty() {
            events.push(extension(number, Extension::Fields(own)));
        }
        if !logprobs.is_empty() {
            events.push(RunEventBody::Delta { choice: number, text: String::new(), logprobs });
        }
        // The last reason counts: some servers send one in each frame.
        if let Some(reason) = candidate.finish_reason.filter(|reason| !reason.is_empty()) {
            state.ended = finish_reason(&reason, candidate.finish_message.as_deref())?.or(state.ended);
        }
        Ok(())
    }
}

impl CandidateState {
    /// Decodes a part. The frame's log-probabilities are attached to its first text.
    fn part(
        &mut self,
        choice: u32,
        mut part: Part,
        logprobs: &mut Vec<TokenLogprob>,
        events: &mut Vec<RunEventBody>,
    ) -> Result<(), ApiError> {
        let own = part.take_own_part();
        let Part { text, thought, thought_signature, function_call, .. } = part;
        let text = text.unwrap_or_default();
        let google_signature = thought_signature.filter(|signature| !signature.is_empty());
        let placed =
            |place| google_signature.as_deref().map(|signature| thought_signature::encode(place, signature));
        if let Some(FunctionCall { id, name, args }) = function_call {
            let Some(name) = name.filter(|name| !name.is_empty()) else {
                return Err(unreadable("a tool call without a name"));
            };
            let id = id.filter(|id| !self.calls.contains(id)).unwrap_or_else(new_call_id);
            let signature = placed(SignedPart::Call(&id));
            let begins = Some(ToolCallBegin { id: id.clone(), name });
            let arguments = args.filter(|args| !args.trim().is_empty()).unwrap_or_else(|| "{}".to_owned());
            let index = u32::try_from(self.calls.len()).unwrap_or(u32::MAX);
            (self.thinking, self.after_text) = (false, false);
            self.emit_signature(choice, signature, events);
            events.push(RunEventBody::ToolCall { choice, index, begins, arguments });
            if self.calls.len() >= TOOL_CALLS_MAX_COUNT {
                return Err(unreadable(format!("it has more than {TOOL_CALLS_MAX_COUNT} tool calls")));
            }
            self.calls.push(id);
        } else if let Some(own) = own {
            (self.thinking, self.after_text) = (false, false);
            events.push(extension(choice, Extension::Item(own)));
        } else if thought {
            let signature = placed(SignedPart::Thought);
            if text.is_empty() && signature.is_none() {
                return Ok(());
            }
            if !self.thinking {
                self.blocks += 1;
            }
            self.after_text = false;
            // A signature ends its block.
            self.thinking = signature.is_none();
            let added = Reasoning { text, signature, ..Reasoning::default() };
            events.push(RunEventBody::Reasoning { choice, index: self.blocks - 1, added });
        } else {
            let from = self.text_bytes;
            self.text_bytes += text.len();
            if !text.is_empty() {
                self.thinking = false;
                let is_after_text = std::mem::replace(&mut self.after_text, true);
                events.extend(is_after_text.then(|| extension(choice, Extension::TextBlock)));
                let logprobs = std::mem::take(logprobs);
                events.push(RunEventBody::Delta { choice, text, logprobs });
            }
            self.emit_signature(choice, placed(SignedPart::Text(from, self.text_bytes)), events);
        }
        Ok(())
    }

    /// Emits the signature of a text or a call as a block of thoughts of its own.
    fn emit_signature(&mut self, choice: u32, signature: Option<String>, events: &mut Vec<RunEventBody>) {
        if signature.is_some() {
            self.thinking = false;
            let added = Reasoning { signature, ..Reasoning::default() };
            events.push(RunEventBody::Reasoning { choice, index: self.blocks, added });
            self.blocks += 1;
        }
    }
}

fn extension(choice: u32, extension: Extension) -> RunEventBody {
    RunEventBody::Extension { choice, dialect: ClientDialect::Gemini, extension }
}

/// Maps a finish reason (docs/dialects.md has the table); `None` for the unspecified one. Output that Google itself can't
/// parse is an error.
fn finish_reason(reason: &str, message: Option<&str>) -> Result<Option<FinishReason>, ApiError> {
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
            let message = format!("the provider ended the answer because of an error ({reason}){message}");
            Err(ApiError::new(ErrorCode::ProviderError, message))
        }
        _ => Err(unknown_finish_reason(reason)),
    }
}
