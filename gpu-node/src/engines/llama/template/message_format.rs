//! Messages and tools as values for a chat template.

use hearth_domain::{Message, Tool, ToolCall};
use serde_json::{Map, Value, json};

use super::abilities::TemplateAbilities;

/// Details in which templates differ without showing it.
#[derive(Debug, Clone, Copy)]
pub(super) struct MessageFormat {
    /// True if a call's arguments are a map rather than JSON text.
    pub(super) map_arguments: bool,
    /// True if the content of a turn that only calls tools is `none`.
    pub(super) none_content: bool,
    /// True if content is a list of parts.
    pub(super) parts: bool,
}

impl MessageFormat {
    pub(super) fn new(abilities: &TemplateAbilities, map_arguments: bool, none_content: bool) -> Self {
        Self { map_arguments, none_content, parts: abilities.parts }
    }

    /// A message as a template's value. Absent fields are omitted: templates test whether they are defined.
    pub(super) fn message(self, message: &Message) -> Value {
        let mut value = Map::new();
        value.insert("role".to_owned(), message.role.as_str().into());
        let none = self.none_content && message.content.is_empty() && !message.tool_calls.is_empty();
        let content = match (none, self.parts) {
            (true, _) => Value::Null,
            (false, true) => json!([{"type": "text", "text": message.content}]),
            (false, false) => message.content.as_str().into(),
        };
        value.insert("content".to_owned(), content);
        if !message.tool_calls.is_empty() {
            let calls: Vec<Value> = message.tool_calls.iter().map(|call| self.call(call)).collect();
            value.insert("tool_calls".to_owned(), calls.into());
        }
        // Most templates omit the reasoning of earlier turns, and show it between tool calls.
        let reasoning: String = message.reasoning.iter().map(|block| block.text.as_str()).collect();
        if !reasoning.is_empty() {
            value.insert("reasoning_content".to_owned(), reasoning.into());
        }
        for (key, text) in [("tool_call_id", &message.tool_call_id), ("name", &message.name)] {
            if let Some(text) = text {
                value.insert(key.to_owned(), text.as_str().into());
            }
        }
        value.into()
    }

    fn call(self, call: &ToolCall) -> Value {
        let map = serde_json::from_str(&call.arguments).ok().filter(Value::is_object);
        let arguments = map.filter(|_| self.map_arguments).unwrap_or_else(|| call.arguments.as_str().into());
        json!({"id": call.id, "type": "function", "function": {"name": call.name, "arguments": arguments}})
    }
}

/// A tool as a template's value. It always has a description, as some templates fail without one.
pub(super) fn tool_value(tool: &Tool) -> Value {
    let description = tool.description.as_deref().unwrap_or_default();
    json!({
        "type": "function",
        "function": {"name": tool.name, "description": description, "parameters": tool.parameters},
    })
}
