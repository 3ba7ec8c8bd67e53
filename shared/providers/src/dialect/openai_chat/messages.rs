//! Converts the messages of a conversation.

use std::borrow::Cow;

use hearth_domain::{Document, DocumentSource, Image, Message, Part, PartPlace, Role};

use super::quirks::{Quirks, SentThoughts};
use crate::{
    dialect::body::PassThrough,
    json_tree::{Json, Object, object},
};

/// Text of a tool's message whose result has images or documents only.
const SHOWN_BELOW: &str = "(The result is shown in the next message.)";

/// Converts messages. A tool's message has text only: images and documents of results go into a message of the user
/// after the results.
pub(super) fn messages<'a>(quirks: &Quirks, messages: &'a [Message], pass: PassThrough) -> Json<'a> {
    let (mut converted, mut shown): (Vec<Json<'_>>, _) = (Vec::with_capacity(messages.len()), Vec::new());
    for message in messages {
        if message.role == Role::Tool && !message.is_text_only() {
            shown.extend(shown_parts(message));
            converted.push(tool_result(message, pass).into());
            continue;
        }
        if message.role != Role::Tool {
            converted.extend(shown_message(&mut shown));
        }
        converted.push(self::message(quirks, message, pass).into());
    }
    let is_continued = shown.is_empty() && messages.last().is_some_and(|last| last.role == Role::Assistant);
    converted.extend(shown_message(&mut shown));
    if quirks.prefix
        && is_continued
        && let Some(last) = converted.last_mut().and_then(Json::object_mut)
    {
        last.set("prefix", true);
    }
    Json::List(converted)
}

fn shown_message<'a>(shown: &mut Vec<Json<'a>>) -> Option<Json<'a>> {
    (!shown.is_empty()).then(|| object! {"role": "user", "content": std::mem::take(shown)}.into())
}

/// Returns the images and documents of a result, after the name of its tool.
fn shown_parts(message: &Message) -> Vec<Json<'_>> {
    let tool = message.name.as_deref().unwrap_or("tool");
    let mut parts = vec![object! {"type": "text", "text": format!("Shown by {tool}:")}.into()];
    for part in message.parts() {
        match part {
            Part::Text(_) => {}
            Part::Image(image) => parts.push(picture(image).into()),
            Part::Document(file) => parts.push(document(file).into()),
            Part::Opaque(opaque) => parts.push(Json::from(&opaque.value)),
        }
    }
    parts
}

fn tool_result(message: &Message, pass: PassThrough) -> Object<'_> {
    let text = if message.content.trim().is_empty() { SHOWN_BELOW } else { &message.content };
    let mut result =
        object! {"role": "tool", "content": text, "tool_call_id": message.tool_call_id.as_deref()};
    pass.add(message.extra_of(PartPlace::Message), &mut result);
    result
}

fn message<'a>(quirks: &Quirks, message: &'a Message, pass: PassThrough) -> Object<'a> {
    let mut object = object! {"role": message.role.as_str(), "content": content(message, pass)};
    if !message.tool_calls.is_empty() {
        let calls = message.tool_calls.iter().enumerate().map(|(number, call)| {
            let function = object! {"name": &call.name, "arguments": &call.arguments};
            let mut object = object! {"id": &call.id, "type": "function", "function": function};
            pass.add(message.extra_of(PartPlace::Call(number)), &mut object);
            object
        });
        object.set("tool_calls", Json::from_iter(calls));
    }
    object.set_some("tool_call_id", message.tool_call_id.as_deref());
    object.set_some("name", message.name.as_deref().filter(|_| message.role != Role::Tool));
    object.set_some("reasoning_content", thoughts(quirks.sent_thoughts, message));
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
fn content(message: &Message, pass: PassThrough) -> Json<'_> {
    if message.is_text_only() && !pass.passes_part_fields(message) {
        let only_calls = message.content.is_empty() && !message.tool_calls.is_empty();
        return if only_calls { Json::null() } else { Json::from(&message.content) };
    }
    let parts = message.parts_with_extra().into_iter().map(|(part, extra)| {
        let mut part = match part {
            Part::Text(text) => object! {"type": "text", "text": text}.into(),
            Part::Image(image) => picture(image).into(),
            Part::Document(file) => document(file).into(),
            Part::Opaque(opaque) => Json::from(&opaque.value),
        };
        pass.add_to_part(extra, &mut part);
        part
    });
    parts.collect()
}

fn picture(image: &Image) -> Object<'_> {
    let mut image_url = object! {"url": image.url()};
    image_url.set_some("detail", image.detail.as_deref());
    object! {"type": "image_url", "image_url": image_url}
}

/// Converts a document (<https://platform.openai.com/docs/guides/pdf-files>; OpenRouter accepts a URL in the same field).
fn document(document: &Document) -> Object<'_> {
    let data = match &document.source {
        DocumentSource::Text(_) => return object! {"type": "text", "text": document.text()},
        DocumentSource::Url(url) => Cow::Borrowed(url.as_str()),
        DocumentSource::Data { media_type, data } => format!("data:{media_type};base64,{data}").into(),
    };
    let name = document.name.as_deref().unwrap_or(FILE_NAME);
    object! {"type": "file", "file": object! {"filename": name, "file_data": data}}
}

/// The name of a document without one: OpenAI requires a name.
pub(in crate::dialect) const FILE_NAME: &str = "document.pdf";
