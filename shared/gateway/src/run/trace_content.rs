//! Prompts and outputs in spans, where the settings turn them on: as JSON by OpenTelemetry's conventions
//! (<https://opentelemetry.io/docs/specs/semconv/gen-ai/gen-ai-spans/#recording-content-on-attributes>), within a
//! limit.

use std::collections::BTreeMap;

use hearth_domain::{Message, Role};
use hearth_wire::RunEventBody;
use serde_json::{Value, json};

/// Limit of the bytes of the texts in one attribute; the rest is cut. Images and documents are left out.
const CONTENT_MAX_BYTES: usize = 64 << 10;

/// The messages of a prompt.
pub(super) fn input(messages: &[Message]) -> String {
    let mut left = CONTENT_MAX_BYTES;
    let messages: Vec<Value> = messages.iter().map(|message| input_message(message, &mut left)).collect();
    Value::from(messages).to_string()
}

fn input_message(message: &Message, left: &mut usize) -> Value {
    let mut parts = Vec::new();
    if message.role == Role::Tool {
        let response = cut(&message.content, left);
        parts.push(json!({"type": "tool_call_response", "id": message.tool_call_id, "response": response}));
    } else if !message.content.is_empty() {
        parts.push(json!({"type": "text", "content": cut(&message.content, left)}));
    }
    for call in &message.tool_calls {
        let arguments = cut(&call.arguments, left);
        parts.push(json!({"type": "tool_call", "id": call.id, "name": call.name, "arguments": arguments}));
    }
    json!({"role": message.role.as_str(), "parts": parts})
}

/// The answers of an attempt, as they come.
#[derive(Debug, Default)]
pub(super) struct OutputContent {
    answers: BTreeMap<u32, Answer>,
    bytes: usize,
}

#[derive(Debug, Default)]
struct Answer {
    text: String,
    calls: BTreeMap<u32, Call>,
}

#[derive(Debug, Default)]
struct Call {
    id: String,
    name: String,
    arguments: String,
}

impl OutputContent {
    /// Appends what an event adds to an answer.
    pub(super) fn observe(&mut self, event: &RunEventBody) {
        let mut left = CONTENT_MAX_BYTES - self.bytes;
        match event {
            RunEventBody::Delta { choice, text, .. } | RunEventBody::Refusal { choice, text } => {
                self.answers.entry(*choice).or_default().text.push_str(cut(text, &mut left));
            }
            RunEventBody::ToolCall { choice, index, begins, arguments } => {
                let call = self.answers.entry(*choice).or_default().calls.entry(*index).or_default();
                if let Some(begins) = begins {
                    (call.id, call.name) = (begins.id.clone(), begins.name.clone());
                }
                call.arguments.push_str(cut(arguments, &mut left));
            }
            _ => {}
        }
        self.bytes = CONTENT_MAX_BYTES - left;
    }

    /// The answers as JSON, each with its reason of `finish_reasons`.
    pub(super) fn into_json(self, finish_reasons: &[&str]) -> String {
        let answers = self.answers.into_values().enumerate().map(|(number, answer)| {
            let mut parts = Vec::new();
            if !answer.text.is_empty() {
                parts.push(json!({"type": "text", "content": answer.text}));
            }
            for Call { id, name, arguments } in answer.calls.into_values() {
                parts.push(json!({"type": "tool_call", "id": id, "name": name, "arguments": arguments}));
            }
            json!({"role": "assistant", "parts": parts, "finish_reason": finish_reasons.get(number)})
        });
        Value::from(answers.collect::<Vec<Value>>()).to_string()
    }
}

/// The beginning of a text that fits into the bytes that are left.
fn cut<'a>(text: &'a str, left: &mut usize) -> &'a str {
    let end = text.floor_char_boundary((*left).min(text.len()));
    *left -= end;
    &text[..end]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn input_has_the_conventions_format_and_a_limit() {
        let messages =
            [Message::new(Role::System, "Be brief."), Message::new(Role::User, "ä".repeat(40_000))];
        let json: Value = serde_json::from_str(&input(&messages)).unwrap();
        assert_eq!(json[0], json!({"role": "system", "parts": [{"type": "text", "content": "Be brief."}]}));
        let text = json[1]["parts"][0]["content"].as_str().unwrap();
        assert!(text.len() <= CONTENT_MAX_BYTES && text.len() > CONTENT_MAX_BYTES - 20);
    }

    #[test]
    fn output_has_the_text_and_the_reason() {
        let mut output = OutputContent::default();
        output.observe(&RunEventBody::text("Once "));
        output.observe(&RunEventBody::text("upon"));
        let json: Value = serde_json::from_str(&output.into_json(&["stop"])).unwrap();
        let expected = json!([{
            "role": "assistant",
            "parts": [{"type": "text", "content": "Once upon"}],
            "finish_reason": "stop",
        }]);
        assert_eq!(json, expected);
    }
}
