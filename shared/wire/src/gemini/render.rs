//! Renders run events as Gemini's stream: each frame is a whole response with further parts
//! (<https://ai.google.dev/api/generate-content#method:-models.streamgeneratecontent>).
//!
//! There is no final frame, and frames have no names. A call is sent whole, since a part can't be a piece of one.

use hearth_domain::{ClientDialect, FinishReason, Reasoning, RunId, TokenLogprob};

use super::{
    GeminiCandidate, GeminiContent, GeminiError, GeminiLogprobs, GeminiPart, GeminiPromptFeedback,
    GenerateContentAnswer,
    answer::finish_reason,
    answer_parts::{answer_parts, call_part, pack_reasoning},
    thought_signature::{self, SignedPart},
};
use crate::{
    ApiError, RunEvent, RunEventBody,
    answer::{Answer, RunSummary, cancelled, final_outcome},
    extension::Extension,
    json_scanner::JsonScanner,
    stream::{Frame, Framing, Render},
};

/// Renders the events of one run.
#[derive(Debug)]
pub struct GeminiRenderer {
    request_id: RunId,
    shows_thoughts: bool,
    framing: Framing,
    run: RunSummary,
    /// Progress of each answer.
    progress: Vec<Progress>,
}

/// The part of an answer that has been rendered.
#[derive(Debug, Default)]
struct Progress {
    /// A scanner of each call's arguments, and the number of bytes that it has read.
    scanners: Vec<(JsonScanner, usize)>,
    /// Number of rendered calls.
    calls: usize,
    /// Number of reasoning blocks that are packed into signatures.
    packed: usize,
    ended: bool,
}

impl Render for GeminiRenderer {
    type Answer = GenerateContentAnswer;

    const FRAMING: Framing = Framing::QuietEvents;

    fn framing(&self) -> Framing {
        self.framing
    }

    fn frames(&mut self, event: &RunEvent) -> Vec<Frame> {
        self.apply(&event.body);
        match &event.body {
            RunEventBody::Delta { choice, text, logprobs } if !text.is_empty() || !logprobs.is_empty() => {
                vec![self.text_frame(*choice, text, logprobs)]
            }
            RunEventBody::Refusal { choice, text } if !text.is_empty() => {
                vec![self.text_frame(*choice, text, &[])]
            }
            RunEventBody::Reasoning { choice, added, .. } => self.reasoning_frames(*choice, added),
            RunEventBody::ToolCall { choice, index, .. } => self.call_frames(*choice, *index),
            RunEventBody::Extension {
                choice,
                dialect: ClientDialect::Gemini,
                extension: Extension::Item(item),
            } => {
                let part =
                    GeminiPart::of_provider(item).filter(|part| self.shows_thoughts || !part.is_thought());
                part.map(|part| self.frame(*choice, vec![part])).into_iter().collect()
            }
            RunEventBody::ChoiceDone { choice, .. } => self.end(&[*choice]),
            RunEventBody::Done { .. } => {
                let all: Vec<u32> = (0..).take(self.run.answers.all().len()).collect();
                self.end(&all)
            }
            RunEventBody::Error { error } => vec![error_frame(error, self.request_id)],
            RunEventBody::Cancelled => vec![error_frame(&cancelled(), self.request_id)],
            _ => Vec::new(),
        }
    }

    fn final_frame(&self) -> Option<Frame> {
        None
    }

    fn into_answer(mut self, events: &[RunEvent]) -> Result<GenerateContentAnswer, ApiError> {
        let reason = final_outcome(events)?;
        events.iter().for_each(|event| self.apply(&event.body));
        let usage = Some(self.run.usage.into());
        if self.is_blocked(reason) {
            return Ok(GenerateContentAnswer { usage_metadata: usage, ..self.blocked() });
        }
        let candidates = (0..).zip(self.run.answers.all());
        let candidates = candidates.map(|(index, answer)| GeminiCandidate {
            content: GeminiContent::of_model(answer_parts(answer, self.shows_thoughts)),
            logprobs_result: GeminiLogprobs::of(&answer.logprobs),
            ..ended_candidate(index, answer, reason)
        });
        Ok(GenerateContentAnswer { usage_metadata: usage, ..self.response(candidates.collect()) })
    }
}

impl GeminiRenderer {
    /// Creates a renderer for the run `request_id`, before its first event.
    pub(super) fn new(request_id: RunId, shows_thoughts: bool) -> Self {
        Self {
            request_id,
            shows_thoughts,
            framing: Self::FRAMING,
            run: RunSummary::default(),
            progress: Vec::new(),
        }
    }

    /// Renders a stream as one JSON array, with its frames as items.
    #[must_use]
    pub fn as_array(self) -> Self {
        Self { framing: Framing::JsonArray, ..self }
    }

    fn apply(&mut self, event: &RunEventBody) {
        self.run.apply(event);
        self.progress.resize_with(self.run.answers.all().len(), Progress::default);
    }

    fn response(&self, candidates: Vec<GeminiCandidate>) -> GenerateContentAnswer {
        GenerateContentAnswer {
            candidates,
            prompt_feedback: None,
            usage_metadata: None,
            model_version: self.run.model.clone(),
            response_id: self.request_id.to_string(),
        }
    }

    /// Returns whether a content filter left no answer at all.
    fn is_blocked(&self, reason: FinishReason) -> bool {
        let [answer] = self.run.answers.all() else { return false };
        reason == FinishReason::ContentFilter
            && answer.text_with_refusal().is_empty()
            && answer.tool_calls.is_empty()
            && answer.extensions_in(ClientDialect::Gemini).all(|placed| !placed.is_item())
    }

    fn blocked(&self) -> GenerateContentAnswer {
        let block_reason = "OTHER".to_owned();
        GenerateContentAnswer {
            prompt_feedback: Some(GeminiPromptFeedback { block_reason }),
            ..self.response(Vec::new())
        }
    }

    /// Renders parts of one answer.
    fn frame(&self, choice: u32, parts: Vec<GeminiPart>) -> Frame {
        let content = GeminiContent::of_model(parts);
        Frame::json(
            None,
            &self.response(vec![GeminiCandidate { content, index: choice, ..GeminiCandidate::default() }]),
        )
    }

    fn text_frame(&self, choice: u32, text: &str, logprobs: &[TokenLogprob]) -> Frame {
        let candidate = GeminiCandidate {
            content: GeminiContent::of_model(vec![GeminiPart::text(text)]),
            index: choice,
            logprobs_result: GeminiLogprobs::of(logprobs),
            ..GeminiCandidate::default()
        };
        Frame::json(None, &self.response(vec![candidate]))
    }

    /// Renders reasoning, if the client asked for it, and signatures of text that was rendered before. Signatures of calls
    /// are rendered with their calls.
    fn reasoning_frames(&self, choice: u32, added: &Reasoning) -> Vec<Frame> {
        let signed = added.signature.as_deref().and_then(thought_signature::decode);
        let part = match signed {
            Some((SignedPart::Text(..), signature)) => {
                GeminiPart::text("").with_signature(Some(signature.to_owned()))
            }
            Some((SignedPart::Thought, signature)) if self.shows_thoughts => {
                GeminiPart::thought(&added.text).with_signature(Some(signature.to_owned()))
            }
            _ if self.shows_thoughts && !added.text.is_empty() => GeminiPart::thought(&added.text),
            _ => return Vec::new(),
        };
        vec![self.frame(choice, vec![part])]
    }

    /// Scans the new arguments of a call, and renders the calls that are complete, in order.
    fn call_frames(&mut self, choice: u32, number: u32) -> Vec<Frame> {
        let (Some(answer), Some(progress)) =
            (self.run.answers.all().get(choice as usize), self.progress.get_mut(choice as usize))
        else {
            return Vec::new();
        };
        let number = number as usize;
        if progress.scanners.len() < answer.tool_calls.len() {
            progress.scanners.resize_with(answer.tool_calls.len(), Default::default);
        }
        if let (Some((scanner, read_bytes)), Some(call)) =
            (progress.scanners.get_mut(number), answer.tool_calls.get(number))
        {
            scanner.push(call.arguments.as_bytes().get(*read_bytes..).unwrap_or_default());
            *read_bytes = call.arguments.len();
        }
        let mut parts = Vec::new();
        while progress.scanners.get(progress.calls).is_some_and(|(scanner, _)| scanner.is_complete()) {
            parts.push(call_part(answer, progress.calls, &mut progress.packed));
            progress.calls += 1;
        }
        if parts.is_empty() { Vec::new() } else { vec![self.frame(choice, parts)] }
    }

    /// Renders the remaining calls of an answer that has ended, complete or not.
    fn remaining_calls(&mut self, choice: u32) -> Option<Frame> {
        let (answer, progress) =
            (self.run.answers.all().get(choice as usize)?, self.progress.get_mut(choice as usize)?);
        let remaining = progress.calls..answer.tool_calls.len();
        let parts: Vec<GeminiPart> =
            remaining.map(|number| call_part(answer, number, &mut progress.packed)).collect();
        progress.calls = answer.tool_calls.len();
        (!parts.is_empty()).then(|| self.frame(choice, parts))
    }

    /// Renders the ends of answers, with their remaining calls.
    fn end(&mut self, choices: &[u32]) -> Vec<Frame> {
        let mut frames = Vec::new();
        let mut candidates = Vec::new();
        for choice in choices {
            frames.extend(self.remaining_calls(*choice));
            let index = *choice as usize;
            let (Some(answer), Some(progress)) =
                (self.run.answers.all().get(index), self.progress.get_mut(index))
            else {
                continue;
            };
            if std::mem::replace(&mut progress.ended, true) {
                continue;
            }
            let reason = answer.finish_reason.unwrap_or(FinishReason::Stop);
            let signature =
                if progress.calls > 0 { pack_reasoning(answer, &mut progress.packed) } else { None };
            // Clients require a part in each frame.
            let content = GeminiContent::of_model(vec![GeminiPart::text("").with_signature(signature)]);
            candidates.push(GeminiCandidate { content, ..ended_candidate(*choice, answer, reason) });
        }
        let reason = self.run.answers.all().first().and_then(|answer| answer.finish_reason);
        let last = match reason {
            Some(reason) if self.is_blocked(reason) => self.blocked(),
            _ if candidates.is_empty() => return frames,
            _ => self.response(candidates),
        };
        frames.push(Frame::json(
            None,
            &GenerateContentAnswer { usage_metadata: Some(self.run.usage.into()), ..last },
        ));
        frames
    }
}

fn error_frame(error: &ApiError, id: RunId) -> Frame {
    Frame::json(None, &GeminiError::new(error, &id.to_string()))
}

/// Returns the end of an answer. `reason` is the run's, for an answer without its own.
fn ended_candidate(index: u32, answer: &Answer, reason: FinishReason) -> GeminiCandidate {
    let reason = answer.finish_reason.unwrap_or(reason);
    let field = |name| answer.extension_field(ClientDialect::Gemini, name).cloned();
    GeminiCandidate {
        finish_reason: Some(finish_reason(reason).to_owned()),
        index,
        structured: answer.structured.as_ref().map(Into::into),
        citation_metadata: field("citationMetadata"),
        grounding_metadata: field("groundingMetadata"),
        url_context_metadata: field("urlContextMetadata"),
        ..GeminiCandidate::default()
    }
}
