//! Writing calls as a model of the format would.

use hearth_domain::ToolCall;
use serde_json::Value;

use super::{
    dumps,
    format::ToolFormat,
    markup::{Body, Tags},
};

impl ToolFormat {
    /// The text of `calls`, none if there are none.
    pub(in crate::engines::llama) fn write(self, calls: &[ToolCall]) -> String {
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
        if markup.bare {
            return written;
        }
        [markup.section.open.concat(), written, markup.section.close.concat()].concat()
    }
}

fn write_body(body: &Body, call: &ToolCall) -> String {
    let ToolCall { name, arguments, .. } = call;
    match body {
        Body::Object { name: name_key, arguments: arguments_key } => {
            let name = Value::from(name.as_str());
            format!("{{\"{name_key}\": {name}, \"{arguments_key}\": {}}}", spaced(arguments))
        }
        Body::Named { pieces, .. } => [name.as_str(), &pieces.concat(), &spaced(arguments)].concat(),
        Body::Tagged { pieces, tags } => {
            let values: String =
                members(arguments).iter().map(|(key, value)| write_tags(tags, key, value)).collect();
            [name.as_str(), &pieces.concat(), &values].concat()
        }
        Body::Python => {
            let values: Vec<String> =
                members(arguments).iter().map(|(key, value)| format!("{key}={}", text_of(value))).collect();
            format!("{name}({})", values.join(", "))
        }
    }
}

fn write_tags(tags: &Tags, key: &str, value: &Value) -> String {
    let Tags { key: (key_open, key_close), value: (open, close), padded } = tags;
    let text = value.as_str().map_or_else(|| text_of(value), str::to_owned);
    let line = if *padded { "\n" } else { "" };
    format!("{key_open}{key}{key_close}{line}{open}{text}{line}{close}\n")
}

/// Arguments with a space after separators. What a client made up may be no JSON: then it is a text.
fn spaced(arguments: &str) -> String {
    text_of(&serde_json::from_str(arguments).unwrap_or_else(|_| Value::from(arguments)))
}

fn text_of(value: &Value) -> String {
    dumps(value, None).unwrap_or_default()
}

fn members(arguments: &str) -> serde_json::Map<String, Value> {
    serde_json::from_str(arguments).unwrap_or_default()
}
