//! A conversation as `messages`, in which the user and the assistant take turns.

use hearth_domain::{Document, DocumentSource, Image, ImageSource, Message, Part, Reasoning, Role, ToolCall};
use hearth_wire::ApiError;
use serde_json::{Value, json};

use super::DOCUMENT_TYPES;
use crate::dialect::{gemini::seal::is_googles, openai_responses::seal::is_openais};

/// The turns of a conversation. What one side says in several messages is one turn: so the results of calls
/// stand together, as Bedrock asks for it.
///
/// It takes calls and results only with tools on offer. Without `tools` they are told in words.
pub(super) fn messages(messages: &[Message], tools: bool) -> Result<Value, ApiError> {
    let mut turns: Vec<(&str, Vec<Value>)> = Vec::new();
    for message in messages {
        let (role, blocks) = match message.role {
            Role::System => continue,
            Role::User => ("user", shown(message)?),
            Role::Assistant => ("assistant", said(message, tools)?),
            Role::Tool => ("user", result(message, tools)?),
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
    Ok(turns.into_iter().map(|(role, blocks)| json!({"role": role, "content": blocks})).collect())
}

/// Text, images and documents. A blank text is refused, and says nothing.
fn shown(message: &Message) -> Result<Vec<Value>, ApiError> {
    let mut blocks = Vec::new();
    for part in message.parts() {
        match part {
            Part::Text(text) if text.trim().is_empty() => {}
            Part::Text(text) => blocks.push(json!({"text": text})),
            Part::Image(image) => blocks.push(picture(image)?),
            Part::Document(file) => blocks.push(document(file, blocks.len())?),
            // A word of another dialect's, which no client of this one has.
            Part::Opaque(_) => {}
        }
    }
    // A document does not go without a text.
    let has_file = blocks.iter().any(|block| block.get("document").is_some());
    if has_file && message.role == Role::User && blocks.iter().all(|block| block.get("text").is_none()) {
        blocks.push(json!({"text": "See the document."}));
    }
    Ok(blocks)
}

/// What Bedrock calls the media types of documents that it reads.
const FORMATS: [&str; 9] = ["pdf", "csv", "doc", "docx", "xls", "xlsx", "html", "txt", "md"];

/// A document (<https://docs.aws.amazon.com/bedrock/latest/APIReference/API_runtime_DocumentBlock.html>). `number` sets
/// those of a message apart that have no name.
fn document(document: &Document, number: usize) -> Result<Value, ApiError> {
    let (media_type, data) = match &document.source {
        DocumentSource::Text(_) => return Ok(json!({"text": document.text()})),
        DocumentSource::Data { media_type, data } => (media_type, data),
        DocumentSource::Url(_) => {
            let message = "this provider fetches no documents; send it in base64";
            return Err(ApiError::invalid("messages", message));
        }
    };
    let known = DOCUMENT_TYPES.iter().zip(FORMATS).find(|(known, _)| *known == media_type);
    let Some((_, format)) = known else {
        return Err(ApiError::invalid("messages", "this provider reads no documents of this media type"));
    };
    // Letters, digits, single spaces, dashes, parentheses and brackets.
    let name = document.name.as_deref().unwrap_or_default();
    let clean: String = name
        .chars()
        .map(|c| if c.is_ascii_alphanumeric() || "-()[]".contains(c) { c } else { ' ' })
        .collect();
    let words: Vec<&str> = clean.split_whitespace().collect();
    let name = if words.is_empty() { format!("document {number}") } else { words.join(" ") };
    let name: String = name.chars().take(200).collect();
    Ok(json!({"document": {"format": format, "name": name, "source": {"bytes": data}}}))
}

fn picture(image: &Image) -> Result<Value, ApiError> {
    let ImageSource::Data { media_type, data } = &image.source else {
        let message = "this provider fetches no images; send it in base64: data:image/png;base64,...";
        return Err(ApiError::invalid("messages", message));
    };
    let format = match media_type.as_str() {
        "image/png" => "png",
        "image/jpeg" | "image/jpg" => "jpeg",
        "image/gif" => "gif",
        "image/webp" => "webp",
        other => {
            let message = format!("this provider takes images as PNG, JPEG, GIF or WebP, not as {other}");
            return Err(ApiError::invalid("messages", message));
        }
    };
    Ok(json!({"image": {"format": format, "source": {"bytes": data}}}))
}

/// What the assistant said: thoughts, text, calls.
fn said(message: &Message, tools: bool) -> Result<Vec<Value>, ApiError> {
    let mut blocks: Vec<Value> = message.reasoning.iter().filter_map(thought).collect();
    blocks.extend(shown(message)?);
    for call in &message.tool_calls {
        blocks.push(called(call, tools)?);
    }
    Ok(blocks)
}

/// Thoughts without a signature are refused, as those are that another maker signed.
fn thought(block: &Reasoning) -> Option<Value> {
    if let Some(hidden) = block.encrypted.as_deref().filter(|encrypted| !is_openais(encrypted)) {
        return Some(json!({"reasoningContent": {"redactedContent": hidden}}));
    }
    let signature = block.signature.as_deref().filter(|signature| !is_googles(signature))?;
    Some(json!({"reasoningContent": {"reasoningText": {"text": block.text, "signature": signature}}}))
}

fn called(call: &ToolCall, tools: bool) -> Result<Value, ApiError> {
    let ToolCall { id, name, arguments } = call;
    if !tools {
        return Ok(json!({"text": format!("[Call {id} of the tool {name}: {arguments}]")}));
    }
    let input = match arguments.trim() {
        "" => json!({}),
        text => serde_json::from_str(text).ok().filter(Value::is_object).ok_or_else(|| {
            let message = format!("the arguments of the call {id} must be a JSON object");
            ApiError::invalid("messages", message)
        })?,
    };
    Ok(json!({"toolUse": {"toolUseId": id, "name": name, "input": input}}))
}

fn result(message: &Message, tools: bool) -> Result<Vec<Value>, ApiError> {
    let id = message.tool_call_id.as_ref().ok_or_else(|| {
        ApiError::invalid("messages", "a tool's message must say which call it answers (tool_call_id)")
    })?;
    let content = shown(message)?;
    if !tools {
        let what = if message.failed { "Failure" } else { "Result" };
        let title = json!({"text": format!("[{what} of the call {id}]")});
        return Ok(std::iter::once(title).chain(content).collect());
    }
    let mut result = json!({"toolUseId": id, "content": content});
    if message.failed {
        result["status"] = json!("error");
    }
    Ok(vec![json!({"toolResult": result})])
}
