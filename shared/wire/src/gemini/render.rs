//! Run events as the Gemini dialect shows them: each frame is a whole response with some parts more
//! (<https://ai.google.dev/api/generate-content#method:-models.streamgeneratecontent>).
//!
//! There is no last frame, and no event has a name. A call is sent whole, since a part has no words for a piece of one.

use hearth_domain::{FinishReason, Reasoning, RunId, TokenLogprob, Usage};

use super::{
    GeminiCandidate, GeminiContent, GeminiError, GeminiFunctionCall, GeminiLogprobs, GeminiPart,
    GeminiPromptFeedback, GenerateContentAnswer,
    answer::finish_reason,
    seal::{self, Place},
    signature,
};
use crate::{
    ApiError, ErrorCode, RunEvent, RunEventBody,
    answer::{Answer, Answers, ending},
    json_scanner::JsonScanner,
    stream::{Frame, Framing, Render},
};

/// Takes a run's events in order; gives frames, and the whole answer at the end.
#[derive(Debug)]
pub struct Renderer {
    request_id: RunId,
    shows_thoughts: bool,
    framing: Framing,
    model: String,
    answers: Answers,
    usage: Usage,
    sent: Vec<Sent>,
}

/// How much of an answer is sent.
#[derive(Debug, Default)]
struct Sent {
    /// How much of each call's arguments was read.
    scanners: Vec<(JsonScanner, usize)>,
    /// How many calls are sent.
    calls: usize,
    /// How many blocks of thoughts are packed into signatures.
    packed: usize,
    ended: bool,
}

impl Render for Renderer {
    type Answer = GenerateContentAnswer;

    const FRAMING: Framing = Framing::QuietEvents;

    fn framing(&self) -> Framing {
        self.framing
    }

    fn frames(&mut self, event: &RunEvent) -> Vec<Frame> {
        self.note(&event.body);
        match &event.body {
            RunEventBody::Delta { choice, text, logprobs } if !text.is_empty() || !logprobs.is_empty() => {
                vec![self.text(*choice, text, logprobs)]
            }
            RunEventBody::Refusal { choice, text } if !text.is_empty() => vec![self.text(*choice, text, &[])],
            RunEventBody::Reasoning { choice, added, .. } => self.thoughts(*choice, added),
            RunEventBody::ToolCall { choice, index, .. } => self.calls(*choice, *index),
            RunEventBody::ChoiceDone { choice, .. } => self.end(&[*choice]),
            RunEventBody::Done { .. } => {
                let all: Vec<u32> = (0..).take(self.answers.all().len()).collect();
                self.end(&all)
            }
            RunEventBody::Error { error } => vec![error_frame(error, self.request_id)],
            RunEventBody::Cancelled => {
                let error = ApiError::new(ErrorCode::Cancelled, "the request was cancelled");
                vec![error_frame(&error, self.request_id)]
            }
            _ => Vec::new(),
        }
    }

    fn last(&self) -> Option<Frame> {
        None
    }

    fn collected(mut self, events: &[RunEvent]) -> Result<GenerateContentAnswer, ApiError> {
        let reason = ending(events)?;
        events.iter().for_each(|event| self.note(&event.body));
        let usage = Some(self.usage.into());
        if self.is_blocked(reason) {
            return Ok(GenerateContentAnswer { usage_metadata: usage, ..self.blocked() });
        }
        let candidates = (0..).zip(self.answers.all());
        let candidates = candidates.map(|(index, answer)| GeminiCandidate {
            content: GeminiContent::of_model(parts(answer, self.shows_thoughts)),
            logprobs_result: GeminiLogprobs::of(&answer.logprobs),
            ..ended(index, answer, reason)
        });
        Ok(GenerateContentAnswer { usage_metadata: usage, ..self.response(candidates.collect()) })
    }
}

impl Renderer {
    /// A renderer for the run `request_id`, before its first event.
    pub(super) fn new(request_id: RunId, shows_thoughts: bool) -> Self {
        Self {
            request_id,
            shows_thoughts,
            framing: Self::FRAMING,
            model: String::new(),
            answers: Answers::default(),
            usage: Usage::default(),
            sent: Vec::new(),
        }
    }

    /// The same, with the pieces of a stream as the items of one JSON array.
    #[must_use]
    pub fn as_array(self) -> Self {
        Self { framing: Framing::JsonArray, ..self }
    }

    /// What later frames, or the whole answer, tell of an event.
    fn note(&mut self, event: &RunEventBody) {
        match event {
            RunEventBody::Selected(selected) => self.model.clone_from(&selected.model),
            RunEventBody::Started { prompt_tokens } => self.usage.prompt_tokens = *prompt_tokens,
            RunEventBody::Usage { usage } => self.usage = *usage,
            event => self.answers.take(event),
        }
        self.sent.resize_with(self.answers.all().len(), Sent::default);
    }

    fn response(&self, candidates: Vec<GeminiCandidate>) -> GenerateContentAnswer {
        GenerateContentAnswer {
            candidates,
            prompt_feedback: None,
            usage_metadata: None,
            model_version: self.model.clone(),
            response_id: self.request_id.to_string(),
        }
    }

    /// Whether nothing at all was said, since somebody wouldn't.
    fn is_blocked(&self, reason: FinishReason) -> bool {
        let [answer] = self.answers.all() else { return false };
        reason == FinishReason::ContentFilter && answer.said().is_empty() && answer.tool_calls.is_empty()
    }

    fn blocked(&self) -> GenerateContentAnswer {
        let block_reason = "OTHER".to_owned();
        GenerateContentAnswer {
            prompt_feedback: Some(GeminiPromptFeedback { block_reason }),
            ..self.response(Vec::new())
        }
    }

    /// A frame with parts of one answer.
    fn frame(&self, choice: u32, parts: Vec<GeminiPart>) -> Frame {
        let content = GeminiContent::of_model(parts);
        Frame::json(
            None,
            &self.response(vec![GeminiCandidate { content, index: choice, ..GeminiCandidate::default() }]),
        )
    }

    fn text(&self, choice: u32, text: &str, logprobs: &[TokenLogprob]) -> Frame {
        let candidate = GeminiCandidate {
            content: GeminiContent::of_model(vec![GeminiPart::text(text)]),
            index: choice,
            logprobs_result: GeminiLogprobs::of(logprobs),
            ..GeminiCandidate::default()
        };
        Frame::json(None, &self.response(vec![candidate]))
    }

    /// Thoughts, if the client asked for them, and a seal of Google's on what was sent before it. Seals of calls are sent
    /// with their calls.
    fn thoughts(&self, choice: u32, added: &Reasoning) -> Vec<Frame> {
        let sealed = added.signature.as_deref().and_then(seal::read);
        let part = match sealed {
            Some((Place::Text(..), seal)) => GeminiPart::text("").sealed(Some(seal.to_owned())),
            Some((Place::Thought, seal)) if self.shows_thoughts => {
                GeminiPart::thought(&added.text).sealed(Some(seal.to_owned()))
            }
            _ if self.shows_thoughts && !added.text.is_empty() => GeminiPart::thought(&added.text),
            _ => return Vec::new(),
        };
        vec![self.frame(choice, vec![part])]
    }

    /// Reads on in the arguments of a call, and sends the calls that are whole, in order.
    fn calls(&mut self, choice: u32, number: u32) -> Vec<Frame> {
        let (Some(answer), Some(sent)) =
            (self.answers.all().get(choice as usize), self.sent.get_mut(choice as usize))
        else {
            return Vec::new();
        };
        let number = number as usize;
        if sent.scanners.len() < answer.tool_calls.len() {
            sent.scanners.resize_with(answer.tool_calls.len(), Default::default);
        }
        if let (Some((scanner, read)), Some(call)) =
            (sent.scanners.get_mut(number), answer.tool_calls.get(number))
        {
            scanner.push(call.arguments.as_bytes().get(*read..).unwrap_or_default());
            *read = call.arguments.len();
        }
        let mut parts = Vec::new();
        while sent.scanners.get(sent.calls).is_some_and(|(scanner, _)| scanner.is_complete()) {
            parts.push(called(answer, sent.calls, &mut sent.packed));
            sent.calls += 1;
        }
        if parts.is_empty() { Vec::new() } else { vec![self.frame(choice, parts)] }
    }

    /// The calls that are left when an answer ends, whole or not.
    fn last_calls(&mut self, choice: u32) -> Option<Frame> {
        let (answer, sent) = (self.answers.all().get(choice as usize)?, self.sent.get_mut(choice as usize)?);
        let left = sent.calls..answer.tool_calls.len();
        let parts: Vec<GeminiPart> = left.map(|number| called(answer, number, &mut sent.packed)).collect();
        sent.calls = answer.tool_calls.len();
        (!parts.is_empty()).then(|| self.frame(choice, parts))
    }

    /// The ends of those of the answers that have ended, with their last calls.
    fn end(&mut self, choices: &[u32]) -> Vec<Frame> {
        let mut frames = Vec::new();
        let mut candidates = Vec::new();
        for choice in choices {
            frames.extend(self.last_calls(*choice));
            let index = *choice as usize;
            let (Some(answer), Some(sent)) = (self.answers.all().get(index), self.sent.get_mut(index)) else {
                continue;
            };
            if std::mem::replace(&mut sent.ended, true) {
                continue;
            }
            let reason = answer.finish_reason.unwrap_or(FinishReason::Stop);
            let rest = if sent.calls > 0 { pack_from(answer, &mut sent.packed) } else { None };
            // Clients count on a part in each piece of a stream.
            let content = GeminiContent::of_model(vec![GeminiPart::text("").sealed(rest)]);
            candidates.push(GeminiCandidate { content, ..ended(*choice, answer, reason) });
        }
        let reason = self.answers.all().first().and_then(|answer| answer.finish_reason);
        let last = match reason {
            Some(reason) if self.is_blocked(reason) => self.blocked(),
            _ if candidates.is_empty() => return frames,
            _ => self.response(candidates),
        };
        frames.push(Frame::json(
            None,
            &GenerateContentAnswer { usage_metadata: Some(self.usage.into()), ..last },
        ));
        frames
    }
}

fn error_frame(error: &ApiError, id: RunId) -> Frame {
    Frame::json(None, &GeminiError::new(error, &id.to_string()))
}

/// The end of an answer; `reason` is the run's.
fn ended(index: u32, answer: &Answer, reason: FinishReason) -> GeminiCandidate {
    let reason = answer.finish_reason.unwrap_or(reason);
    GeminiCandidate {
        finish_reason: Some(finish_reason(reason).to_owned()),
        index,
        structured: answer.structured.as_ref().map(Into::into),
        ..GeminiCandidate::default()
    }
}

/// The parts of a whole answer.
fn parts(answer: &Answer, shows_thoughts: bool) -> Vec<GeminiPart> {
    let mut parts = Vec::new();
    if shows_thoughts {
        parts.extend(answer.reasoning.iter().filter_map(|block| {
            let sealed = block.signature.as_deref().and_then(seal::read);
            let seal = sealed.and_then(|(place, seal)| (place == Place::Thought).then(|| seal.to_owned()));
            (!block.text.is_empty() || seal.is_some()).then(|| GeminiPart::thought(&block.text).sealed(seal))
        }));
    }
    parts.extend(sealed_text(answer));
    let mut packed = 0;
    parts.extend((0..answer.tool_calls.len()).map(|number| called(answer, number, &mut packed)));
    parts
}

/// The text, cut where seals begin and end. A seal that has no place in it follows in an empty part.
fn sealed_text(answer: &Answer) -> Vec<GeminiPart> {
    let text = answer.said();
    let (mut parts, mut rest, mut done) = (Vec::new(), Vec::new(), 0);
    for (place, seal) in answer.reasoning.iter().filter_map(|block| seal::read(block.signature.as_deref()?)) {
        let Place::Text(from, to) = place else { continue };
        let seal = Some(seal.to_owned());
        match text.get(done..from).zip(text.get(from..to)) {
            Some((before, sealed)) => {
                parts.extend((!before.is_empty()).then(|| GeminiPart::text(before)));
                parts.push(GeminiPart::text(sealed).sealed(seal));
                done = to;
            }
            None => rest.push(GeminiPart::text("").sealed(seal)),
        }
    }
    parts.extend(text.get(done..).filter(|after| !after.is_empty()).map(GeminiPart::text));
    parts.extend(rest);
    parts
}

/// The call of this number, with its seal: Google's own, or the thoughts of another maker that aren't `packed` yet.
fn called(answer: &Answer, number: usize, packed: &mut usize) -> GeminiPart {
    let Some(call) = answer.tool_calls.get(number) else { return GeminiPart::default() };
    let seals = answer.reasoning.iter().filter_map(|block| seal::read(block.signature.as_deref()?));
    let own = seals.into_iter().find(|(place, _)| *place == Place::Call(&call.id));
    let signature = own.map(|(_, seal)| seal.to_owned()).or_else(|| pack_from(answer, packed));
    let function_call = GeminiFunctionCall {
        id: Some(call.id.clone()),
        name: call.name.clone(),
        // Clients count on an object, whatever became of it.
        args: Some(serde_json::from_str(&call.arguments).unwrap_or_default()),
        ..GeminiFunctionCall::default()
    };
    GeminiPart { function_call: Some(function_call), ..GeminiPart::default() }.sealed(signature)
}

/// Packs the blocks of thoughts from the number `packed` on. What Google thought is sealed elsewhere.
fn pack_from(answer: &Answer, packed: &mut usize) -> Option<String> {
    let is_googles = |block: &Reasoning| block.signature.as_deref().is_some_and(seal::is_googles);
    if answer.reasoning.iter().any(is_googles) {
        return None;
    }
    let blocks = answer.reasoning.get(*packed..).unwrap_or_default();
    *packed = answer.reasoning.len();
    signature::pack(blocks)
}
