//! Tools for models whose templates know none: a system message explains them in the commonest form,
//! calls stand in the assistant's text, and results come from the user.

use hearth_domain::{Message, Role, Tool};

use super::{
    super::tools::{ToolFormat, dumps},
    conversation,
};

const CALL: &str = "<tool_call>\n{\"name\": \"the tool's name\", \"arguments\": {\"its arguments\": \"as JSON\"}}\n</tool_call>";

/// The conversation in words alone, the tools in its system message.
pub(super) fn conversation(messages: &[Message], tools: &[Tool]) -> Vec<Message> {
    let mut spoken = spoken(messages);
    if tools.is_empty() {
        return spoken;
    }
    let explanation = explanation(tools);
    match spoken.first_mut().filter(|message| message.role == Role::System) {
        Some(first) => first.content = format!("{}\n\n{explanation}", first.content),
        None => spoken.insert(0, Message::new(Role::System, explanation)),
    }
    spoken
}

/// The messages, with results of tools as what the user says, for templates that write calls and have no role for
/// their results. Those in a row are one turn.
pub(super) fn results_as_text(messages: Vec<Message>) -> Vec<Message> {
    let mut out: Vec<Message> = Vec::with_capacity(messages.len());
    let mut after_result = false;
    for message in messages {
        let result = message.role == Role::Tool;
        let message = if result { Message::new(Role::User, response(&message.content)) } else { message };
        match out.last_mut().filter(|_| after_result && message.role == Role::User) {
            Some(turn) => turn.content = format!("{}\n{}", turn.content, message.content),
            None => out.push(message),
        }
        after_result = result;
    }
    out
}

fn response(result: &str) -> String {
    format!("<tool_response>\n{result}\n</tool_response>")
}

/// The messages, with calls and results as text. Results in a row are one turn, and so is what the
/// user says after them: many templates insist on turns.
fn spoken(messages: &[Message]) -> Vec<Message> {
    let spoken = messages.iter().map(|message| {
        let calls = ToolFormat::Hermes.write(&message.tool_calls);
        let line = if message.content.is_empty() || calls.is_empty() { "" } else { "\n" };
        Message {
            images: message.images.clone(),
            ..Message::new(message.role, format!("{}{line}{calls}", message.content))
        }
    });
    results_as_text(spoken.collect())
}

fn explanation(tools: &[Tool]) -> String {
    let lines: Vec<String> =
        tools.iter().map(|tool| dumps(&conversation::tool(tool), None).unwrap_or_default()).collect();
    format!(
        "You can call tools. To call one, write this, with nothing after it:\n{CALL}\nTo call several, \
         write it several times. Their results then come in <tool_response> tags. When no tool helps, \
         answer without one.\n\nThese are the tools:\n<tools>\n{}\n</tools>",
        lines.join("\n")
    )
}
