//! An export of a session as JSON, of this gateway or another one.

use std::collections::HashMap;

use hearth_domain::Role;
use serde_json::Value;

use super::{super::export::FORMAT, ImportedConversation, ImportedMessage, text, time};

pub(super) fn is_session(value: &Value) -> bool {
    value.get("format").and_then(Value::as_str) == Some(FORMAT)
}

pub(super) fn read(value: &Value) -> ImportedConversation {
    let session = value.get("session").unwrap_or(&Value::Null);
    let mut conversation = ImportedConversation {
        id: text(session, "id").unwrap_or_default(),
        title: text(session, "title"),
        system_prompt: text(session, "system_prompt"),
        created_at: session.get("created_at").and_then(time),
        last_used_at: session.get("last_used_at").and_then(time),
        ..ImportedConversation::default()
    };
    let mut places: HashMap<String, usize> = HashMap::new();
    let list = value.get("messages").and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
    for node in list {
        let role = node.get("role").and_then(|role| serde_json::from_value::<Role>(role.clone()).ok());
        let Some((role, id)) = role.zip(text(node, "id")) else {
            conversation.skip("a message of an unknown author");
            continue;
        };
        let is_empty = |name: &str| node.get(name).and_then(Value::as_array).is_none_or(Vec::is_empty);
        if !is_empty("artifacts") || node.get("images").and_then(Value::as_u64).is_some_and(|count| count > 0)
        {
            conversation.skip("a picture, a recording or another file");
        }
        if !is_empty("tool_calls") || role == Role::Tool {
            conversation.skip("a call of a tool, or its result");
            if role == Role::Tool {
                continue;
            }
        }
        let parent = text(node, "parent_id").and_then(|parent| places.get(&parent).copied());
        places.insert(id, conversation.messages.len());
        conversation.messages.push(ImportedMessage {
            parent,
            role,
            content: text(node, "content").unwrap_or_default(),
            model: text(node, "model"),
            created_at: node.get("created_at").and_then(time),
        });
    }
    conversation.head = text(session, "head").and_then(|head| places.get(&head).copied());
    conversation
}
