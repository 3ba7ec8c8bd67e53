//! Writes tool calls in a model's format, for prompts.

use hearth_domain::ToolCall;
use serde_json::Value;

use super::{
    format::ToolFormat,
    markup::{CallBody, Tags},
    python_json,
};

impl ToolFormat {
    /// Writes `calls` as one text; empty without calls.
    pub(in crate::engines::llama) fn write_calls(self, calls: &[ToolCall]) -> String {
        self.write(calls, self.markup().bare)
    }

    /// Appends `calls` to the text of a turn. After a text they have their markers, without which they would be a part of it.
    pub(in crate::engines::llama) fn append_calls(self, text: &mut String, calls: &[ToolCall]) {
        let bare = self.markup().bare && text.trim().is_empty();
        text.push_str(&self.write(calls, bare));
    }

    fn write(self, calls: &[ToolCall], bare: bool) -> String {
        let markup = self.markup();
        if calls.is_empty() {
            return String::new();
        }
        let written: Vec<String> = calls
            .iter()
            .map(|call| {
                let body = write_body(&markup.body, call);
                [markup.call.open.concat(), body, markup.call.close.concat()].concat()
            })
            .collect();
        let written = written.join(markup.between);
        if bare {
            return written;
        }
        [markup.section.open.concat(), written, markup.section.close.concat()].concat()
    }
}

fn write_body(body: &CallBody, call: &ToolCall) -> String {
    let ToolCall { name, arguments, .. } = call;
    match body {
        CallBody::Object { name: name_key, arguments: arguments_key } => {
            let name = Value::from(name.as_str());
            format!("{{\"{name_key}\": {name}, \"{arguments_key}\": {}}}", spaced_json(arguments))
        }
        CallBody::Named { pieces, .. } => [name.as_str(), &pieces.concat(), &spaced_json(arguments)].concat(),
        CallBody::Tagged { pieces, tags } => {
            let values: String =
                members(arguments).iter().map(|(key, value)| write_tags(tags, key, value)).collect();
            [name.as_str(), &pieces.concat(), &values].concat()
        }
        CallBody::Python => {
            let values: Vec<String> =
                members(arguments).iter().map(|(key, value)| format!("{key}={}", json_text(value))).collect();
            format!("{name}({})", values.join(", "))
        }
    }
}

fn write_tags(tags: &Tags, key: &str, value: &Value) -> String {
    let Tags { key: (key_open, key_close), value: (open, close), padded } = tags;
    let text = value.as_str().map_or_else(|| json_text(value), str::to_owned);
    let line = if *padded { "\n" } else { "" };
    format!("{key_open}{key}{key_close}{line}{open}{text}{line}{close}\n")
}

/// Arguments as JSON with a space after separators. A client's arguments that are no JSON become a JSON string.
fn spaced_json(arguments: &str) -> String {
    json_text(&serde_json::from_str(arguments).unwrap_or_else(|_| Value::from(arguments)))
}

fn json_text(value: &Value) -> String {
    python_json::to_string(value, None).unwrap_or_default()
}

fn members(arguments: &str) -> serde_json::Map<String, Value> {
    serde_json::from_str(arguments).unwrap_or_default()
}
