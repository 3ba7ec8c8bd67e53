//! Conversations as templates expect them.
//!
//! All take messages as the OpenAI API has them, and yet each was written with one kind of client in
//! mind. What a template's text gives away is read from it once; the rest is found by trying.

use std::{collections::HashMap, iter};

use hearth_domain::{Message, Role, Tool, ToolCall};
use serde_json::{Map, Value, json};

use super::{
    super::{
        thoughts,
        tools::{ToolFormat, knows_tools},
    },
    probe::Abilities,
    roles, untaught,
};

/// What a template expects, as far as its text tells.
#[derive(Debug)]
pub(super) struct Habits {
    pub(super) format: ToolFormat,
    /// Whether it shows the model the tools.
    knows_tools: bool,
    /// Whether it writes earlier calls.
    knows_calls: bool,
    /// Whether a turn that only calls tools has no content, rather than an empty one.
    content_may_be_none: bool,
    pub(super) marks_thoughts: bool,
}

/// What templates disagree about, and don't tell.
#[derive(Debug, Clone, Copy)]
pub(super) struct Shape {
    /// Whether a call's arguments are a map, or their JSON text.
    map_arguments: bool,
    /// Whether a turn that only calls tools has `none` as its content.
    none_content: bool,
    /// Whether content is a list of parts.
    parts: bool,
}

impl Habits {
    pub(super) fn of(source: Option<&str>) -> Self {
        let source_text = source.unwrap_or_default();
        let about_none =
            ["content is none", "content is not none", "content'] is none", "content'] is not none"];
        Self {
            format: ToolFormat::detect(source),
            knows_tools: knows_tools(source_text),
            knows_calls: source_text.contains("tool_calls"),
            content_may_be_none: about_none.iter().any(|test| source_text.contains(test)),
            marks_thoughts: thoughts::marks(source_text),
        }
    }

    /// Whether the template shows the model the tools.
    pub(super) fn knows_tools(&self) -> bool {
        self.knows_tools
    }

    /// The conversation as the template should understand it, and stricter ways to say the same: a template may
    /// refuse what it took when it was probed.
    pub(super) fn conversations(
        &self,
        messages: &[Message],
        tools: &[Tool],
        abilities: &Abilities,
    ) -> Vec<Vec<Message>> {
        let with_roles = match self.knows_tools && abilities.tools {
            true => self.with_tools(messages, abilities),
            false => untaught::conversation(messages, tools),
        };
        let strict = abilities.strict();
        let mut ways = vec![roles::fit(with_roles.clone(), abilities), roles::fit(with_roles, &strict)];
        if self.knows_tools && abilities.tools {
            ways.push(roles::fit(untaught::conversation(messages, tools), &strict));
        }
        ways.dedup();
        ways
    }

    /// The conversation for a template that knows of tools.
    fn with_tools(&self, messages: &[Message], abilities: &Abilities) -> Vec<Message> {
        let mut messages = with_names(messages);
        if !self.knows_calls {
            for message in &mut messages {
                let calls = self.format.write(&std::mem::take(&mut message.tool_calls));
                message.content.push_str(&calls);
            }
        }
        if self.format.one_call_a_turn() {
            messages = one_call_a_turn(messages);
        }
        if matches!(self.format, ToolFormat::MistralList | ToolFormat::MistralArgs) {
            messages.iter_mut().for_each(shorten_ids);
        }
        if abilities.tool_results { messages } else { untaught::results_as_text(messages) }
    }

    /// The shapes to try, likeliest first.
    pub(super) fn shapes(&self, messages: &[Message], abilities: &Abilities) -> impl Iterator<Item = Shape> {
        let plain = Shape::of(abilities, true, self.content_may_be_none);
        let calls = messages.iter().any(|message| !message.tool_calls.is_empty());
        let more = [(false, plain.none_content), (true, false), (false, false)]
            .map(|(map_arguments, none_content)| Shape { map_arguments, none_content, ..plain });
        let count = match (calls, self.content_may_be_none) {
            (false, _) => 0,
            (true, false) => 1,
            (true, true) => 3,
        };
        iter::once(plain).chain(more.into_iter().take(count))
    }
}

impl Shape {
    pub(super) fn of(abilities: &Abilities, map_arguments: bool, none_content: bool) -> Self {
        Self { map_arguments, none_content, parts: abilities.parts }
    }

    /// A message for the template. What it hasn't is left out: templates ask whether it is there.
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
        // Most drop the thoughts of earlier turns, and keep those between calls of tools.
        let thoughts: String = message.reasoning.iter().map(|block| block.text.as_str()).collect();
        if !thoughts.is_empty() {
            value.insert("reasoning_content".to_owned(), thoughts.into());
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

/// A tool for the template. Some can't do without a description.
pub(super) fn tool(tool: &Tool) -> Value {
    let description = tool.description.as_deref().unwrap_or_default();
    json!({
        "type": "function",
        "function": {"name": tool.name, "description": description, "parameters": tool.parameters},
    })
}

/// The messages, with the tool's name on each result.
fn with_names(messages: &[Message]) -> Vec<Message> {
    let mut messages = messages.to_vec();
    let mut names: HashMap<String, String> = HashMap::new();
    for message in &mut messages {
        names.extend(message.tool_calls.iter().map(|call| (call.id.clone(), call.name.clone())));
        if message.role == Role::Tool && message.name.is_none() {
            message.name = message.tool_call_id.as_ref().and_then(|id| names.get(id).cloned());
        }
    }
    messages
}

/// The messages, with each turn of several calls cut into turns of one, each followed by its result.
fn one_call_a_turn(messages: Vec<Message>) -> Vec<Message> {
    let mut out: Vec<Message> = Vec::with_capacity(messages.len());
    let mut messages = messages.into_iter().peekable();
    while let Some(turn) = messages.next() {
        if turn.tool_calls.len() < 2 {
            out.push(turn);
            continue;
        }
        let mut results: Vec<Message> =
            iter::from_fn(|| messages.next_if(|message| message.role == Role::Tool)).collect();
        for (number, call) in turn.tool_calls.iter().enumerate() {
            let content = if number == 0 { turn.content.clone() } else { String::new() };
            out.push(Message { content, tool_calls: vec![call.clone()], ..turn.clone() });
            let answers = |message: &Message| message.tool_call_id.as_ref() == Some(&call.id);
            let (of_this, others): (Vec<_>, Vec<_>) = results.into_iter().partition(answers);
            out.extend(of_this);
            results = others;
        }
        out.extend(results);
    }
    out
}

/// Mistral's templates want ids of nine letters and digits, and refuse any other.
fn shorten_ids(message: &mut Message) {
    let ids = message.tool_calls.iter_mut().map(|call| &mut call.id).chain(&mut message.tool_call_id);
    for id in ids {
        let letters: Vec<char> = id.chars().filter(char::is_ascii_alphanumeric).collect();
        *id = format!("{:0>9}", letters[letters.len().saturating_sub(9)..].iter().collect::<String>());
    }
}
