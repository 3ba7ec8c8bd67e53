//! Fields of an answer's text that OpenAI gets again with the next request
//! (<https://platform.openai.com/docs/api-reference/responses/create>).

use serde_json::{Map, Value, json};

/// Field of a part: its citations.
pub(super) const ANNOTATIONS: &str = "annotations";
/// Field of a message: `commentary` or `final_answer`. In a conversation each text of the message has it.
pub(super) const PHASE: &str = "phase";

/// Returns the fields of a text.
pub(super) fn text_fields(annotations: &[Value], phase: Option<&str>) -> Map<String, Value> {
    let annotations = (!annotations.is_empty()).then(|| (ANNOTATIONS.to_owned(), json!(annotations)));
    let phase = phase.map(|phase| (PHASE.to_owned(), json!(phase)));
    annotations.into_iter().chain(phase).collect()
}

/// Returns the fields of a text that a client sends back, of the unknown fields of its part and of its message.
pub(super) fn sent_text_fields(
    part: &Map<String, Value>,
    message: &Map<String, Value>,
) -> Map<String, Value> {
    let annotations = part.get(ANNOTATIONS).and_then(Value::as_array).map(Vec::as_slice);
    text_fields(annotations.unwrap_or_default(), message.get(PHASE).and_then(Value::as_str))
}
