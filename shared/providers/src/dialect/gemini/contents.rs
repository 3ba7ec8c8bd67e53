//! Converts a conversation to `contents`, in which user and model alternate.

use hearth_domain::{Document, DocumentSource, Image, ImageSource, Message, Part, PartPlace, Role};
use hearth_wire::ApiError;
use serde_json::{Map, Value};

use super::{model_turn::model_parts, unknown_fields};
use crate::{
    dialect::body::PassThrough,
    json_tree::{Json, Object, object},
};

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
        blocks.extend(converted_part(part, extra, pass)?);
    }
    Ok(blocks)
}

/// Converts a part with its unknown fields; `None` for another dialect's part.
pub(super) fn converted_part<'a>(
    part: Part<'a>,
    extra: Option<&'a Map<String, Value>>,
    pass: PassThrough,
) -> Result<Option<Json<'a>>, ApiError> {
    let mut part: Json<'_> = match part {
        Part::Text(text) => object! {"text": text}.into(),
        Part::Image(image) => picture(image)?.into(),
        Part::Document(file) => document(file).into(),
        Part::Opaque(opaque) if pass == PassThrough::All => Json::from(&opaque.value),
        Part::Opaque(_) => return Ok(None),
    };
    if let (PassThrough::All, Some(extra)) = (pass, extra)
        && let Some(part) = part.object_mut()
    {
        unknown_fields::merge(extra, part);
    }
    Ok(Some(part))
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
