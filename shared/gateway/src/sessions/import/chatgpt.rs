//! ChatGPT's `conversations.json`: a list of conversations, each a tree of messages under `mapping`.
//!
//! The format is not documented; this follows exports of 2023 to 2025.

use std::collections::HashMap;

use hearth_domain::Role;
use serde_json::Value;

use super::{ImportedConversation, ImportedMessage, parents_first, text, time};

pub(super) fn is_conversation(value: &Value) -> bool {
    value.get("mapping").is_some_and(Value::is_object)
}

pub(super) fn read(value: &Value) -> ImportedConversation {
    let id = text(value, "conversation_id").or_else(|| text(value, "id")).unwrap_or_default();
    let mut conversation = ImportedConversation {
        id,
        title: text(value, "title"),
        created_at: value.get("create_time").and_then(time),
        last_used_at: value.get("update_time").and_then(time),
        ..ImportedConversation::default()
    };
    let Some(mapping) = value.get("mapping").and_then(Value::as_object) else { return conversation };
    // For each node the message that stands for it: its own, or that of the nearest ancestor that has one.
    let mut messages: HashMap<&str, Option<usize>> = HashMap::new();
    for (id, parent) in parents_first(mapping, |node| node.get("parent")?.as_str()) {
        let parent = parent.and_then(|parent| messages.get(parent).copied()).flatten();
        let own = mapping.get(id).and_then(|node| node.get("message")).filter(|message| message.is_object());
        let message = own.and_then(|message| read_message(message, parent, &mut conversation));
        let place = message.map(|message| {
            conversation.messages.push(message);
            conversation.messages.len() - 1
        });
        messages.insert(id, place.or(parent));
    }
    let current = value.get("current_node").and_then(Value::as_str);
    conversation.head = current.and_then(|id| messages.get(id).copied()).flatten();
    conversation
}

/// Reads a message; none if it has nothing for a reader.
fn read_message(
    message: &Value,
    parent: Option<usize>,
    conversation: &mut ImportedConversation,
) -> Option<ImportedMessage> {
    let role = match message.pointer("/author/role").and_then(Value::as_str) {
        Some("user") => Role::User,
        Some("assistant") => Role::Assistant,
        Some("system") => Role::System,
        Some("tool") => {
            conversation.skip("a message of a tool");
            return None;
        }
        _ => {
            conversation.skip("a message of an unknown author");
            return None;
        }
    };
    let is_hidden =
        message.pointer("/metadata/is_visually_hidden_from_conversation").and_then(Value::as_bool);
    let content = message.get("content").unwrap_or(&Value::Null);
    let kind = content.get("content_type").and_then(Value::as_str).unwrap_or("text");
    let content = match kind {
        "text" | "multimodal_text" => read_parts(content, conversation),
        "code" => {
            let code = text(content, "text").unwrap_or_default();
            format!("```\n{code}\n```")
        }
        _ => {
            conversation.skip("a message of another kind than text, such as thoughts");
            return None;
        }
    };
    // Each conversation has a first message of the system that is hidden or empty.
    if content.trim().is_empty() || is_hidden == Some(true) {
        if role == Role::User && is_hidden != Some(true) {
            conversation.skip("a message without text");
        }
        return None;
    }
    let model = message.pointer("/metadata/model_slug").and_then(Value::as_str).map(ToOwned::to_owned);
    let created_at = message.get("create_time").and_then(time);
    Some(ImportedMessage { parent, role, content, model, created_at })
}

fn read_parts(content: &Value, conversation: &mut ImportedConversation) -> String {
    let mut texts = Vec::new();
    for part in content.get("parts").and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default() {
        match part {
            Value::String(part) if !part.is_empty() => texts.push(part.clone()),
            Value::String(_) | Value::Null => {}
            part => match text(part, "text") {
                Some(part) => texts.push(part),
                None => conversation.skip("a picture, a recording or another file"),
            },
        }
    }
    texts.join("\n\n")
}
