//! Open WebUI's export of chats: a list of chats, each a tree of messages under `chat.history`.
//!
//! Its frontend writes it: <https://github.com/open-webui/open-webui>, `exportChats`. Older chats have a list of messages only.

use std::collections::HashMap;

use hearth_domain::Role;
use serde_json::Value;

use super::{ImportedConversation, ImportedMessage, parents_first, text, time};

pub(super) fn is_chat(value: &Value) -> bool {
    let chat = value.get("chat").unwrap_or(value);
    chat.pointer("/history/messages").is_some_and(Value::is_object)
        || (value.get("chat").is_some() && chat.get("messages").is_some_and(Value::is_array))
}

pub(super) fn read(value: &Value) -> ImportedConversation {
    let chat = value.get("chat").unwrap_or(value);
    let time_of = |names: [&str; 2]| {
        names.iter().find_map(|name| value.get(*name).or_else(|| chat.get(*name)).and_then(time))
    };
    let mut conversation = ImportedConversation {
        id: text(value, "id").or_else(|| text(chat, "id")).unwrap_or_default(),
        title: text(value, "title").or_else(|| text(chat, "title")),
        system_prompt: text(chat, "system")
            .or_else(|| chat.pointer("/params/system")?.as_str().map(str::to_owned)),
        created_at: time_of(["created_at", "timestamp"]),
        last_used_at: time_of(["updated_at", "timestamp"]),
        ..ImportedConversation::default()
    };
    match chat.pointer("/history/messages").and_then(Value::as_object) {
        Some(nodes) => {
            let mut messages: HashMap<&str, Option<usize>> = HashMap::new();
            for (id, parent) in parents_first(nodes, |node| node.get("parentId")?.as_str()) {
                let parent = parent.and_then(|parent| messages.get(parent).copied()).flatten();
                let message = nodes.get(id).and_then(|node| read_message(node, parent, &mut conversation));
                let place = message.map(|message| {
                    conversation.messages.push(message);
                    conversation.messages.len() - 1
                });
                messages.insert(id, place.or(parent));
            }
            let current = chat.pointer("/history/currentId").and_then(Value::as_str);
            conversation.head = current.and_then(|id| messages.get(id).copied()).flatten();
        }
        None => {
            let list = chat.get("messages").and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
            for node in list {
                let parent = conversation.messages.len().checked_sub(1);
                if let Some(message) = read_message(node, parent, &mut conversation) {
                    conversation.messages.push(message);
                }
            }
        }
    }
    conversation
}

/// Reads a message; none if it has nothing for a reader.
fn read_message(
    node: &Value,
    parent: Option<usize>,
    conversation: &mut ImportedConversation,
) -> Option<ImportedMessage> {
    let role = match node.get("role").and_then(Value::as_str) {
        Some("user") => Role::User,
        Some("assistant") => Role::Assistant,
        Some("system") => Role::System,
        _ => {
            conversation.skip("a message of an unknown author");
            return None;
        }
    };
    if node.get("files").and_then(Value::as_array).is_some_and(|files| !files.is_empty()) {
        conversation.skip("a picture, a recording or another file");
    }
    let content = match node.get("content") {
        Some(Value::String(content)) => content.clone(),
        Some(Value::Array(parts)) => {
            let texts: Vec<_> = parts.iter().filter_map(|part| text(part, "text")).collect();
            texts.join("\n\n")
        }
        _ => String::new(),
    };
    if content.trim().is_empty() {
        conversation.skip("a message without text");
        return None;
    }
    let created_at = node.get("timestamp").and_then(time);
    Some(ImportedMessage { parent, role, content, model: text(node, "model"), created_at })
}
