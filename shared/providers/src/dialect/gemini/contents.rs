//! Converts a conversation to `contents`, in which user and model alternate.

use hearth_domain::{
    Document, DocumentSource, Image, ImageSource, Message, Part, PartPlace, Reasoning, Role, ToolCall,
};
use hearth_wire::ApiError;
use serde_json::{Map, Value};

use super::{
    model_name::family,
    thought_signature::{self, SignedPart},
    unknown_fields,
};
use crate::{
    dialect::body::PassThrough,
    json_tree::{Json, Object, object},
};

/// The signature that Google accepts for a call of another vendor's model
/// (<https://ai.google.dev/gemini-api/docs/thought-signatures>).
const NO_SIGNATURE: &str = "skip_thought_signature_validator";

/// A signature of Google's, and its place in the message.
type PlacedSignature<'a> = (SignedPart<'a>, &'a str);

/// Converts messages. Consecutive messages of one role become one: Google requires that the results of calls are together.
pub(super) fn contents<'a>(
    model: &str,
    messages: &'a [Message],
    pass: PassThrough,
) -> Result<Json<'a>, ApiError> {
    let mut turns: Vec<(&str, Vec<Json<'a>>)> = Vec::new();
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
    Ok(turns.into_iter().map(|(role, parts)| object! {"role": role, "parts": parts}).collect())
}

/// Converts text, images, documents, and parts that only this dialect has.
fn parts(message: &Message, pass: PassThrough) -> Result<Vec<Json<'_>>, ApiError> {
    let mut blocks = Vec::new();
    for (part, extra) in message.parts_with_extra() {
        let mut part: Json<'_> = match part {
            Part::Text(text) => object! {"text": text}.into(),
            Part::Image(image) => picture(image)?.into(),
            Part::Document(file) => document(file).into(),
            Part::Opaque(opaque) if pass == PassThrough::All => Json::from(&opaque.value),
            // Another dialect's part.
            Part::Opaque(_) => continue,
        };
        if let (PassThrough::All, Some(extra)) = (pass, extra)
            && let Some(part) = part.object_mut()
        {
            unknown_fields::merge(extra, part);
        }
        blocks.push(part);
    }
    Ok(blocks)
}

/// Converts a document (<https://ai.google.dev/gemini-api/docs/document-processing>).
fn document(document: &Document) -> Object<'_> {
    match &document.source {
        DocumentSource::Text(_) => object! {"text": document.text()},
        DocumentSource::Data { media_type, data } => inline_data(media_type, data),
        DocumentSource::Url(url) => {
            object! {"fileData": object! {"fileUri": url, "mimeType": "application/pdf"}}
        }
    }
}

fn inline_data<'a>(media_type: &'a str, data: &'a str) -> Object<'a> {
    object! {"inlineData": object! {"mimeType": media_type, "data": data}}
}

fn picture(image: &Image) -> Result<Object<'_>, ApiError> {
    match &image.source {
        ImageSource::Data { media_type, data } => Ok(inline_data(media_type, data)),
        ImageSource::Url(url) if url.starts_with("data:") => {
            let message = "an image in a data URL must be in base64: data:image/png;base64,...";
            Err(ApiError::invalid("messages", message))
        }
        ImageSource::Url(url) => {
            let mut file = object! {"fileUri": url};
            file.set_some("mimeType", media_type(url));
            Ok(object! {"fileData": file})
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
fn model_parts<'a>(model: &str, message: &'a Message, pass: PassThrough) -> Result<Vec<Json<'a>>, ApiError> {
    let signatures = message.reasoning.iter().filter_map(|block| block.signature.as_deref());
    let signatures: Vec<PlacedSignature<'_>> = signatures.filter_map(thought_signature::decode).collect();
    let mut parts = Vec::new();
    // Thoughts without a signature are useless to Google, or another vendor's.
    if !signatures.is_empty() {
        parts.extend(message.reasoning.iter().filter_map(thought).map(Json::from));
    }
    parts.extend(signed_text(message, &signatures, pass)?);
    for (number, call) in message.tool_calls.iter().enumerate() {
        let own = signatures.iter().find(|(place, _)| *place == SignedPart::Call(&call.id));
        // Only the first of parallel calls has a signature.
        let missing = number == 0 && family(model).is_some_and(|family| family >= 3);
        let signature = own.map(|(_, signature)| *signature).or(missing.then_some(NO_SIGNATURE));
        let mut part = function_call(call, signature)?;
        if let (PassThrough::All, Some(extra)) = (pass, message.extra_of(PartPlace::Call(number))) {
            unknown_fields::merge(extra, &mut part);
        }
        parts.push(part.into());
    }
    Ok(parts)
}

fn thought(block: &Reasoning) -> Option<Object<'_>> {
    match block.signature.as_deref() {
        None if block.text.is_empty() => None,
        None => Some(object! {"text": &block.text, "thought": true}),
        Some(signature) => match thought_signature::decode(signature)? {
            (SignedPart::Thought, signature) => {
                Some(object! {"text": &block.text, "thought": true, "thoughtSignature": signature})
            }
            _ => None,
        },
    }
}

/// Splits the text where signatures begin and end. If a client has changed it, so that the place of a signature is lost,
/// the signature follows in an empty part, as in the last frame of Google's streams.
fn signed_text<'a>(
    message: &'a Message,
    signatures: &[PlacedSignature<'a>],
    pass: PassThrough,
) -> Result<Vec<Json<'a>>, ApiError> {
    let text = |text: &'a str| Json::from(object! {"text": text});
    let signed =
        |text: &'a str, signature: &'a str| Json::from(object! {"text": text, "thoughtSignature": signature});
    let mut split = Vec::new();
    let mut misplaced = Vec::new();
    let mut end = 0;
    for (place, signature) in signatures {
        let SignedPart::Text(from, to) = *place else { continue };
        let cut = message.content.get(end..from).zip(message.content.get(from..to));
        match cut.filter(|_| message.is_text_only()) {
            Some((before, of_signature)) => {
                split.extend((!before.is_empty()).then(|| text(before)));
                split.push(signed(of_signature, signature));
                end = to;
            }
            None => misplaced.push(signed("", signature)),
        }
    }
    if message.is_text_only() {
        let after = message.content.get(end..).filter(|after| !after.is_empty());
        split.extend(after.map(text));
    } else {
        split.extend(parts(message, pass)?);
    }
    split.extend(misplaced);
    Ok(split)
}

fn function_call<'a>(call: &'a ToolCall, signature: Option<&'a str>) -> Result<Object<'a>, ApiError> {
    let arguments = match call.arguments.trim() {
        "" => Value::Object(Map::new()),
        text => serde_json::from_str(text).ok().filter(Value::is_object).ok_or_else(|| {
            let message = format!("the arguments of the call {} must be a JSON object", call.id);
            ApiError::invalid("messages", message)
        })?,
    };
    let function = object! {"id": &call.id, "name": &call.name, "args": arguments};
    let mut part = object! {"functionCall": function};
    part.set_some("thoughtSignature", signature);
    Ok(part)
}

/// Converts a result. Google requires an object and the tool's name; images and documents follow it.
fn function_response(message: &Message, pass: PassThrough) -> Result<Vec<Json<'_>>, ApiError> {
    let name = message.name.as_ref().ok_or_else(|| {
        let text = "a tool's message must belong to an earlier call of the conversation";
        ApiError::invalid("messages", text)
    })?;
    let outcome = match message.failed {
        true => object! {"error": &message.content},
        false => object! {"result": &message.content},
    };
    let mut response = object! {"name": name, "response": outcome};
    response.set_some("id", message.tool_call_id.as_deref());
    // A client of this dialect has its own form of results.
    let own = message.extra_of(PartPlace::Message).filter(|_| pass == PassThrough::All);
    if let Some(fields) = own.and_then(|fields| fields.get("functionResponse")).and_then(Value::as_object) {
        for (name, value) in fields {
            response.set(name, value);
        }
    }
    let mut parts = vec![object! {"functionResponse": response}.into()];
    for placed in &message.images {
        parts.push(picture(&placed.image)?.into());
    }
    parts.extend(message.documents().map(|file| Json::from(document(file))));
    Ok(parts)
}
