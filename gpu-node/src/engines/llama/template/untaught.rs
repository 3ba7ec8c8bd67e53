//! Tools for models whose templates know none: a system message explains them in the commonest form,
//! calls stand in the assistant's text, and results come from the user.

use hearth_domain::{Message, Role, Tool};

use super::{
    super::tools::{ToolFormat, dumps},
    conversation,
};

const CALL: &str = "<tool_call>\n{\"name\": \"the tool's name\", \"arguments\": {\"its arguments\": \"as JSON\"}}\n</tool_call>";

/// The conversation in words alone. The second way is for templates that take no system message.
pub(super) fn conversations(messages: &[Message], tools: &[Tool]) -> Vec<Vec<Message>> {
    let spoken = spoken(messages);
    if tools.is_empty() {
        return vec![spoken];
    }
    let explanation = explanation(tools);
    let mut system = spoken.clone();
    match system.first_mut().filter(|message| message.role == Role::System) {
        Some(first) => first.content = format!("{}\n\n{explanation}", first.content),
        None => system.insert(0, Message::new(Role::System, explanation.as_str())),
    }
    let mut user = spoken;
    if let Some(first) = user.iter_mut().find(|message| message.role == Role::User) {
        first.content = format!("{explanation}\n\n{}", first.content);
    }
    vec![system, user]
}

/// The messages, with calls and results as text. Results in a row are one turn, and so is what the
/// user says after them: many templates insist on turns.
fn spoken(messages: &[Message]) -> Vec<Message> {
    let mut out: Vec<Message> = Vec::with_capacity(messages.len());
    let mut after_result = false;
    for message in messages {
        let result = message.role == Role::Tool;
        let role = if result { Role::User } else { message.role };
        let content = match (result, message.tool_calls.as_slice()) {
            (true, _) => format!("<tool_response>\n{}\n</tool_response>", message.content),
            (false, []) => message.content.clone(),
            (false, calls) => {
                let line = if message.content.is_empty() { "" } else { "\n" };
                format!("{}{line}{}", message.content, ToolFormat::Hermes.write(calls))
            }
        };
        match out.last_mut().filter(|_| after_result && role == Role::User) {
            Some(turn) => turn.content = format!("{}\n{content}", turn.content),
            None => out.push(Message::new(role, content)),
        }
        after_result = result;
    }
    out
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
