//! Converts a conversation to `contents`, in which user and model alternate.

use hearth_domain::{
    Document, DocumentSource, Image, ImageSource, Message, Part, PartPlace, Reasoning, Role, ToolCall,
};
use hearth_wire::ApiError;
use serde_json::{Value, json};

use super::{
    model_name::family,
    thought_signature::{self, SignedPart},
    unknown_fields,
};
use crate::dialect::body::PassThrough;

/// The signature that Google accepts for a call of another vendor's model
/// (<https://ai.google.dev/gemini-api/docs/thought-signatures>).
const NO_SIGNATURE: &str = "skip_thought_signature_validator";

/// A signature of Google's, and its place in the message.
type PlacedSignature<'a> = (SignedPart<'a>, &'a str);

/// Converts messages. Consecutive messages of one role become one: Google requires that the results of calls are together.
pub(super) fn contents(model: &str, messages: &[Message], pass: PassThrough) -> Result<Value, ApiError> {
    let mut turns: Vec<(&str, Vec<Value>)> = Vec::new();
    for message in messages {
        let (role, blocks) = match message.role {
            Role::System => continue,
            Role::User => ("user", parts(message, pass)?),
            Role::Assistant => ("model", model_parts(model, message, pass)?),
            Role::Tool => ("user", function_response(message, pass)?),
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
    Ok(turns.into_iter().map(|(role, parts)| json!({"role": role, "parts": parts})).collect())
}

/// Converts text, images, documents, and parts that only this dialect has.
fn parts(message: &Message, pass: PassThrough) -> Result<Vec<Value>, ApiError> {
    let mut blocks = Vec::new();
    for (part, extra) in message.parts_with_extra() {
        let mut part = match part {
            Part::Text(text) => json!({"text": text}),
            Part::Image(image) => picture(image)?,
            Part::Document(file) => document(file),
            Part::Opaque(opaque) if pass == PassThrough::All => opaque.value.clone(),
            // Another dialect's part.
            Part::Opaque(_) => continue,
        };
        if let (PassThrough::All, Some(extra)) = (pass, extra) {
            unknown_fields::merge(extra.clone(), &mut part);
        }
        blocks.push(part);
    }
    Ok(blocks)
}

/// Converts a document (<https://ai.google.dev/gemini-api/docs/document-processing>).
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

/// Guesses the media type of an image by its URL.
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

/// Converts thoughts, text and calls of the model.
fn model_parts(model: &str, message: &Message, pass: PassThrough) -> Result<Vec<Value>, ApiError> {
    let signatures = message.reasoning.iter().filter_map(|block| block.signature.as_deref());
    let signatures: Vec<PlacedSignature<'_>> = signatures.filter_map(thought_signature::decode).collect();
    let mut parts = Vec::new();
    // Thoughts without a signature are useless to Google, or another vendor's.
    if !signatures.is_empty() {
        parts.extend(message.reasoning.iter().filter_map(thought));
    }
    parts.extend(signed_text(message, &signatures, pass)?);
    for (number, call) in message.tool_calls.iter().enumerate() {
        let own = signatures.iter().find(|(place, _)| *place == SignedPart::Call(&call.id));
        // Only the first of parallel calls has a signature.
        let missing = number == 0 && family(model).is_some_and(|family| family >= 3);
        let signature = own.map(|(_, signature)| *signature).or(missing.then_some(NO_SIGNATURE));
        let mut part = function_call(call, signature)?;
        if let (PassThrough::All, Some(extra)) = (pass, message.extra_of(PartPlace::Call(number))) {
            unknown_fields::merge(extra.clone(), &mut part);
        }
        parts.push(part);
    }
    Ok(parts)
}

fn thought(block: &Reasoning) -> Option<Value> {
    match block.signature.as_deref() {
        None if block.text.is_empty() => None,
        None => Some(json!({"text": block.text, "thought": true})),
        Some(signature) => match thought_signature::decode(signature)? {
            (SignedPart::Thought, signature) => {
                Some(json!({"text": block.text, "thought": true, "thoughtSignature": signature}))
            }
            _ => None,
        },
    }
}

/// Splits the text where signatures begin and end. If a client has changed it, so that the place of a signature is lost,
/// the signature follows in an empty part, as in the last frame of Google's streams.
fn signed_text(
    message: &Message,
    signatures: &[PlacedSignature<'_>],
    pass: PassThrough,
) -> Result<Vec<Value>, ApiError> {
    let mut split = Vec::new();
    let mut misplaced = Vec::new();
    let mut end = 0;
    for (place, signature) in signatures {
        let SignedPart::Text(from, to) = *place else { continue };
        let cut = message.content.get(end..from).zip(message.content.get(from..to));
        match cut.filter(|_| message.is_text_only()) {
            Some((before, signed)) => {
                split.extend((!before.is_empty()).then(|| json!({"text": before})));
                split.push(json!({"text": signed, "thoughtSignature": signature}));
                end = to;
            }
            None => misplaced.push(json!({"text": "", "thoughtSignature": signature})),
        }
    }
    if message.is_text_only() {
        let after = message.content.get(end..).filter(|after| !after.is_empty());
        split.extend(after.map(|after| json!({"text": after})));
    } else {
        split.extend(parts(message, pass)?);
    }
    split.extend(misplaced);
    Ok(split)
}

fn function_call(call: &ToolCall, signature: Option<&str>) -> Result<Value, ApiError> {
    let arguments = match call.arguments.trim() {
        "" => json!({}),
        text => serde_json::from_str(text).ok().filter(Value::is_object).ok_or_else(|| {
            let message = format!("the arguments of the call {} must be a JSON object", call.id);
            ApiError::invalid("messages", message)
        })?,
    };
    let mut part = json!({"functionCall": {"id": call.id, "name": call.name, "args": arguments}});
    if let Some(signature) = signature {
        part["thoughtSignature"] = json!(signature);
    }
    Ok(part)
}

/// Converts a result. Google requires an object and the tool's name; images and documents follow it.
fn function_response(message: &Message, pass: PassThrough) -> Result<Vec<Value>, ApiError> {
    let name = message.name.as_ref().ok_or_else(|| {
        let text = "a tool's message must belong to an earlier call of the conversation";
        ApiError::invalid("messages", text)
    })?;
    let kind = if message.failed { "error" } else { "result" };
    let mut response = json!({"name": name, "response": {kind: message.content}});
    if let Some(id) = &message.tool_call_id {
        response["id"] = json!(id);
    }
    // A client of this dialect has its own form of results.
    let own = message.extra_of(PartPlace::Message).filter(|_| pass == PassThrough::All);
    if let Some(fields) = own.and_then(|fields| fields.get("functionResponse")).and_then(Value::as_object) {
        for (name, value) in fields {
            response[name.as_str()] = value.clone();
        }
    }
    let images = message.images.iter().map(|placed| picture(&placed.image));
    let files = message.documents().map(|file| Ok(document(file)));
    std::iter::once(Ok(json!({"functionResponse": response}))).chain(images).chain(files).collect()
}
