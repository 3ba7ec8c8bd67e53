//! Extensions of the answer in this dialect: items of tools that the provider ran, and citations.

use serde_json::{Map, Value, json};

use super::{IN_PROGRESS, RenderedItem, ResponsesRenderer};
use crate::{
    extension::{Extended, Extension},
    openai::responses::{item_id::provider_item, item_layout::AnswerPart},
};

/// Fields that the SDKs read from events of their own: the item's type, the field, and the names of its events
/// (<https://platform.openai.com/docs/api-reference/responses-streaming>).
const STREAMED_FIELDS: [(&str, &str, [&str; 2]); 2] = [
    (
        "code_interpreter_call",
        "code",
        ["response.code_interpreter_call_code.delta", "response.code_interpreter_call_code.done"],
    ),
    ("mcp_call", "arguments", ["response.mcp_call_arguments.delta", "response.mcp_call_arguments.done"]),
];
/// Results that are null in the event which adds an item: the item's type, and the field.
const RESULT_FIELDS: [(&str, &str); 4] = [
    ("code_interpreter_call", "outputs"),
    ("file_search_call", "results"),
    ("image_generation_call", "result"),
    ("mcp_call", "output"),
];

/// Returns an item as the event which adds it has it: without the fields that follow.
fn begun(item: &Map<String, Value>) -> Map<String, Value> {
    let mut begun = item.clone();
    let kind = item.get("type").and_then(Value::as_str).unwrap_or_default();
    for (_, field, _) in STREAMED_FIELDS.iter().filter(|(of, ..)| *of == kind) {
        if let Some(Value::String(text)) = begun.get_mut(*field) {
            text.clear();
        }
    }
    for (_, field) in RESULT_FIELDS.iter().filter(|(of, _)| *of == kind) {
        if let Some(value) = begun.get_mut(*field) {
            *value = Value::Null;
        }
    }
    if let Some(status) = begun.get_mut("status") {
        *status = json!(IN_PROGRESS);
    }
    begun
}

impl ResponsesRenderer {
    pub(super) fn add_extension(&mut self, extension: &Extension) {
        match extension {
            Extension::TextBlock => self.end_text(),
            Extension::Phase(phase) => self.add_phase(phase),
            Extension::Annotation(annotation) => self.add_annotation(annotation),
            Extension::Item(item) => self.add_provider_item(item),
            // The provider's response is another object.
            Extension::Fields(_) => {}
        }
    }

    /// Adds an item that is complete already.
    pub(super) fn add_provider_item(&mut self, item: &Value) {
        let Some(item) = item.as_object() else { return };
        self.begin();
        self.end_all_but_calls();
        let index = self.items.len();
        let item: Map<String, Value> = provider_item(item, &self.response.id, index);
        self.emit("response.output_item.added", json!({"output_index": index, "item": begun(&item)}));
        for (kind, field, [delta, done]) in STREAMED_FIELDS {
            let text =
                item.get(field).and_then(Value::as_str).filter(|_| item.get("type") == Some(&json!(kind)));
            if let Some(text) = text {
                let fields = json!({"item_id": item.get("id"), "output_index": index});
                let with = |name: &str, text: &str| {
                    let mut fields = fields.clone();
                    fields[name] = json!(text);
                    fields
                };
                self.emit(delta, with("delta", text));
                self.emit(done, with(field, text));
            }
        }
        let number = self.items.iter().filter(|item| matches!(item.part, AnswerPart::Item(_))).count();
        let part = AnswerPart::Item(u32::try_from(number).unwrap_or(u32::MAX));
        self.items.push(RenderedItem { part, open: false });
        self.response.output.push(Extended::Provider(item));
        self.emit(
            "response.output_item.done",
            json!({"output_index": index, "item": self.response.output[index]}),
        );
    }
}
