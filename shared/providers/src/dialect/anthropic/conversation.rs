//! A conversation as turns of blocks, in which user and assistant alternate.

use hearth_domain::{Image, ImageSource, Message, Part, Reasoning, Role, ToolCall};
use hearth_wire::ApiError;
use serde_json::{Map, Value, json};

use crate::dialect::{gemini::seal::is_googles, openai_responses::seal::is_openais};

pub(super) const USER: &str = "user";
pub(super) const ASSISTANT: &str = "assistant";

/// What one side says before the other does.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Turn {
    /// `user` or `assistant`.
    pub(super) role: &'static str,
    /// Never empty.
    pub(super) blocks: Vec<Value>,
}

impl Turn {
    /// As it is sent.
    pub(super) fn json(&self) -> Value {
        json!({"role": self.role, "content": self.blocks})
    }

    /// Whether a block of one of these types is in it.
    pub(super) fn has(&self, kinds: &[&str]) -> bool {
        self.blocks.iter().any(|block| is(block, kinds))
    }

    /// Whether it begins with thoughts.
    pub(super) fn begins_with_thoughts(&self) -> bool {
        self.blocks.first().is_some_and(|block| is(block, &["thinking", "redacted_thinking"]))
    }
}

fn is(block: &Value, kinds: &[&str]) -> bool {
    block["type"].as_str().is_some_and(|kind| kinds.contains(&kind))
}

/// The instructions, wherever they stand, and the turns.
///
/// # Errors
/// `invalid_request` if there is no turn, or a call has arguments that are no object.
pub(super) fn conversation(messages: &[Message]) -> Result<(Vec<&str>, Vec<Turn>), ApiError> {
    let mut system = Vec::new();
    let mut turns: Vec<Turn> = Vec::new();
    for message in messages {
        let (role, blocks) = match message.role {
            Role::System => {
                system.extend(Some(message.content.as_str()).filter(|text| !text.trim().is_empty()));
                continue;
            }
            Role::User => (USER, parts(message)),
            Role::Tool => (USER, vec![result(message)]),
            Role::Assistant => (ASSISTANT, said(message)?),
        };
        match turns.last_mut() {
            Some(turn) if turn.role == role => turn.blocks.extend(blocks),
            _ if blocks.is_empty() => {}
            _ => turns.push(Turn { role, blocks }),
        }
    }
    if turns.is_empty() {
        let message = "this provider needs a message of the user or the assistant that says something";
        return Err(ApiError::invalid("messages", message));
    }
    for turn in &mut turns {
        // Results come before anything else that the user says.
        turn.blocks.sort_by_key(|block| turn.role == USER && !is(block, &["tool_result"]));
    }
    Ok((system, turns))
}

fn parts(message: &Message) -> Vec<Value> {
    let parts = message.parts().into_iter();
    parts
        .filter_map(|part| match part {
            // Blocks of white space alone are refused.
            Part::Text(text) if text.trim().is_empty() => None,
            Part::Text(text) => Some(json!({"type": "text", "text": text})),
            Part::Image(image) => Some(json!({"type": "image", "source": source(image)})),
        })
        .collect()
}

fn source(image: &Image) -> Value {
    match &image.source {
        ImageSource::Url(url) => json!({"type": "url", "url": url}),
        ImageSource::Data { media_type, data } => {
            json!({"type": "base64", "media_type": media_type, "data": data})
        }
    }
}

fn result(message: &Message) -> Value {
    let id = message.tool_call_id.as_deref().unwrap_or_default();
    let mut result = json!({"type": "tool_result", "tool_use_id": clean(id)});
    let content = parts(message);
    if !content.is_empty() {
        result["content"] = Value::Array(content);
    }
    if message.failed {
        result["is_error"] = json!(true);
    }
    result
}

fn said(message: &Message) -> Result<Vec<Value>, ApiError> {
    let mut blocks: Vec<Value> = message.reasoning.iter().filter_map(thoughts).collect();
    blocks.extend(parts(message));
    for call in &message.tool_calls {
        blocks.push(tool_use(call)?);
    }
    Ok(blocks)
}

/// Thoughts that Anthropic has signed or sealed. Those of others it doesn't take.
fn thoughts(block: &Reasoning) -> Option<Value> {
    // A seal of another maker is none.
    let signature = block.signature.as_deref().filter(|signature| !is_googles(signature));
    let encrypted = block.encrypted.as_deref().filter(|encrypted| !is_openais(encrypted));
    match (signature, encrypted) {
        (Some(signature), _) => {
            Some(json!({"type": "thinking", "thinking": block.text, "signature": signature}))
        }
        (None, Some(data)) => Some(json!({"type": "redacted_thinking", "data": data})),
        (None, None) => None,
    }
}

fn tool_use(call: &ToolCall) -> Result<Value, ApiError> {
    let arguments = if call.arguments.trim().is_empty() { "{}" } else { &call.arguments };
    let input: Map<String, Value> = serde_json::from_str(arguments).map_err(|_| {
        let message = "the arguments of a tool call in the conversation are no JSON object; this provider takes \
                       no others";
        ApiError::invalid("messages", message)
    })?;
    Ok(json!({"type": "tool_use", "id": clean(&call.id), "name": call.name, "input": input}))
}

/// An id in the characters that are taken: another provider's may have more.
fn clean(id: &str) -> String {
    id.chars().map(|c| if c.is_ascii_alphanumeric() || matches!(c, '_' | '-') { c } else { '_' }).collect()
}
