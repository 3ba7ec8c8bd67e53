//! Reasoning items. The text of the reasoning is a `reasoning_text` part, or a `summary_text` part if the request asked
//! for a summary.

use hearth_domain::Reasoning;
use serde_json::{Value, json};

use super::{IN_PROGRESS, ResponsesRenderer};
use crate::openai::responses::{
    OutputItem, ReasoningText, encrypted_content, item_id, item_layout::AnswerPart,
};

/// Names of an event: for reasoning, and for a summary.
type EventNames = [&'static str; 2];

const PART_ADDED: EventNames = ["response.content_part.added", "response.reasoning_summary_part.added"];
const DELTA: EventNames = ["response.reasoning_text.delta", "response.reasoning_summary_text.delta"];
const TEXT_DONE: EventNames = ["response.reasoning_text.done", "response.reasoning_summary_text.done"];
const PART_DONE: EventNames = ["response.content_part.done", "response.reasoning_summary_part.done"];

impl ResponsesRenderer {
    pub(super) fn add_reasoning(&mut self, number: u32, added: &Reasoning) {
        let part = AnswerPart::Reasoning(number);
        // A signature may come after its block has ended. Text after the end begins another item.
        let continues =
            |item: &super::RenderedItem| item.part == part && (item.open || added.text.is_empty());
        let index = match self.items.iter().rposition(continues) {
            Some(index) => index,
            None => self.begin_reasoning(part),
        };
        let encrypted = encrypted_content::encode(added).filter(|_| self.options.include_encrypted);
        let Some(OutputItem::Reasoning { summary, content, encrypted_content, .. }) = self.item_mut(index)
        else {
            return;
        };
        *encrypted_content = encrypted.or_else(|| encrypted_content.take());
        if added.text.is_empty() {
            return;
        }
        let (kind, texts) = match content {
            Some(content) => ("reasoning_text", content),
            None => ("summary_text", summary),
        };
        let is_first = texts.is_empty();
        if is_first {
            texts.push(ReasoningText { kind: kind.to_owned(), text: String::new() });
        }
        texts.iter_mut().for_each(|part| part.text.push_str(&added.text));
        if is_first {
            self.emit_for_reasoning(index, PART_ADDED, json!({"part": {"type": kind, "text": ""}}));
        }
        self.emit_for_reasoning(index, DELTA, json!({"delta": added.text}));
    }

    fn begin_reasoning(&mut self, part: AnswerPart) -> usize {
        self.end_all_but_calls();
        let item = OutputItem::Reasoning {
            id: self.next_item_id(item_id::REASONING),
            status: IN_PROGRESS.to_owned(),
            summary: Vec::new(),
            content: (!self.is_summarised()).then(Vec::new),
            encrypted_content: None,
        };
        self.add_item(part, item)
    }

    /// Emits the events that end a reasoning item's part.
    pub(super) fn emit_reasoning_done(&mut self, index: usize, part: &ReasoningText) {
        self.emit_for_reasoning(index, TEXT_DONE, json!({"text": part.text}));
        self.emit_for_reasoning(index, PART_DONE, json!({"part": part}));
    }

    fn emit_for_reasoning(&mut self, index: usize, [full, summary]: EventNames, mut fields: Value) {
        let (name, part_index) =
            if self.is_summarised() { (summary, "summary_index") } else { (full, "content_index") };
        fields[part_index] = json!(0);
        self.emit_for_item(index, name, fields);
    }

    fn is_summarised(&self) -> bool {
        self.response.request.reasoning.summary.is_some()
    }
}
