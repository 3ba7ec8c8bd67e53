//! A conversation as turns of blocks, in which user and assistant alternate.

use base64::{Engine as _, prelude::BASE64_STANDARD};
use hearth_domain::{
    Document, DocumentSource, Image, ImageSource, Message, Part, PartPlace, Reasoning, Role, ToolCall,
};
use hearth_wire::ApiError;
use serde_json::{Map, Value, json};

use crate::dialect::{Passing, gemini::seal::is_googles, openai_responses::seal::is_openais};

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

/// A conversation as Anthropic has it.
pub(super) struct Conversation {
    /// The instructions, wherever they stand: a text, or blocks where they have fields of their own.
    pub(super) system: Option<Value>,
    pub(super) turns: Vec<Turn>,
}

impl Conversation {
    /// The conversation that messages are.
    ///
    /// # Errors
    /// `invalid_request` if there is no turn, or a call has arguments that are no object.
    pub(super) fn of(messages: &[Message], passing: Passing) -> Result<Self, ApiError> {
        let mut system = Vec::new();
        let mut turns: Vec<Turn> = Vec::new();
        for message in messages {
            let (role, blocks) = match message.role {
                Role::System => {
                    system.extend(parts(message, passing)?);
                    continue;
                }
                Role::User => (USER, parts(message, passing)?),
                Role::Tool => (USER, vec![result(message, passing)?]),
                Role::Assistant => (ASSISTANT, said(message, passing)?),
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
        Ok(Self { system: instructions(system, passing), turns })
    }
}

/// Blocks stay blocks for a client that wrote them, and where one has a mark for the cache.
fn instructions(blocks: Vec<Value>, passing: Passing) -> Option<Value> {
    let is_plain = |block: &Value| block.as_object().is_some_and(|fields| fields.len() == 2);
    if blocks.is_empty() {
        return None;
    }
    if blocks.iter().all(is_plain) && (blocks.len() == 1 || passing != Passing::All) {
        let texts: Vec<&str> = blocks.iter().filter_map(|block| block["text"].as_str()).collect();
        return Some(json!(texts.join("\n\n")));
    }
    Some(Value::Array(blocks))
}

fn parts(message: &Message, passing: Passing) -> Result<Vec<Value>, ApiError> {
    let mut blocks = Vec::new();
    for (part, extra) in message.parts_with_extra() {
        let mut block = match part {
            // Blocks of white space alone are refused.
            Part::Text(text) if text.trim().is_empty() => continue,
            Part::Text(text) => json!({"type": "text", "text": text}),
            Part::Image(image) => json!({"type": "image", "source": source(image)}),
            Part::Document(file) => document(file)?,
            Part::Opaque(opaque) => opaque.value.clone(),
        };
        passing.add(extra, &mut block);
        blocks.push(block);
    }
    Ok(blocks)
}

/// A PDF, or plain text (<https://platform.claude.com/docs/en/build-with-claude/pdf-support>).
fn document(document: &Document) -> Result<Value, ApiError> {
    let source = match &document.source {
        DocumentSource::Url(url) => json!({"type": "url", "url": url}),
        DocumentSource::Text(text) => json!({"type": "text", "media_type": "text/plain", "data": text}),
        DocumentSource::Data { media_type, data } if media_type == "text/plain" => {
            let text = BASE64_STANDARD.decode(data).ok().and_then(|bytes| String::from_utf8(bytes).ok());
            let text = text.ok_or_else(|| {
                ApiError::invalid("messages", "a document of plain text must be UTF-8 in base64")
            })?;
            json!({"type": "text", "media_type": "text/plain", "data": text})
        }
        DocumentSource::Data { media_type, data } => {
            json!({"type": "base64", "media_type": media_type, "data": data})
        }
    };
    let mut block = json!({"type": "document", "source": source});
    if let Some(name) = &document.name {
        block["title"] = json!(name);
    }
    Ok(block)
}

fn source(image: &Image) -> Value {
    match &image.source {
        ImageSource::Url(url) => json!({"type": "url", "url": url}),
        ImageSource::Data { media_type, data } => {
            json!({"type": "base64", "media_type": media_type, "data": data})
        }
    }
}

fn result(message: &Message, passing: Passing) -> Result<Value, ApiError> {
    let id = message.tool_call_id.as_deref().unwrap_or_default();
    let mut result = json!({"type": "tool_result", "tool_use_id": id});
    let content = parts(message, passing)?;
    if !content.is_empty() {
        result["content"] = Value::Array(content);
    }
    if message.failed {
        result["is_error"] = json!(true);
    }
    passing.add(message.extra_of(PartPlace::Message), &mut result);
    Ok(result)
}

fn said(message: &Message, passing: Passing) -> Result<Vec<Value>, ApiError> {
    let mut blocks: Vec<Value> = message.reasoning.iter().filter_map(thoughts).collect();
    blocks.extend(parts(message, passing)?);
    for (number, call) in message.tool_calls.iter().enumerate() {
        let mut block = tool_use(call)?;
        passing.add(message.extra_of(PartPlace::Call(number)), &mut block);
        blocks.push(block);
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
    Ok(json!({"type": "tool_use", "id": call.id, "name": call.name, "input": input}))
}
