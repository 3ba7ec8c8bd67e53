//! Message items. A message has one part: its text or its refusal.

use hearth_domain::TokenLogprob;
use serde_json::{Value, json};

use super::{COMPLETED, IN_PROGRESS, ResponsesRenderer};
use crate::{
    logprobs::token_logprobs,
    openai::responses::{OutputItem, OutputPart, item_id, item_layout::AnswerPart},
};

impl ResponsesRenderer {
    pub(super) fn add_text(&mut self, text: &str, logprobs: &[TokenLogprob]) {
        if text.is_empty() && logprobs.is_empty() {
            return;
        }
        let index = self.open_message(AnswerPart::Text);
        let logprobs = token_logprobs(logprobs);
        if let Some(OutputPart::Text(part)) = self.message_part(index) {
            part.text.push_str(text);
            part.logprobs.extend_from_slice(&logprobs);
        }
        let fields = json!({"content_index": 0, "delta": text, "logprobs": logprobs});
        self.emit_for_item(index, "response.output_text.delta", fields);
    }

    /// Adds a citation to the open text.
    pub(super) fn add_annotation(&mut self, annotation: &Value) {
        let index = self.open_message(AnswerPart::Text);
        let Some(OutputPart::Text(part)) = self.message_part(index) else { return };
        let number = part.annotations.len();
        part.annotations.push(annotation.clone());
        let fields = json!({"content_index": 0, "annotation_index": number, "annotation": annotation});
        self.emit_for_item(index, "response.output_text.annotation.added", fields);
    }

    /// Sets the phase of the open text, or begins one with it.
    pub(super) fn add_phase(&mut self, phase: &str) {
        let phase = Some(phase.to_owned());
        let open = self.items.iter().rposition(|item| item.open && item.part == AnswerPart::Text);
        match open.and_then(|index| self.item_mut(index)) {
            Some(OutputItem::Message { phase: of_message, .. }) => *of_message = phase,
            _ => drop(self.begin_message(AnswerPart::Text, phase)),
        }
    }

    /// Ends the open text: the next one is another message.
    pub(super) fn end_text(&mut self) {
        if let Some(index) = self.items.iter().rposition(|item| item.open && item.part == AnswerPart::Text) {
            self.end_item(index, COMPLETED);
        }
    }

    pub(super) fn add_refusal(&mut self, text: &str) {
        if text.is_empty() {
            return;
        }
        let index = self.open_message(AnswerPart::Refusal);
        if let Some(OutputPart::Refusal(part)) = self.message_part(index) {
            part.refusal.push_str(text);
        }
        self.emit_for_item(index, "response.refusal.delta", json!({"content_index": 0, "delta": text}));
    }

    /// Returns the index of the open message with this part, or of a new one.
    fn open_message(&mut self, part: AnswerPart) -> usize {
        let open = self.items.iter().rposition(|item| item.open && item.part == part);
        open.unwrap_or_else(|| self.begin_message(part, None))
    }

    pub(super) fn begin_message(&mut self, part: AnswerPart, phase: Option<String>) -> usize {
        self.end_all_but_calls();
        let content = match part {
            AnswerPart::Refusal => OutputPart::empty_refusal(),
            _ => OutputPart::empty_text(),
        };
        let message = OutputItem::Message {
            id: self.next_item_id(item_id::MESSAGE),
            status: IN_PROGRESS.to_owned(),
            role: "assistant".to_owned(),
            content: vec![content.clone()],
            phase,
        };
        let index = self.add_item(part, message);
        let fields = json!({"content_index": 0, "part": content});
        self.emit_for_item(index, "response.content_part.added", fields);
        index
    }

    fn message_part(&mut self, index: usize) -> Option<&mut OutputPart> {
        match self.item_mut(index) {
            Some(OutputItem::Message { content, .. }) => content.first_mut(),
            _ => None,
        }
    }

    /// Emits the events that end a message's part.
    pub(super) fn emit_part_done(&mut self, index: usize, part: &OutputPart) {
        let (name, fields): (_, Value) = match part {
            OutputPart::Text(part) => (
                "response.output_text.done",
                json!({"content_index": 0, "text": part.text, "logprobs": part.logprobs}),
            ),
            OutputPart::Refusal(part) => {
                ("response.refusal.done", json!({"content_index": 0, "refusal": part.refusal}))
            }
        };
        self.emit_for_item(index, name, fields);
        let fields = json!({"content_index": 0, "part": part});
        self.emit_for_item(index, "response.content_part.done", fields);
    }
}
