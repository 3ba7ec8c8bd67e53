//! Renders run events for `/api/chat` and `/api/generate`: a line for each piece of the answer, and a last one with durations
//! and token counts. Tool calls are rendered whole, before the last line.

use hearth_domain::{FinishReason, RunId, Timestamp, TokenLogprob};
use serde::Serialize;

use super::{
    OllamaChatAnswer, OllamaError, OllamaGenerateAnswer, OllamaMessage, OllamaMetrics, OllamaToolCall,
    run_timer::RunTimer,
};
use crate::{
    ApiError, RunEvent, RunEventBody,
    answer::{Answer, RunSummary, cancelled, final_outcome},
    logprobs::token_logprobs,
    reasoning::reasoning_details,
    stream::{Frame, Framing, Render},
};

/// Renders the events of one run.
#[derive(Debug)]
pub struct OllamaRenderer {
    request_id: RunId,
    route: Route,
    /// The model, by its name in the request.
    model: String,
    run: RunSummary,
    timer: RunTimer,
}

/// The route.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Route {
    Chat,
    Generate,
}

/// The content of an answer, or of a line of a stream.
#[derive(Debug, Default)]
struct Piece {
    text: String,
    thinking: String,
    logprobs: Vec<TokenLogprob>,
    calls: Vec<OllamaToolCall>,
    /// The finish reason and the whole answer, once it is complete.
    end: Option<(FinishReason, Answer)>,
}

/// An answer of either route.
#[derive(Debug, Serialize)]
#[serde(untagged)]
pub enum OllamaAnswer {
    /// An answer of `/api/chat`.
    Chat(Box<OllamaChatAnswer>),
    /// An answer of `/api/generate`.
    Generate(Box<OllamaGenerateAnswer>),
}

impl Render for OllamaRenderer {
    type Answer = OllamaAnswer;

    const FRAMING: Framing = Framing::JsonLines;

    fn observe(&mut self, event: &RunEvent) {
        self.timer.record(&event.body);
    }

    fn keep_alive(&self) -> Option<Frame> {
        Some(self.frame(Piece::default()))
    }

    fn frames(&mut self, event: &RunEvent) -> Vec<Frame> {
        self.observe(event);
        self.run.apply(&event.body);
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
            RunEventBody::Cancelled => vec![self.error(&cancelled())],
            _ => Vec::new(),
        }
    }

    /// None: the line with `done` ends the stream.
    fn final_frame(&self) -> Option<Frame> {
        None
    }

    fn into_answer(mut self, events: &[RunEvent]) -> Result<OllamaAnswer, ApiError> {
        let reason = final_outcome(events)?;
        events.iter().for_each(|event| self.run.apply(&event.body));
        let answer = self.answer();
        let piece = Piece {
            text: answer.text_with_refusal(),
            thinking: answer.reasoning.iter().map(|block| block.text.as_str()).collect(),
            logprobs: answer.logprobs.clone(),
            calls: tool_calls(&answer),
            end: Some((reason, answer)),
        };
        Ok(self.render(piece))
    }
}

impl OllamaRenderer {
    /// Creates a renderer of `/api/chat` for the run `request_id`, before its first event.
    pub(super) fn chat(request_id: RunId, model: String) -> Self {
        Self::new(request_id, Route::Chat, model)
    }

    /// Creates a renderer of `/api/generate` for the run `request_id`, before its first event.
    pub(super) fn generate(request_id: RunId, model: String) -> Self {
        Self::new(request_id, Route::Generate, model)
    }

    fn new(request_id: RunId, route: Route, model: String) -> Self {
        Self { request_id, route, model, run: RunSummary::default(), timer: RunTimer::start() }
    }

    /// Renders the answer to an empty request. `done_reason` is `load` or `unload`.
    #[must_use]
    pub fn without_run(&self, done_reason: &str) -> OllamaAnswer {
        let mut answer = self.render(Piece::default());
        let (done, reason) = match &mut answer {
            OllamaAnswer::Chat(answer) => (&mut answer.done, &mut answer.done_reason),
            OllamaAnswer::Generate(answer) => (&mut answer.done, &mut answer.done_reason),
        };
        (*done, *reason) = (true, Some(done_reason.to_owned()));
        answer
    }

    /// The only answer: this dialect has no others.
    fn answer(&self) -> Answer {
        self.run.answers.all().first().cloned().unwrap_or_default()
    }

    /// Renders the calls in a line of their own, as Ollama does, and the last line.
    fn last_frames(&self, reason: FinishReason) -> Vec<Frame> {
        let answer = self.answer();
        let mut frames = Vec::new();
        let calls = tool_calls(&answer);
        if self.route == Route::Chat && !calls.is_empty() {
            let mut line = self.render(Piece { calls, ..Piece::default() });
            if let OllamaAnswer::Chat(line) = &mut line {
                line.message.reasoning_details = reasoning_details(&answer.reasoning);
            }
            frames.push(Frame::json(None, &line));
        }
        frames.push(self.frame(Piece { end: Some((reason, answer)), ..Piece::default() }));
        frames
    }

    fn frame(&self, piece: Piece) -> Frame {
        Frame::json(None, &self.render(piece))
    }

    fn render(&self, piece: Piece) -> OllamaAnswer {
        let (model, created_at) = (self.model.clone(), Timestamp::now().to_string());
        let thinking = Some(piece.thinking).filter(|text| !text.is_empty());
        let logprobs = Some(token_logprobs(&piece.logprobs)).filter(|tokens| !tokens.is_empty());
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
        // Vendors need signatures and encrypted reasoning back only with tool calls.
        let with_calls = piece.end.filter(|_| !piece.calls.is_empty());
        let message = OllamaMessage {
            role: "assistant".to_owned(),
            content: Some(piece.text),
            thinking,
            reasoning_details: with_calls.and_then(|(_, answer)| reasoning_details(&answer.reasoning)),
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
        let durations = self.timer.durations();
        OllamaMetrics {
            total_duration: Some(durations.total),
            load_duration: Some(durations.load),
            prompt_eval_count: Some(self.run.usage.prompt_tokens),
            prompt_eval_duration: Some(durations.prompt),
            eval_count: Some(self.run.usage.completion_tokens),
            eval_duration: Some(durations.answer),
        }
    }

    fn error(&self, error: &ApiError) -> Frame {
        Frame::json(None, &OllamaError::new(error, &self.request_id.to_string()))
    }
}

fn tool_calls(answer: &Answer) -> Vec<OllamaToolCall> {
    (0..).zip(&answer.tool_calls).map(|(index, call)| OllamaToolCall::of(index, call)).collect()
}

/// Ollama's name of a finish reason. It has none for `content_filter`, so that is OpenAI's.
fn done_reason(reason: FinishReason) -> &'static str {
    match reason {
        FinishReason::Stop | FinishReason::ToolCalls | FinishReason::Cancelled => "stop",
        FinishReason::Length => "length",
        FinishReason::ContentFilter => "content_filter",
    }
}
