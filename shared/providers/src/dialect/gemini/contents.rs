//! A conversation as `contents`, in which the user and the model take turns.

use hearth_domain::{
    Document, DocumentSource, Image, ImageSource, Message, Part, PartPlace, Reasoning, Role, ToolCall,
};
use hearth_wire::ApiError;
use serde_json::{Value, json};

use super::{
    family, passed_on,
    seal::{self, Place},
};
use crate::dialect::Passing;

/// What Google takes for the seal of a call that came from elsewhere
/// (<https://ai.google.dev/gemini-api/docs/thought-signatures>).
const NO_SEAL: &str = "skip_thought_signature_validator";

/// A seal of a message and where it belongs.
type Seal<'a> = (Place<'a>, &'a str);

/// The turns of a conversation. What one side says in several messages is one turn: so the results of calls
/// stand together, as Google asks for it.
pub(super) fn contents(model: &str, messages: &[Message], passing: Passing) -> Result<Value, ApiError> {
    let mut turns: Vec<(&str, Vec<Value>)> = Vec::new();
    for message in messages {
        let (role, parts) = match message.role {
            Role::System => continue,
            Role::User => ("user", shown(message, passing)?),
            Role::Assistant => ("model", said(model, message, passing)?),
            Role::Tool => ("user", result(message, passing)?),
        };
        match turns.last_mut() {
            _ if parts.is_empty() => {}
            Some((last, turn)) if *last == role => turn.extend(parts),
            _ => turns.push((role, parts)),
        }
    }
    if turns.is_empty() {
        return Err(ApiError::invalid("messages", "this provider needs a message of the user's"));
    }
    Ok(turns.into_iter().map(|(role, parts)| json!({"role": role, "parts": parts})).collect())
}

/// Text, images and documents, and what only this dialect has words for.
fn shown(message: &Message, passing: Passing) -> Result<Vec<Value>, ApiError> {
    let mut parts = Vec::new();
    for (part, extra) in message.parts_with_extra() {
        let mut part = match part {
            Part::Text(text) => json!({"text": text}),
            Part::Image(image) => picture(image)?,
            Part::Document(file) => document(file),
            Part::Opaque(opaque) if passing == Passing::All => opaque.value.clone(),
            // A word of another dialect's.
            Part::Opaque(_) => continue,
        };
        if let (Passing::All, Some(extra)) = (passing, extra) {
            passed_on::merge(extra.clone(), &mut part);
        }
        parts.push(part);
    }
    Ok(parts)
}

/// A document as Google reads it (<https://ai.google.dev/gemini-api/docs/document-processing>).
fn document(document: &Document) -> Value {
    match &document.source {
        DocumentSource::Text(_) => json!({"text": document.text()}),
        DocumentSource::Data { media_type, data } => {
            json!({"inlineData": {"mimeType": media_type, "data": data}})
        }
        DocumentSource::Url(url) => {
            json!({"fileData": {"fileUri": url, "mimeType": "application/pdf"}})
        }
    }
}

fn picture(image: &Image) -> Result<Value, ApiError> {
    match &image.source {
        ImageSource::Data { media_type, data } => {
            Ok(json!({"inlineData": {"mimeType": media_type, "data": data}}))
        }
        ImageSource::Url(url) if url.starts_with("data:") => {
            let message = "an image in a data URL must be in base64: data:image/png;base64,...";
            Err(ApiError::invalid("messages", message))
        }
        ImageSource::Url(url) => {
            let mut file = json!({"fileUri": url});
            if let Some(media_type) = media_type(url) {
                file["mimeType"] = json!(media_type);
            }
            Ok(json!({"fileData": file}))
        }
    }
}

/// What an address says that there is at it.
fn media_type(url: &str) -> Option<&'static str> {
    let path = url.split(['?', '#']).next()?;
    match path.rsplit_once('.')?.1.to_ascii_lowercase().as_str() {
        "png" => Some("image/png"),
        "jpg" | "jpeg" => Some("image/jpeg"),
        "webp" => Some("image/webp"),
        "heic" => Some("image/heic"),
        "heif" => Some("image/heif"),
        "gif" => Some("image/gif"),
        _ => None,
    }
}

/// What the model said: thoughts, text, calls.
fn said(model: &str, message: &Message, passing: Passing) -> Result<Vec<Value>, ApiError> {
    let signatures = message.reasoning.iter().filter_map(|block| block.signature.as_deref());
    let seals: Vec<Seal<'_>> = signatures.filter_map(seal::read).collect();
    let mut parts = Vec::new();
    // Without a seal they are worth nothing to Google, or another maker's.
    if !seals.is_empty() {
        parts.extend(message.reasoning.iter().filter_map(thought));
    }
    parts.extend(sealed_text(message, &seals, passing)?);
    for (number, call) in message.tool_calls.iter().enumerate() {
        let seal = seals.iter().find(|(place, _)| *place == Place::Call(&call.id)).map(|(_, seal)| *seal);
        // Of calls made at once only the first has a seal.
        let missing = number == 0 && family(model).is_some_and(|family| family >= 3);
        let mut part = called(call, seal.or(missing.then_some(NO_SEAL)))?;
        if let (Passing::All, Some(extra)) = (passing, message.extra_of(PartPlace::Call(number))) {
            passed_on::merge(extra.clone(), &mut part);
        }
        parts.push(part);
    }
    Ok(parts)
}

fn thought(block: &Reasoning) -> Option<Value> {
    match block.signature.as_deref() {
        None if block.text.is_empty() => None,
        None => Some(json!({"text": block.text, "thought": true})),
        Some(signature) => match seal::read(signature)? {
            (Place::Thought, seal) => {
                Some(json!({"text": block.text, "thought": true, "thoughtSignature": seal}))
            }
            _ => None,
        },
    }
}

/// The text, cut where seals begin and end. Where a client has changed it, so that a seal has no place in it
/// any more, the seal follows in an empty part, as Google itself puts it at a stream's end.
fn sealed_text(message: &Message, seals: &[Seal<'_>], passing: Passing) -> Result<Vec<Value>, ApiError> {
    let mut parts = Vec::new();
    let mut rest = Vec::new();
    let mut done = 0;
    for (place, seal) in seals {
        let Place::Text(from, to) = *place else { continue };
        let cut = message.content.get(done..from).zip(message.content.get(from..to));
        match cut.filter(|_| message.is_text_only()) {
            Some((before, sealed)) => {
                parts.extend((!before.is_empty()).then(|| json!({"text": before})));
                parts.push(json!({"text": sealed, "thoughtSignature": seal}));
                done = to;
            }
            None => rest.push(json!({"text": "", "thoughtSignature": seal})),
        }
    }
    if message.is_text_only() {
        let after = message.content.get(done..).filter(|after| !after.is_empty());
        parts.extend(after.map(|after| json!({"text": after})));
    } else {
        parts.extend(shown(message, passing)?);
    }
    parts.extend(rest);
    Ok(parts)
}

fn called(call: &ToolCall, seal: Option<&str>) -> Result<Value, ApiError> {
    let arguments = match call.arguments.trim() {
        "" => json!({}),
        text => serde_json::from_str(text).ok().filter(Value::is_object).ok_or_else(|| {
            let message = format!("the arguments of the call {} must be a JSON object", call.id);
            ApiError::invalid("messages", message)
        })?,
    };
    let mut part = json!({"functionCall": {"id": call.id, "name": call.name, "args": arguments}});
    if let Some(seal) = seal {
        part["thoughtSignature"] = json!(seal);
    }
    Ok(part)
}

/// A result must be an object, and stands under the tool's name. Images follow it.
fn result(message: &Message, passing: Passing) -> Result<Vec<Value>, ApiError> {
    let name = message.name.as_ref().ok_or_else(|| {
        let text = "a tool's message must answer a call that stands before it in the conversation";
        ApiError::invalid("messages", text)
    })?;
    let kind = if message.failed { "error" } else { "result" };
    let mut response = json!({"name": name, "response": {kind: message.content}});
    if let Some(id) = &message.tool_call_id {
        response["id"] = json!(id);
    }
    // A client of this dialect says results in its own form.
    let own = message.extra_of(PartPlace::Message).filter(|_| passing == Passing::All);
    if let Some(fields) = own.and_then(|fields| fields.get("functionResponse")).and_then(Value::as_object) {
        for (name, value) in fields {
            response[name.as_str()] = value.clone();
        }
    }
    let images = message.images.iter().map(|placed| picture(&placed.image));
    let files = message.documents().map(|file| Ok(document(file)));
    std::iter::once(Ok(json!({"functionResponse": response}))).chain(images).chain(files).collect()
}
