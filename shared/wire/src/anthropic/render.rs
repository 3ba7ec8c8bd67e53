//! Run events as the Anthropic dialect shows them
//! (<https://platform.claude.com/docs/en/build-with-claude/streaming>).
//!
//! Blocks come one after the other, and each is closed before the next begins: that is what the SDKs
//! expect. A call whose arguments come in between another's waits until the other's are whole.

use std::collections::BTreeSet;

use hearth_domain::{FinishReason, Reasoning, RunId, Usage};
use serde_json::{Map, Value, json};

use super::{
    MessagesAnswer, MessagesAnswerBlock, MessagesError, MessagesUsage,
    message::{blocks, stop_reason},
    thoughts::{ThoughtsMode, sealed_block},
};
use crate::{
    ApiError, ErrorCode, RunEvent, RunEventBody,
    answer::{Answer, Answers, ending},
    json_scanner::JsonScanner,
    stream::{Frame, Render},
    structured::StructuredBody,
};

/// Takes a run's events in order; gives frames, and the whole answer at the end.
#[derive(Debug)]
pub struct Renderer {
    request_id: RunId,
    mode: ThoughtsMode,
    model: String,
    answers: Answers,
    usage: Usage,
    greeted: bool,
    open: Option<Open>,
    /// How many blocks have begun.
    begun: u32,
    /// How many of them are calls.
    calls: usize,
    /// The numbers of the blocks of thoughts whose seals were sent, where the client didn't ask for thoughts.
    sealed: BTreeSet<usize>,
    ended: bool,
}

/// The block that is being told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Open {
    Thoughts(u32),
    Sealed,
    Text,
    Call {
        number: usize,
        /// How many bytes of its arguments are told.
        told: usize,
        /// Whether those are the whole of them.
        scanner: JsonScanner,
    },
}

impl Render for Renderer {
    type Answer = MessagesAnswer;

    fn frames(&mut self, event: &RunEvent) -> Vec<Frame> {
        self.note(&event.body);
        match &event.body {
            RunEventBody::Started { .. } => self.greeting(),
            RunEventBody::Delta { choice: 0, text, .. } | RunEventBody::Refusal { choice: 0, text }
                if !text.is_empty() =>
            {
                self.text(text)
            }
            RunEventBody::Reasoning { choice: 0, index, added } if self.mode != ThoughtsMode::Sealed => {
                self.thoughts(*index, added)
            }
            RunEventBody::ToolCall { choice: 0, .. } => {
                let mut frames = self.greeting();
                self.tell_calls(false, &mut frames);
                frames
            }
            RunEventBody::Done { finish_reason } => self.ending(*finish_reason),
            RunEventBody::Error { error } => vec![self.error(error)],
            RunEventBody::Cancelled => {
                vec![self.error(&ApiError::new(ErrorCode::Cancelled, "the request was cancelled"))]
            }
            _ => Vec::new(),
        }
    }

    fn last(&self) -> Option<Frame> {
        self.ended.then(|| frame("message_stop", json!({})))
    }

    fn collected(mut self, events: &[RunEvent]) -> Result<MessagesAnswer, ApiError> {
        let reason = ending(events)?;
        events.iter().for_each(|event| self.note(&event.body));
        let content = self.answer().map(|answer| blocks(answer, self.mode)).unwrap_or_default();
        let stop_sequence = self.stop_text(reason);
        let stop_reason = Some(stop_reason(reason, stop_sequence.is_some()).to_owned());
        Ok(MessagesAnswer { content, stop_reason, stop_sequence, ..self.empty() })
    }
}

impl Renderer {
    /// A renderer for the run `request_id`, before its first event.
    pub(super) fn new(request_id: RunId, mode: ThoughtsMode) -> Self {
        Self {
            request_id,
            mode,
            model: String::new(),
            answers: Answers::default(),
            usage: Usage::default(),
            greeted: false,
            open: None,
            begun: 0,
            calls: 0,
            sealed: BTreeSet::new(),
            ended: false,
        }
    }

    /// What later frames, or the whole answer, tell of an event.
    fn note(&mut self, event: &RunEventBody) {
        match event {
            RunEventBody::Selected(selected) => self.model.clone_from(&selected.model),
            RunEventBody::Started { prompt_tokens } => self.usage.prompt_tokens = *prompt_tokens,
            RunEventBody::Usage { usage } => self.usage = *usage,
            event => self.answers.take(event),
        }
    }

    /// The only answer: this dialect has no word for others.
    fn answer(&self) -> Option<&Answer> {
        self.answers.all().first()
    }

    /// The stop text that ended the answer, if that is why it ended.
    fn stop_text(&self, reason: FinishReason) -> Option<String> {
        self.answer().and_then(|answer| answer.stop_text.clone()).filter(|_| reason == FinishReason::Stop)
    }

    fn structured(&self) -> Option<StructuredBody> {
        self.answer().and_then(|answer| answer.structured.as_ref()).map(Into::into)
    }

    fn empty(&self) -> MessagesAnswer {
        MessagesAnswer {
            id: self.request_id.to_string(),
            kind: "message".to_owned(),
            role: "assistant".to_owned(),
            model: self.model.clone(),
            content: Vec::new(),
            stop_reason: None,
            stop_sequence: None,
            stop_details: (),
            container: (),
            usage: self.usage.into(),
            structured: self.structured(),
        }
    }

    /// The stream's first frame, unless it is out.
    fn greeting(&mut self) -> Vec<Frame> {
        if std::mem::replace(&mut self.greeted, true) {
            return Vec::new();
        }
        vec![frame("message_start", json!({"message": self.empty()}))]
    }

    fn text(&mut self, text: &str) -> Vec<Frame> {
        let mut frames = self.greeting();
        if self.open != Some(Open::Text) {
            self.tell_calls(true, &mut frames);
            let block = MessagesAnswerBlock::Text { text: String::new(), citations: None };
            self.begin(Open::Text, &block, &mut frames);
        }
        frames.push(self.delta(&json!({"type": "text_delta", "text": text})));
        frames
    }

    fn thoughts(&mut self, index: u32, added: &Reasoning) -> Vec<Frame> {
        let mut frames = self.greeting();
        let signature = added.signature.as_ref().filter(|signature| !signature.is_empty());
        let text = if self.mode == ThoughtsMode::Omitted { "" } else { added.text.as_str() };
        if !text.is_empty() || signature.is_some() {
            if self.open != Some(Open::Thoughts(index)) {
                self.tell_calls(true, &mut frames);
                let (thinking, signature) = (String::new(), String::new());
                let block = MessagesAnswerBlock::Thinking { thinking, signature };
                self.begin(Open::Thoughts(index), &block, &mut frames);
            }
            if !text.is_empty() {
                frames.push(self.delta(&json!({"type": "thinking_delta", "thinking": text})));
            }
            if let Some(signature) = signature {
                frames.push(self.delta(&json!({"type": "signature_delta", "signature": signature})));
            }
        }
        if let Some(data) = added.encrypted.clone() {
            self.tell_calls(true, &mut frames);
            self.begin(Open::Sealed, &MessagesAnswerBlock::RedactedThinking { data }, &mut frames);
        }
        frames
    }

    /// What there is to tell of the calls. The next one is told when the one before is whole, or, if
    /// `ended`, as it is.
    fn tell_calls(&mut self, ended: bool, frames: &mut Vec<Frame>) {
        // Put aside, not copied: arguments may be long, and come in many pieces.
        let answers = std::mem::take(&mut self.answers);
        if let Some(answer) = answers.all().first() {
            self.tell(answer, ended, frames);
        }
        self.answers = answers;
    }

    fn tell(&mut self, answer: &Answer, ended: bool, frames: &mut Vec<Frame>) {
        let calls = &answer.tool_calls;
        loop {
            if let Some(Open::Call { number, told, mut scanner }) = self.open {
                let arguments = calls.get(number).map(|call| call.arguments.as_str()).unwrap_or_default();
                if let Some(new) = arguments.get(told..).filter(|new| !new.is_empty()) {
                    frames.push(self.delta(&json!({"type": "input_json_delta", "partial_json": new})));
                    scanner.push(new.as_bytes());
                    self.open = Some(Open::Call { number, told: arguments.len(), scanner });
                }
                if self.calls < calls.len() && !ended && !scanner.is_complete() {
                    return;
                }
            }
            let Some(call) = calls.get(self.calls) else { return };
            self.send_seals(&answer.reasoning, frames);
            let open = Open::Call { number: self.calls, told: 0, scanner: JsonScanner::default() };
            self.calls += 1;
            self.begin(open, &MessagesAnswerBlock::call(call, Map::new()), frames);
        }
    }

    /// Sends the seals that a conversation with calls has to have, where they weren't sent as thoughts.
    fn send_seals(&mut self, reasoning: &[Reasoning], frames: &mut Vec<Frame>) {
        if self.mode != ThoughtsMode::Sealed {
            return;
        }
        for (number, block) in reasoning.iter().enumerate() {
            if !self.sealed.contains(&number)
                && let Some(block) = sealed_block(block)
            {
                self.sealed.insert(number);
                self.begin(Open::Sealed, &block, frames);
            }
        }
    }

    /// Closes the block that is open, and begins another.
    fn begin(&mut self, open: Open, block: &MessagesAnswerBlock, frames: &mut Vec<Frame>) {
        frames.extend(self.close());
        frames.push(frame("content_block_start", json!({"index": self.begun, "content_block": block})));
        self.open = Some(open);
        self.begun += 1;
    }

    fn close(&mut self) -> Option<Frame> {
        self.open.take()?;
        Some(frame("content_block_stop", json!({"index": self.begun.saturating_sub(1)})))
    }

    /// A piece of the block that is open.
    fn delta(&self, delta: &Value) -> Frame {
        frame("content_block_delta", json!({"index": self.begun.saturating_sub(1), "delta": delta}))
    }

    fn ending(&mut self, reason: FinishReason) -> Vec<Frame> {
        let mut frames = self.greeting();
        self.tell_calls(true, &mut frames);
        if self.calls > 0 {
            // Seals that came after the last call.
            let reasoning = self.answer().map(|answer| answer.reasoning.clone()).unwrap_or_default();
            self.send_seals(&reasoning, &mut frames);
        }
        frames.extend(self.close());
        let stop = self.stop_text(reason);
        let delta = json!({"stop_reason": stop_reason(reason, stop.is_some()), "stop_sequence": stop});
        let usage = MessagesUsage::from(self.usage);
        let mut last = json!({"delta": delta, "usage": usage});
        if let Some(structured) = self.structured() {
            last["structured"] = json!(structured);
        }
        frames.push(frame("message_delta", last));
        self.ended = true;
        frames
    }

    fn error(&self, error: &ApiError) -> Frame {
        Frame::named("error", &MessagesError::new(error, &self.request_id.to_string()))
    }
}

/// A frame whose data begins with its name, as each does.
fn frame(name: &'static str, mut fields: Value) -> Frame {
    let mut data = json!({"type": name});
    if let (Some(data), Some(fields)) = (data.as_object_mut(), fields.as_object_mut()) {
        data.append(fields);
    }
    Frame::named(name, &data)
}
