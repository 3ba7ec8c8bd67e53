//! Tools for models whose templates have none: a system message explains them in the most common format, calls are
//! part of the assistant's text, and results come from the user.

use hearth_domain::{Message, Role, Tool};

use super::message_format;
use crate::engines::llama::tools::{ToolFormat, python_json};

/// The format of a call, for the explanation.
const CALL_EXAMPLE: &str = "<tool_call>\n{\"name\": \"the tool's name\", \"arguments\": {\"its arguments\": \"as JSON\"}}\n</tool_call>";

/// Converts calls and results to text, and adds the tools to the system message.
pub(super) fn conversation(messages: &[Message], tools: &[Tool]) -> Vec<Message> {
    let mut messages = calls_and_results_as_text(messages);
    if tools.is_empty() {
        return messages;
    }
    let explanation = explanation(tools);
    match messages.first_mut().filter(|message| message.role == Role::System) {
        Some(first) => first.content = format!("{}\n\n{explanation}", first.content),
        None => messages.insert(0, Message::new(Role::System, explanation)),
    }
    messages
}

/// Makes tool results messages of the user, for templates that write calls and have no role for results. Consecutive
/// results are one turn.
pub(super) fn results_as_text(messages: Vec<Message>) -> Vec<Message> {
    let mut out: Vec<Message> = Vec::with_capacity(messages.len());
    let mut after_result = false;
    for message in messages {
        let result = message.role == Role::Tool;
        let message = if result { Message::new(Role::User, result_text(&message.content)) } else { message };
        match out.last_mut().filter(|_| after_result && message.role == Role::User) {
            Some(turn) => turn.content = format!("{}\n{}", turn.content, message.content),
            None => out.push(message),
        }
        after_result = result;
    }
    out
}

fn result_text(result: &str) -> String {
    format!("<tool_response>\n{result}\n</tool_response>")
}

/// Converts calls and results to text. Consecutive results and the user's message after them are one turn, as many
/// templates require alternating turns.
fn calls_and_results_as_text(messages: &[Message]) -> Vec<Message> {
    let converted = messages.iter().map(|message| {
        let calls = ToolFormat::Hermes.write_calls(&message.tool_calls);
        let separator = if message.content.is_empty() || calls.is_empty() { "" } else { "\n" };
        Message {
            images: message.images.clone(),
            ..Message::new(message.role, format!("{}{separator}{calls}", message.content))
        }
    });
    results_as_text(converted.collect())
}

fn explanation(tools: &[Tool]) -> String {
    let lines: Vec<String> = tools
        .iter()
        .map(|tool| python_json::to_string(&message_format::tool_value(tool), None).unwrap_or_default())
        .collect();
    format!(
        "You can call tools. To call one, write this, with nothing after it:\n{CALL_EXAMPLE}\nTo call several, \
         write it several times. Their results then come in <tool_response> tags. When no tool helps, \
         answer without one.\n\nThese are the tools:\n<tools>\n{}\n</tools>",
        lines.join("\n")
    )
}
