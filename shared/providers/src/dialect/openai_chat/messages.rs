//! The messages of a request.

use hearth_domain::{Document, DocumentSource, Image, Message, Part, PartPlace, Role};
use serde_json::{Value, json};

use super::{Habits, Thoughts};
use crate::dialect::Passing;

/// What a tool's message says whose result is only shown.
const SHOWN_BELOW: &str = "(The result is shown in the next message.)";

/// A conversation's messages. A tool's message takes text alone; what else a result shows goes into a message of the
/// user's behind the results.
pub(super) fn messages(habits: &Habits, messages: &[Message], passing: Passing) -> Value {
    let (mut said, mut shown): (Vec<Value>, Vec<Value>) = (Vec::with_capacity(messages.len()), Vec::new());
    for message in messages {
        if message.role == Role::Tool && !message.is_text_only() {
            shown.extend(shown_by(message));
            said.push(result(message, passing));
            continue;
        }
        if message.role != Role::Tool {
            said.extend(shown_message(&mut shown));
        }
        said.push(whole(habits, message, passing));
    }
    said.extend(shown_message(&mut shown));
    if habits.prefix
        && let Some(last) = said.last_mut().filter(|last| last["role"] == "assistant")
    {
        last["prefix"] = json!(true);
    }
    Value::Array(said)
}

fn shown_message(shown: &mut Vec<Value>) -> Option<Value> {
    (!shown.is_empty()).then(|| json!({"role": "user", "content": std::mem::take(shown)}))
}

/// The images and documents of a result, behind the name of its tool.
fn shown_by(message: &Message) -> Vec<Value> {
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

fn result(message: &Message, passing: Passing) -> Value {
    let text = if message.content.trim().is_empty() { SHOWN_BELOW } else { &message.content };
    let mut said = json!({"role": "tool", "content": text, "tool_call_id": message.tool_call_id});
    passing.add(message.extra_of(PartPlace::Message), &mut said);
    said
}

fn whole(habits: &Habits, message: &Message, passing: Passing) -> Value {
    let mut said = json!({"role": message.role.as_str(), "content": content(message, passing)});
    if !message.tool_calls.is_empty() {
        let calls = message.tool_calls.iter().enumerate().map(|(number, call)| {
            let function = json!({"name": call.name, "arguments": call.arguments});
            let mut said = json!({"id": call.id, "type": "function", "function": function});
            passing.add(message.extra_of(PartPlace::Call(number)), &mut said);
            said
        });
        said["tool_calls"] = calls.collect();
    }
    if let Some(id) = &message.tool_call_id {
        said["tool_call_id"] = json!(id);
    }
    if let Some(name) = message.name.as_ref().filter(|_| message.role != Role::Tool) {
        said["name"] = json!(name);
    }
    if let Some(thoughts) = thoughts(habits.thoughts, message) {
        said["reasoning_content"] = json!(thoughts);
    }
    passing.add(message.extra_of(PartPlace::Message), &mut said);
    said
}

/// Thoughts without a seal: sealed ones are another maker's.
fn thoughts(which: Thoughts, message: &Message) -> Option<String> {
    if message.role != Role::Assistant || which == Thoughts::None {
        return None;
    }
    let is_open =
        message.reasoning.iter().all(|block| block.signature.is_none() && block.encrypted.is_none());
    let texts = message.reasoning.iter().filter(|_| is_open).map(|block| block.text.as_str());
    let text = texts.collect::<Vec<_>>().join("\n\n");
    let is_needed = which == Thoughts::WithCalls && !message.tool_calls.is_empty();
    (!text.is_empty() || is_needed).then_some(text)
}

/// A text where that is all, since older servers take no parts; else parts.
fn content(message: &Message, passing: Passing) -> Value {
    let parts = message.parts_with_extra();
    let has_fields = parts.iter().any(|(_, extra)| passing.has_some(*extra));
    if message.is_text_only() && !has_fields {
        let only_calls = message.content.is_empty() && !message.tool_calls.is_empty();
        return if only_calls { Value::Null } else { json!(message.content) };
    }
    let parts = parts.into_iter().map(|(part, extra)| {
        let mut said = match part {
            Part::Text(text) => json!({"type": "text", "text": text}),
            Part::Image(image) => picture(image),
            Part::Document(file) => document(file),
            Part::Opaque(opaque) => opaque.value.clone(),
        };
        passing.add(extra, &mut said);
        said
    });
    parts.collect()
}

fn picture(image: &Image) -> Value {
    let mut at = json!({"url": image.url()});
    if let Some(detail) = &image.detail {
        at["detail"] = json!(detail);
    }
    json!({"type": "image_url", "image_url": at})
}

/// A document (<https://platform.openai.com/docs/guides/pdf-files>; OpenRouter takes an address in the same place).
fn document(document: &Document) -> Value {
    let data = match &document.source {
        DocumentSource::Text(_) => return json!({"type": "text", "text": document.text()}),
        DocumentSource::Url(url) => url.clone(),
        DocumentSource::Data { media_type, data } => format!("data:{media_type};base64,{data}"),
    };
    let name = document.name.as_deref().unwrap_or(FILE_NAME);
    json!({"type": "file", "file": {"filename": name, "file_data": data}})
}

/// The name of a document that has none: OpenAI asks for one.
pub(in crate::dialect) const FILE_NAME: &str = "document.pdf";
