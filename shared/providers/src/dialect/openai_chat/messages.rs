//! Converts the messages of a conversation.

use hearth_domain::{Document, DocumentSource, Image, Message, Part, PartPlace, Role};
use serde_json::{Value, json};

use super::quirks::{Quirks, SentThoughts};
use crate::dialect::body::PassThrough;

/// Text of a tool's message whose result has images or documents only.
const SHOWN_BELOW: &str = "(The result is shown in the next message.)";

/// Converts messages. A tool's message has text only: images and documents of results go into a message of the user
/// after the results.
pub(super) fn messages(quirks: &Quirks, messages: &[Message], pass: PassThrough) -> Value {
    let (mut converted, mut shown): (Vec<Value>, Vec<Value>) =
        (Vec::with_capacity(messages.len()), Vec::new());
    for message in messages {
        if message.role == Role::Tool && !message.is_text_only() {
            shown.extend(shown_parts(message));
            converted.push(tool_result(message, pass));
            continue;
        }
        if message.role != Role::Tool {
            converted.extend(shown_message(&mut shown));
        }
        converted.push(self::message(quirks, message, pass));
    }
    converted.extend(shown_message(&mut shown));
    if quirks.prefix
        && let Some(last) = converted.last_mut().filter(|last| last["role"] == "assistant")
    {
        last["prefix"] = json!(true);
    }
    Value::Array(converted)
}

fn shown_message(shown: &mut Vec<Value>) -> Option<Value> {
    (!shown.is_empty()).then(|| json!({"role": "user", "content": std::mem::take(shown)}))
}

/// Returns the images and documents of a result, after the name of its tool.
fn shown_parts(message: &Message) -> Vec<Value> {
    let tool = message.name.as_deref().unwrap_or("tool");
    let mut parts = vec![json!({"type": "text", "text": format!("Shown by {tool}:")})];
    for part in message.parts() {
        match part {
            Part::Text(_) => {}
            Part::Image(image) => parts.push(picture(image)),
            Part::Document(file) => parts.push(document(file)),
            Part::Opaque(opaque) => parts.push(opaque.value.clone()),
        }
    }
    parts
}

fn tool_result(message: &Message, pass: PassThrough) -> Value {
    let text = if message.content.trim().is_empty() { SHOWN_BELOW } else { &message.content };
    let mut result = json!({"role": "tool", "content": text, "tool_call_id": message.tool_call_id});
    pass.add(message.extra_of(PartPlace::Message), &mut result);
    result
}

fn message(quirks: &Quirks, message: &Message, pass: PassThrough) -> Value {
    let mut object = json!({"role": message.role.as_str(), "content": content(message, pass)});
    if !message.tool_calls.is_empty() {
        let calls = message.tool_calls.iter().enumerate().map(|(number, call)| {
            let function = json!({"name": call.name, "arguments": call.arguments});
            let mut call = json!({"id": call.id, "type": "function", "function": function});
            pass.add(message.extra_of(PartPlace::Call(number)), &mut call);
            call
        });
        object["tool_calls"] = calls.collect();
    }
    if let Some(id) = &message.tool_call_id {
        object["tool_call_id"] = json!(id);
    }
    if let Some(name) = message.name.as_ref().filter(|_| message.role != Role::Tool) {
        object["name"] = json!(name);
    }
    if let Some(thoughts) = thoughts(quirks.sent_thoughts, message) {
        object["reasoning_content"] = json!(thoughts);
    }
    pass.add(message.extra_of(PartPlace::Message), &mut object);
    object
}

/// Returns the thoughts to send back, unless they are signed or encrypted, and so another vendor's.
fn thoughts(sent: SentThoughts, message: &Message) -> Option<String> {
    if message.role != Role::Assistant || sent == SentThoughts::None {
        return None;
    }
    let is_plain =
        message.reasoning.iter().all(|block| block.signature.is_none() && block.encrypted.is_none());
    let texts = message.reasoning.iter().filter(|_| is_plain).map(|block| block.text.as_str());
    let text = texts.collect::<Vec<_>>().join("\n\n");
    let is_required = sent == SentThoughts::RequiredWithCalls && !message.tool_calls.is_empty();
    (!text.is_empty() || is_required).then_some(text)
}

/// Converts a message's content: to a text if there is nothing else, since older servers don't support parts.
fn content(message: &Message, pass: PassThrough) -> Value {
    let parts = message.parts_with_extra();
    let has_fields = parts.iter().any(|(_, extra)| pass.passes_any(*extra));
    if message.is_text_only() && !has_fields {
        let only_calls = message.content.is_empty() && !message.tool_calls.is_empty();
        return if only_calls { Value::Null } else { json!(message.content) };
    }
    let parts = parts.into_iter().map(|(part, extra)| {
        let mut object = match part {
            Part::Text(text) => json!({"type": "text", "text": text}),
            Part::Image(image) => picture(image),
            Part::Document(file) => document(file),
            Part::Opaque(opaque) => opaque.value.clone(),
        };
        pass.add(extra, &mut object);
        object
    });
    parts.collect()
}

fn picture(image: &Image) -> Value {
    let mut image_url = json!({"url": image.url()});
    if let Some(detail) = &image.detail {
        image_url["detail"] = json!(detail);
    }
    json!({"type": "image_url", "image_url": image_url})
}

/// Converts a document (<https://platform.openai.com/docs/guides/pdf-files>; OpenRouter accepts a URL in the same field).
fn document(document: &Document) -> Value {
    let data = match &document.source {
        DocumentSource::Text(_) => return json!({"type": "text", "text": document.text()}),
        DocumentSource::Url(url) => url.clone(),
        DocumentSource::Data { media_type, data } => format!("data:{media_type};base64,{data}"),
    };
    let name = document.name.as_deref().unwrap_or(FILE_NAME);
    json!({"type": "file", "file": {"filename": name, "file_data": data}})
}

/// The name of a document without one: OpenAI requires a name.
pub(in crate::dialect) const FILE_NAME: &str = "document.pdf";
