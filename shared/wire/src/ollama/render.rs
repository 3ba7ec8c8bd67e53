//! Run events as `/api/chat` and `/api/generate` show them: a line for each piece of the answer, and a last one with
//! what it took. Calls of tools are shown whole, before the last line.

use hearth_domain::{FinishReason, RunId, Timestamp, TokenLogprob, Usage};
use serde::Serialize;

use super::{
    OllamaChatAnswer, OllamaError, OllamaGenerateAnswer, OllamaMessage, OllamaMetrics, OllamaToolCall,
    clock::Clock,
};
use crate::{
    ApiError, ErrorCode, RunEvent, RunEventBody,
    answer::{Answer, Answers, ending},
    openai::{logprobs::entries, reasoning::details},
    stream::{Frame, Framing, Render},
};

/// Takes a run's events in order; gives lines, or the whole answer at the end.
#[derive(Debug)]
pub struct Renderer {
    request_id: RunId,
    route: Route,
    /// The model, by the name that it was asked under.
    model: String,
    answers: Answers,
    usage: Usage,
    clock: Clock,
}

/// Which route's answer it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Route {
    Chat,
    Generate,
}

/// What an answer, or a line of a stream, says.
#[derive(Debug, Default)]
struct Piece {
    text: String,
    thinking: String,
    logprobs: Vec<TokenLogprob>,
    calls: Vec<OllamaToolCall>,
    /// The answer that is whole, and why it ended.
    end: Option<(FinishReason, Answer)>,
}

/// An answer of either route.
#[derive(Debug, Serialize)]
#[serde(untagged)]
pub enum OllamaAnswer {
    /// Of `/api/chat`.
    Chat(Box<OllamaChatAnswer>),
    /// Of `/api/generate`.
    Generate(Box<OllamaGenerateAnswer>),
}

impl Render for Renderer {
    type Answer = OllamaAnswer;

    const FRAMING: Framing = Framing::JsonLines;

    fn observe(&mut self, event: &RunEvent) {
        self.clock.note(&event.body);
    }

    fn keep_alive(&self) -> Option<Frame> {
        Some(self.frame(Piece::default()))
    }

    fn frames(&mut self, event: &RunEvent) -> Vec<Frame> {
        self.observe(event);
        self.note(&event.body);
        match &event.body {
            RunEventBody::Delta { choice: 0, text, logprobs } if !text.is_empty() || !logprobs.is_empty() => {
                let (text, logprobs) = (text.clone(), logprobs.clone());
                vec![self.frame(Piece { text, logprobs, ..Piece::default() })]
            }
            RunEventBody::Refusal { choice: 0, text } if !text.is_empty() => {
                vec![self.frame(Piece { text: text.clone(), ..Piece::default() })]
            }
            RunEventBody::Reasoning { choice: 0, added, .. } if !added.text.is_empty() => {
                vec![self.frame(Piece { thinking: added.text.clone(), ..Piece::default() })]
            }
            RunEventBody::Done { finish_reason } => self.last_frames(*finish_reason),
            RunEventBody::Error { error } => vec![self.error(error)],
            RunEventBody::Cancelled => {
                vec![self.error(&ApiError::new(ErrorCode::Cancelled, "the request was cancelled"))]
            }
            _ => Vec::new(),
        }
    }

    /// The line that says `done` ends the stream.
    fn last(&self) -> Option<Frame> {
        None
    }

    fn collected(mut self, events: &[RunEvent]) -> Result<OllamaAnswer, ApiError> {
        let reason = ending(events)?;
        events.iter().for_each(|event| self.note(&event.body));
        let answer = self.answer();
        let piece = Piece {
            text: answer.said(),
            thinking: answer.reasoning.iter().map(|block| block.text.as_str()).collect(),
            logprobs: answer.logprobs.clone(),
            calls: calls(&answer),
            end: Some((reason, answer)),
        };
        Ok(self.told(piece))
    }
}

impl Renderer {
    /// A renderer of `/api/chat` for the run `request_id`, before its first event.
    pub(super) fn chat(request_id: RunId, model: String) -> Self {
        Self::new(request_id, Route::Chat, model)
    }

    /// The same of `/api/generate`.
    pub(super) fn generate(request_id: RunId, model: String) -> Self {
        Self::new(request_id, Route::Generate, model)
    }

    fn new(request_id: RunId, route: Route, model: String) -> Self {
        let clock = Clock::start();
        Self { request_id, route, model, answers: Answers::default(), usage: Usage::default(), clock }
    }

    /// The answer to an empty request, which loaded the model or unloaded it: `done_reason` says which.
    #[must_use]
    pub fn without_run(&self, done_reason: &str) -> OllamaAnswer {
        let mut answer = self.told(Piece::default());
        let (done, reason) = match &mut answer {
            OllamaAnswer::Chat(answer) => (&mut answer.done, &mut answer.done_reason),
            OllamaAnswer::Generate(answer) => (&mut answer.done, &mut answer.done_reason),
        };
        (*done, *reason) = (true, Some(done_reason.to_owned()));
        answer
    }

    fn note(&mut self, event: &RunEventBody) {
        match event {
            RunEventBody::Usage { usage } => self.usage = *usage,
            event => self.answers.take(event),
        }
    }

    /// The only answer: this dialect has no word for others.
    fn answer(&self) -> Answer {
        self.answers.all().first().cloned().unwrap_or_default()
    }

    /// The calls in a line of their own, as Ollama shows them, and the line that says what the answer took.
    fn last_frames(&self, reason: FinishReason) -> Vec<Frame> {
        let answer = self.answer();
        let mut frames = Vec::new();
        let called = calls(&answer);
        if self.route == Route::Chat && !called.is_empty() {
            let line = Piece { calls: called, ..Piece::default() };
            let mut line = self.told(line);
            if let OllamaAnswer::Chat(line) = &mut line {
                line.message.reasoning_details = details(&answer.reasoning);
            }
            frames.push(Frame::json(None, &line));
        }
        frames.push(self.frame(Piece { end: Some((reason, answer)), ..Piece::default() }));
        frames
    }

    fn frame(&self, piece: Piece) -> Frame {
        Frame::json(None, &self.told(piece))
    }

    fn told(&self, piece: Piece) -> OllamaAnswer {
        let (model, created_at) = (self.model.clone(), Timestamp::now().to_string());
        let thinking = Some(piece.thinking).filter(|thoughts| !thoughts.is_empty());
        let logprobs = Some(entries(&piece.logprobs)).filter(|tokens| !tokens.is_empty());
        let done = piece.end.is_some();
        let metrics = piece.end.as_ref().map(|_| self.metrics()).unwrap_or_default();
        let structured =
            piece.end.as_ref().and_then(|(_, answer)| answer.structured.as_ref()).map(Into::into);
        let done_reason = piece.end.as_ref().map(|(reason, _)| done_reason(*reason).to_owned());
        if self.route == Route::Generate {
            let response = piece.text;
            return OllamaAnswer::Generate(Box::new(OllamaGenerateAnswer {
                model,
                created_at,
                response,
                thinking,
                logprobs,
                done,
                done_reason,
                metrics,
                structured,
            }));
        }
        // What the makers of thoughts want back they want with a call.
        let sealed = piece.end.filter(|_| !piece.calls.is_empty());
        let message = OllamaMessage {
            role: "assistant".to_owned(),
            content: Some(piece.text),
            thinking,
            reasoning_details: sealed.and_then(|(_, answer)| details(&answer.reasoning)),
            tool_calls: Some(piece.calls).filter(|calls| !calls.is_empty()),
            ..OllamaMessage::default()
        };
        OllamaAnswer::Chat(Box::new(OllamaChatAnswer {
            model,
            created_at,
            message,
            logprobs,
            done,
            done_reason,
            metrics,
            structured,
        }))
    }

    fn metrics(&self) -> OllamaMetrics {
        let durations = self.clock.durations();
        OllamaMetrics {
            total_duration: Some(durations.total),
            load_duration: Some(durations.load),
            prompt_eval_count: Some(self.usage.prompt_tokens),
            prompt_eval_duration: Some(durations.prompt),
            eval_count: Some(self.usage.completion_tokens),
            eval_duration: Some(durations.answer),
        }
    }

    fn error(&self, error: &ApiError) -> Frame {
        Frame::json(None, &OllamaError::new(error, &self.request_id.to_string()))
    }
}

fn calls(answer: &Answer) -> Vec<OllamaToolCall> {
    (0..).zip(&answer.tool_calls).map(|(index, call)| OllamaToolCall::of(index, call)).collect()
}

/// Ollama's reasons; a withheld answer has OpenAI's word, since none of Ollama's says so.
fn done_reason(reason: FinishReason) -> &'static str {
    match reason {
        FinishReason::Stop | FinishReason::ToolCalls | FinishReason::Cancelled => "stop",
        FinishReason::Length => "length",
        FinishReason::ContentFilter => "content_filter",
    }
}
