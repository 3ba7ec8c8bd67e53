//! Converts a conversation to `messages`, in which user and assistant alternate.

use hearth_domain::{
    Document, DocumentSource, Image, ImageSource, Message, Part, Piece, Reasoning, Role, ToolCall,
};
use hearth_wire::ApiError;
use serde_json::{Map, Value};

use super::DOCUMENT_TYPES;
use crate::{
    dialect::{gemini::thought_signature::is_gemini, openai_responses::encrypted_reasoning::is_openai},
    json_tree::{Json, Object, object},
};

/// Converts messages. Consecutive messages of one role become one: Bedrock requires that the results of calls are
/// together. It accepts calls and results only in requests with tools. Without `tools` they become text.
pub(super) fn messages(messages: &[Message], tools: bool) -> Result<Json<'_>, ApiError> {
    let mut turns: Vec<(&str, Vec<Object<'_>>)> = Vec::new();
    for message in messages {
        let (role, blocks) = match message.role {
            Role::System => continue,
            Role::User => ("user", content(message)?),
            Role::Assistant => ("assistant", assistant_blocks(message, tools)?),
            Role::Tool => ("user", tool_result(message, tools)?),
        };
        match turns.last_mut() {
            _ if blocks.is_empty() => {}
            Some((last, turn)) if *last == role => turn.extend(blocks),
            _ => turns.push((role, blocks)),
        }
    }
    if turns.is_empty() {
        return Err(ApiError::invalid("messages", "this provider needs a message of the user's"));
    }
    Ok(turns.into_iter().map(|(role, blocks)| object! {"role": role, "content": blocks}).collect())
}

/// Converts text, images and documents.
fn content(message: &Message) -> Result<Vec<Object<'_>>, ApiError> {
    let mut blocks: Vec<Object<'_>> = Vec::new();
    for part in message.parts() {
        blocks.extend(self::part(part, blocks.len())?);
    }
    // Bedrock requires a text beside a document.
    let has_file = blocks.iter().any(|block| block.get("document").is_some());
    if has_file && message.role == Role::User && blocks.iter().all(|block| block.get("text").is_none()) {
        blocks.push(object! {"text": "See the document."});
    }
    Ok(blocks)
}

/// Converts a part; `None` for a blank text, which Bedrock refuses. `number` names a document without a name.
fn part(part: Part<'_>, number: usize) -> Result<Option<Object<'_>>, ApiError> {
    Ok(match part {
        Part::Text(text) if text.trim().is_empty() => None,
        Part::Text(text) => Some(object! {"text": text}),
        Part::Image(image) => Some(picture(image)?),
        Part::Document(file) => Some(document(file, number)?),
        // Only for providers of the client's dialect, and no client has this one.
        Part::Opaque(_) => None,
    })
}

/// Bedrock's names of the formats in [`DOCUMENT_TYPES`].
const FORMATS: [&str; 9] = ["pdf", "csv", "doc", "docx", "xls", "xlsx", "html", "txt", "md"];

/// Converts a document (<https://docs.aws.amazon.com/bedrock/latest/APIReference/API_runtime_DocumentBlock.html>).
/// `number` names a document without a name.
fn document(document: &Document, number: usize) -> Result<Object<'_>, ApiError> {
    let (media_type, data) = match &document.source {
        DocumentSource::Text(_) => return Ok(object! {"text": document.text()}),
        DocumentSource::Data { media_type, data } => (media_type, data),
        DocumentSource::Url(_) => {
            let message = "this provider doesn't fetch documents; send it in base64";
            return Err(ApiError::invalid("messages", message));
        }
    };
    let format = DOCUMENT_TYPES.iter().zip(FORMATS).find(|(supported, _)| *supported == media_type);
    let Some((_, format)) = format else {
        return Err(ApiError::invalid(
            "messages",
            "this provider doesn't support documents of this media type",
        ));
    };
    // Bedrock accepts letters, digits, single spaces, dashes, parentheses and brackets.
    let name = document.name.as_deref().unwrap_or_default();
    let clean: String = name
        .chars()
        .map(|c| if c.is_ascii_alphanumeric() || "-()[]".contains(c) { c } else { ' ' })
        .collect();
    let words: Vec<&str> = clean.split_whitespace().collect();
    let name = if words.is_empty() { format!("document {number}") } else { words.join(" ") };
    let name: String = name.chars().take(200).collect();
    let source = object! {"bytes": data};
    Ok(object! {"document": object! {"format": format, "name": name, "source": source}})
}

fn picture(image: &Image) -> Result<Object<'_>, ApiError> {
    let ImageSource::Data { media_type, data } = &image.source else {
        let message = "this provider doesn't fetch images; send it in base64: data:image/png;base64,...";
        return Err(ApiError::invalid("messages", message));
    };
    let format = match media_type.as_str() {
        "image/png" => "png",
        "image/jpeg" | "image/jpg" => "jpeg",
        "image/gif" => "gif",
        "image/webp" => "webp",
        other => {
            let message = format!("this provider supports images in PNG, JPEG, GIF and WebP, not in {other}");
            return Err(ApiError::invalid("messages", message));
        }
    };
    Ok(object! {"image": object! {"format": format, "source": object! {"bytes": data}}})
}

/// Converts reasoning, texts and calls of the assistant, in their order.
fn assistant_blocks(message: &Message, tools: bool) -> Result<Vec<Object<'_>>, ApiError> {
    let mut blocks: Vec<Object<'_>> = Vec::new();
    for piece in message.pieces() {
        blocks.extend(match piece {
            Piece::Reasoning(block) => thought(block),
            Piece::Part(_, part) => self::part(part, blocks.len())?,
            Piece::Call(_, call) => Some(tool_use(call, tools)?),
        });
    }
    Ok(blocks)
}

/// Converts thoughts. Bedrock refuses thoughts without a signature, and with another vendor's.
fn thought(block: &Reasoning) -> Option<Object<'_>> {
    if let Some(hidden) = block.encrypted.as_deref().filter(|encrypted| !is_openai(encrypted)) {
        return Some(object! {"reasoningContent": object! {"redactedContent": hidden}});
    }
    let signature = block.signature.as_deref().filter(|signature| !is_gemini(signature))?;
    let text = object! {"text": &block.text, "signature": signature};
    Some(object! {"reasoningContent": object! {"reasoningText": text}})
}

fn tool_use(call: &ToolCall, tools: bool) -> Result<Object<'_>, ApiError> {
    let ToolCall { id, name, arguments } = call;
    if !tools {
        return Ok(object! {"text": format!("[Call {id} of the tool {name}: {arguments}]")});
    }
    let input = match arguments.trim() {
        "" => Value::Object(Map::new()),
        text => serde_json::from_str(text).ok().filter(Value::is_object).ok_or_else(|| {
            let message = format!("the arguments of the call {id} must be a JSON object");
            ApiError::invalid("messages", message)
        })?,
    };
    Ok(object! {"toolUse": object! {"toolUseId": id, "name": name, "input": input}})
}

fn tool_result(message: &Message, tools: bool) -> Result<Vec<Object<'_>>, ApiError> {
    let id = message.tool_call_id.as_ref().ok_or_else(|| {
        ApiError::invalid("messages", "a tool's message must have the id of its call in tool_call_id")
    })?;
    let content = content(message)?;
    if !tools {
        let outcome = if message.failed { "Failure" } else { "Result" };
        let title = object! {"text": format!("[{outcome} of the call {id}]")};
        return Ok(std::iter::once(title).chain(content).collect());
    }
    let mut result = object! {"toolUseId": id, "content": content};
    if message.failed {
        result.set("status", "error");
    }
    Ok(vec![object! {"toolResult": result}])
}
