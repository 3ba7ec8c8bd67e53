//! Converts a conversation to turns of blocks, in which user and assistant alternate.

use base64::{Engine as _, prelude::BASE64_STANDARD};
use hearth_domain::{
    Document, DocumentSource, Image, ImageSource, Message, Part, PartPlace, Reasoning, Role, ToolCall,
};
use hearth_wire::ApiError;
use serde_json::{Map, Value, json};

use crate::dialect::{
    body::PassThrough, gemini::thought_signature::is_gemini, openai_responses::encrypted_reasoning::is_openai,
};

pub(super) const USER: &str = "user";
pub(super) const ASSISTANT: &str = "assistant";

/// Consecutive blocks of one role.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Turn {
    /// `user` or `assistant`.
    pub(super) role: &'static str,
    /// Never empty.
    pub(super) blocks: Vec<Value>,
}

impl Turn {
    /// The turn as JSON.
    pub(super) fn json(&self) -> Value {
        json!({"role": self.role, "content": self.blocks})
    }

    /// Returns whether the turn has a block of one of these types.
    pub(super) fn has(&self, kinds: &[&str]) -> bool {
        self.blocks.iter().any(|block| is_of_type(block, kinds))
    }

    /// Returns whether the turn begins with thoughts.
    pub(super) fn begins_with_thoughts(&self) -> bool {
        self.blocks.first().is_some_and(|block| is_of_type(block, &["thinking", "redacted_thinking"]))
    }
}

fn is_of_type(block: &Value, kinds: &[&str]) -> bool {
    block["type"].as_str().is_some_and(|kind| kinds.contains(&kind))
}

/// A conversation in Anthropic's form.
pub(super) struct Conversation {
    /// The system messages, from anywhere in the conversation: a text, or blocks if they have fields of their own.
    pub(super) system: Option<Value>,
    pub(super) turns: Vec<Turn>,
}

impl Conversation {
    /// Converts messages.
    ///
    /// # Errors
    /// `invalid_request` if there is no turn, or the arguments of a call aren't an object.
    pub(super) fn new(messages: &[Message], pass: PassThrough) -> Result<Self, ApiError> {
        let mut system = Vec::new();
        let mut turns: Vec<Turn> = Vec::new();
        for message in messages {
            let (role, blocks) = match message.role {
                Role::System => {
                    system.extend(parts(message, pass)?);
                    continue;
                }
                Role::User => (USER, parts(message, pass)?),
                Role::Tool => (USER, vec![tool_result(message, pass)?]),
                Role::Assistant => (ASSISTANT, assistant_blocks(message, pass)?),
            };
            match turns.last_mut() {
                Some(turn) if turn.role == role => turn.blocks.extend(blocks),
                _ if blocks.is_empty() => {}
                _ => turns.push(Turn { role, blocks }),
            }
        }
        if turns.is_empty() {
            let message = "this provider needs a message of the user or the assistant that isn't empty";
            return Err(ApiError::invalid("messages", message));
        }
        for turn in &mut turns {
            // Anthropic requires tool results before other blocks of the user.
            turn.blocks.sort_by_key(|block| turn.role == USER && !is_of_type(block, &["tool_result"]));
        }
        Ok(Self { system: system_value(system, pass), turns })
    }
}

/// Joins the blocks of system messages into a text, unless the client wrote blocks or one has a cache mark.
fn system_value(blocks: Vec<Value>, pass: PassThrough) -> Option<Value> {
    let is_plain = |block: &Value| block.as_object().is_some_and(|fields| fields.len() == 2);
    if blocks.is_empty() {
        return None;
    }
    if blocks.iter().all(is_plain) && (blocks.len() == 1 || pass != PassThrough::All) {
        let texts: Vec<&str> = blocks.iter().filter_map(|block| block["text"].as_str()).collect();
        return Some(json!(texts.join("\n\n")));
    }
    Some(Value::Array(blocks))
}

fn parts(message: &Message, pass: PassThrough) -> Result<Vec<Value>, ApiError> {
    let mut blocks = Vec::new();
    for (part, extra) in message.parts_with_extra() {
        let mut block = match part {
            // Anthropic refuses blocks of white space.
            Part::Text(text) if text.trim().is_empty() => continue,
            Part::Text(text) => json!({"type": "text", "text": text}),
            Part::Image(image) => json!({"type": "image", "source": source(image)}),
            Part::Document(file) => document(file)?,
            Part::Opaque(opaque) => opaque.value.clone(),
        };
        pass.add(extra, &mut block);
        blocks.push(block);
    }
    Ok(blocks)
}

/// Converts a PDF, or plain text (<https://platform.claude.com/docs/en/build-with-claude/pdf-support>).
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

fn tool_result(message: &Message, pass: PassThrough) -> Result<Value, ApiError> {
    let id = message.tool_call_id.as_deref().unwrap_or_default();
    let mut result = json!({"type": "tool_result", "tool_use_id": id});
    let content = parts(message, pass)?;
    if !content.is_empty() {
        result["content"] = Value::Array(content);
    }
    if message.failed {
        result["is_error"] = json!(true);
    }
    pass.add(message.extra_of(PartPlace::Message), &mut result);
    Ok(result)
}

fn assistant_blocks(message: &Message, pass: PassThrough) -> Result<Vec<Value>, ApiError> {
    let mut blocks: Vec<Value> = message.reasoning.iter().filter_map(thoughts).collect();
    blocks.extend(parts(message, pass)?);
    for (number, call) in message.tool_calls.iter().enumerate() {
        let mut block = tool_use(call)?;
        pass.add(message.extra_of(PartPlace::Call(number)), &mut block);
        blocks.push(block);
    }
    Ok(blocks)
}

/// Converts thoughts that Anthropic has signed or encrypted. It refuses other vendors' thoughts.
fn thoughts(block: &Reasoning) -> Option<Value> {
    let signature = block.signature.as_deref().filter(|signature| !is_gemini(signature));
    let encrypted = block.encrypted.as_deref().filter(|encrypted| !is_openai(encrypted));
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
        let message =
            "the arguments of a tool call in the conversation must be a JSON object for this provider";
        ApiError::invalid("messages", message)
    })?;
    Ok(json!({"type": "tool_use", "id": call.id, "name": call.name, "input": input}))
}
