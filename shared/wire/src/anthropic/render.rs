//! Renders run events as Anthropic's events (<https://platform.claude.com/docs/en/build-with-claude/streaming>).
//!
//! The SDKs expect one block after the other: each is closed before the next begins. A call whose arguments are
//! interleaved with another's is held back until the other's arguments are complete.

use std::collections::BTreeSet;

use hearth_domain::{ClientDialect, FinishReason, Reasoning, RunId};
use serde::Serialize;
use serde_json::{Map, Value, json};

use super::{
    MessagesAnswer, MessagesAnswerBlock, MessagesError, MessagesUsage,
    answer_blocks::{answer_blocks, stop_reason},
    thinking::{ThinkingDisplay, redacted_block},
};
use crate::{
    ApiError, RunEvent, RunEventBody,
    answer::{Answer, RunSummary, cancelled, final_outcome},
    extension::Extension,
    json_scanner::JsonScanner,
    stream::{Frame, Render},
    structured::StructuredBody,
};

/// Renders the events of one run.
#[derive(Debug)]
pub struct MessagesRenderer {
    request_id: RunId,
    display: ThinkingDisplay,
    run: RunSummary,
    /// True once the first frame, `message_start`, has been rendered.
    begun: bool,
    open: Option<OpenBlock>,
    /// Number of blocks that have begun.
    block_count: u32,
    /// Number of calls that have begun.
    call_count: usize,
    /// Numbers of the reasoning blocks that were rendered as `redacted_thinking`.
    redacted: BTreeSet<usize>,
    ended: bool,
}

/// The block that has begun and not ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum OpenBlock {
    Thinking(u32),
    RedactedThinking,
    /// A block as the provider sent it.
    Provider,
    Text,
    ToolUse {
        number: usize,
        /// Number of rendered bytes of its arguments.
        rendered_bytes: usize,
        /// Detects the end of the rendered arguments.
        scanner: JsonScanner,
    },
}

impl Render for MessagesRenderer {
    type Answer = MessagesAnswer;

    fn frames(&mut self, event: &RunEvent) -> Vec<Frame> {
        self.run.apply(&event.body);
        match &event.body {
            RunEventBody::Started { .. } => self.message_start(),
            RunEventBody::Delta { choice: 0, text, .. } | RunEventBody::Refusal { choice: 0, text }
                if !text.is_empty() =>
            {
                self.add_text(text)
            }
            RunEventBody::Reasoning { choice: 0, index, added }
                if self.display != ThinkingDisplay::Redacted =>
            {
                self.add_reasoning(*index, added)
            }
            RunEventBody::ToolCall { choice: 0, .. } => {
                let mut frames = self.message_start();
                self.render_calls(false, &mut frames);
                frames
            }
            RunEventBody::Extension { choice: 0, dialect: ClientDialect::Anthropic, extension } => {
                self.add_extension(extension)
            }
            RunEventBody::Done { finish_reason } => self.end(*finish_reason),
            RunEventBody::Error { error } => vec![self.error(error)],
            RunEventBody::Cancelled => vec![self.error(&cancelled())],
            _ => Vec::new(),
        }
    }

    fn final_frame(&self) -> Option<Frame> {
        self.ended.then(|| frame("message_stop", json!({})))
    }

    fn into_answer(mut self, events: &[RunEvent]) -> Result<MessagesAnswer, ApiError> {
        let reason = final_outcome(events)?;
        events.iter().for_each(|event| self.run.apply(&event.body));
        let content = self.answer().map(|answer| answer_blocks(answer, self.display)).unwrap_or_default();
        let stop_sequence = self.stop_text(reason);
        let stop_reason = Some(self.stop_reason(reason, stop_sequence.is_some()));
        Ok(MessagesAnswer { content, stop_reason, stop_sequence, ..self.empty() })
    }
}

impl MessagesRenderer {
    /// Creates a renderer for the run `request_id`, before its first event.
    pub(super) fn new(request_id: RunId, display: ThinkingDisplay) -> Self {
        Self {
            request_id,
            display,
            run: RunSummary::default(),
            begun: false,
            open: None,
            block_count: 0,
            call_count: 0,
            redacted: BTreeSet::new(),
            ended: false,
        }
    }

    /// The only answer: this dialect has no others.
    fn answer(&self) -> Option<&Answer> {
        self.run.answers.all().first()
    }

    /// The stop text that ended the answer, if one did.
    fn stop_text(&self, reason: FinishReason) -> Option<String> {
        self.answer().and_then(|answer| answer.stop_text.clone()).filter(|_| reason == FinishReason::Stop)
    }

    /// The reason for the end: Anthropic's own, of an answer that it cut.
    fn stop_reason(&self, reason: FinishReason, at_stop_text: bool) -> String {
        let own = self.field("stop_reason").filter(|_| reason == FinishReason::Length);
        own.as_ref().and_then(Value::as_str).unwrap_or(stop_reason(reason, at_stop_text)).to_owned()
    }

    /// A field of Anthropic's message.
    fn field(&self, name: &str) -> Option<Value> {
        self.answer().and_then(|answer| answer.extension_field(ClientDialect::Anthropic, name)).cloned()
    }

    fn usage(&self) -> MessagesUsage {
        MessagesUsage { server_tool_use: self.field("server_tool_use"), ..self.run.usage.into() }
    }

    fn structured(&self) -> Option<StructuredBody> {
        self.answer().and_then(|answer| answer.structured.as_ref()).map(Into::into)
    }

    fn empty(&self) -> MessagesAnswer {
        MessagesAnswer {
            id: self.request_id.to_string(),
            kind: "message".to_owned(),
            role: "assistant".to_owned(),
            model: self.run.model.clone(),
            content: Vec::new(),
            stop_reason: None,
            stop_sequence: None,
            stop_details: (),
            container: self.field("container"),
            usage: self.usage(),
            structured: self.structured(),
        }
    }

    /// Renders the stream's first frame, unless that was done.
    fn message_start(&mut self) -> Vec<Frame> {
        if std::mem::replace(&mut self.begun, true) {
            return Vec::new();
        }
        vec![frame("message_start", json!({"message": self.empty()}))]
    }

    fn add_text(&mut self, text: &str) -> Vec<Frame> {
        let mut frames = self.open_text();
        frames.push(self.delta(&json!({"type": "text_delta", "text": text})));
        frames
    }

    /// Begins a text, unless one is open.
    fn open_text(&mut self) -> Vec<Frame> {
        let mut frames = self.message_start();
        if self.open != Some(OpenBlock::Text) {
            self.render_calls(true, &mut frames);
            let block = MessagesAnswerBlock::Text { text: String::new(), citations: None };
            self.begin(OpenBlock::Text, &block, &mut frames);
        }
        frames
    }

    fn add_extension(&mut self, extension: &Extension) -> Vec<Frame> {
        match extension {
            Extension::TextBlock if self.open == Some(OpenBlock::Text) => self.close().into_iter().collect(),
            Extension::Annotation(citation) => {
                let mut frames = self.open_text();
                frames.push(self.delta(&json!({"type": "citations_delta", "citation": citation})));
                frames
            }
            Extension::Item(block) if block.is_object() => {
                let mut frames = self.message_start();
                self.render_calls(true, &mut frames);
                self.add_provider_block(block, &mut frames);
                frames
            }
            // Fields are in the last frames.
            Extension::TextBlock | Extension::Phase(_) | Extension::Item(_) | Extension::Fields(_) => {
                Vec::new()
            }
        }
    }

    /// Renders a block of the provider. The SDKs read the `input` of a tool from a delta.
    fn add_provider_block(&mut self, block: &Value, frames: &mut Vec<Frame>) {
        let input = block.get("input").and_then(Value::as_object).filter(|input| !input.is_empty());
        let Some(input) = input else {
            self.begin(OpenBlock::Provider, block, frames);
            return frames.extend(self.close());
        };
        let mut begun = block.clone();
        begun["input"] = json!({});
        self.begin(OpenBlock::Provider, &begun, frames);
        let input = json!(input).to_string();
        frames.push(self.delta(&json!({"type": "input_json_delta", "partial_json": input})));
        frames.extend(self.close());
    }

    fn add_reasoning(&mut self, index: u32, added: &Reasoning) -> Vec<Frame> {
        let mut frames = self.message_start();
        let signature = added.signature.as_ref().filter(|signature| !signature.is_empty());
        let text = if self.display == ThinkingDisplay::SignatureOnly { "" } else { added.text.as_str() };
        if !text.is_empty() || signature.is_some() {
            if self.open != Some(OpenBlock::Thinking(index)) {
                self.render_calls(true, &mut frames);
                let (thinking, signature) = (String::new(), String::new());
                let block = MessagesAnswerBlock::Thinking { thinking, signature };
                self.begin(OpenBlock::Thinking(index), &block, &mut frames);
            }
            if !text.is_empty() {
                frames.push(self.delta(&json!({"type": "thinking_delta", "thinking": text})));
            }
            if let Some(signature) = signature {
                frames.push(self.delta(&json!({"type": "signature_delta", "signature": signature})));
            }
        }
        if let Some(data) = added.encrypted.clone() {
            self.render_calls(true, &mut frames);
            self.begin(
                OpenBlock::RedactedThinking,
                &MessagesAnswerBlock::RedactedThinking { data },
                &mut frames,
            );
        }
        frames
    }

    /// Renders the new pieces of the calls. A call begins when the one before is complete, or, if the calls have `ended`,
    /// regardless of that.
    fn render_calls(&mut self, ended: bool, frames: &mut Vec<Frame>) {
        // Moved out and back, not copied: arguments may be long, and come in many pieces.
        let answers = std::mem::take(&mut self.run.answers);
        if let Some(answer) = answers.all().first() {
            self.render_calls_of(answer, ended, frames);
        }
        self.run.answers = answers;
    }

    fn render_calls_of(&mut self, answer: &Answer, ended: bool, frames: &mut Vec<Frame>) {
        let calls = &answer.tool_calls;
        loop {
            if let Some(OpenBlock::ToolUse { number, rendered_bytes, mut scanner }) = self.open {
                let arguments = calls.get(number).map(|call| call.arguments.as_str()).unwrap_or_default();
                if let Some(new) = arguments.get(rendered_bytes..).filter(|new| !new.is_empty()) {
                    frames.push(self.delta(&json!({"type": "input_json_delta", "partial_json": new})));
                    scanner.push(new.as_bytes());
                    let rendered_bytes = arguments.len();
                    self.open = Some(OpenBlock::ToolUse { number, rendered_bytes, scanner });
                }
                if self.call_count < calls.len() && !ended && !scanner.is_complete() {
                    return;
                }
            }
            let Some(call) = calls.get(self.call_count) else { return };
            self.render_redacted(&answer.reasoning, frames);
            let number = self.call_count;
            let open = OpenBlock::ToolUse { number, rendered_bytes: 0, scanner: JsonScanner::default() };
            self.call_count += 1;
            self.begin(open, &MessagesAnswerBlock::tool_use(answer, call, Map::new()), frames);
        }
    }

    /// Renders the reasoning that the vendor needs together with the calls, if the client didn't ask for reasoning.
    fn render_redacted(&mut self, reasoning: &[Reasoning], frames: &mut Vec<Frame>) {
        if self.display != ThinkingDisplay::Redacted {
            return;
        }
        for (number, block) in reasoning.iter().enumerate() {
            if !self.redacted.contains(&number)
                && let Some(block) = redacted_block(block)
            {
                self.redacted.insert(number);
                self.begin(OpenBlock::RedactedThinking, &block, frames);
            }
        }
    }

    /// Ends the open block, and begins another.
    fn begin(&mut self, open: OpenBlock, block: &impl Serialize, frames: &mut Vec<Frame>) {
        frames.extend(self.close());
        frames.push(frame("content_block_start", json!({"index": self.block_count, "content_block": block})));
        self.open = Some(open);
        self.block_count += 1;
    }

    fn close(&mut self) -> Option<Frame> {
        self.open.take()?;
        Some(frame("content_block_stop", json!({"index": self.block_count.saturating_sub(1)})))
    }

    /// Renders a piece of the open block.
    fn delta(&self, delta: &Value) -> Frame {
        frame("content_block_delta", json!({"index": self.block_count.saturating_sub(1), "delta": delta}))
    }

    fn end(&mut self, reason: FinishReason) -> Vec<Frame> {
        let mut frames = self.message_start();
        self.render_calls(true, &mut frames);
        if self.call_count > 0 {
            // Signatures may come after the last call.
            let reasoning = self.answer().map(|answer| answer.reasoning.clone()).unwrap_or_default();
            self.render_redacted(&reasoning, &mut frames);
        }
        frames.extend(self.close());
        let stop_text = self.stop_text(reason);
        let stop_reason = self.stop_reason(reason, stop_text.is_some());
        let mut delta = json!({"stop_reason": stop_reason, "stop_sequence": stop_text});
        if let Some(container) = self.field("container") {
            delta["container"] = container;
        }
        let mut last = json!({"delta": delta, "usage": self.usage()});
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

/// Creates a frame. Its data begins with its name as `type`.
fn frame(name: &'static str, mut fields: Value) -> Frame {
    let mut data = json!({"type": name});
    if let (Some(data), Some(fields)) = (data.as_object_mut(), fields.as_object_mut()) {
        data.append(fields);
    }
    Frame::named(name, &data)
}
