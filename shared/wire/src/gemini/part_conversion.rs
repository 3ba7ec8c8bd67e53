//! Converts text, image and document parts to parts of a message.

use base64::{Engine as _, engine::general_purpose::STANDARD as BASE64};
use hearth_domain::{Document, DocumentSource, Image, ImageSource, image::canonical_media_type};
use serde_json::{Map, Value, json};

use super::{GeminiFile, GeminiPart};
use crate::{ApiError, message_parts::MessageParts};

/// Host of Google's file storage, which other providers can't read.
const GOOGLE_FILES_HOST: &str = "generativelanguage.googleapis.com";

impl GeminiPart {
    /// Returns whether the part has no file and no function response.
    pub(super) fn is_text(&self) -> bool {
        self.inline_data.is_none() && self.file_data.is_none() && self.function_response.is_none()
    }

    /// Returns whether the part has nothing but a signature and the mark of reasoning.
    pub(super) fn has_no_content(&self) -> bool {
        self.is_text() && self.text.is_none() && self.extra.values().all(Value::is_null)
    }

    /// Adds the part to a message, with `separator` between texts. `param` is the part's field, for errors.
    ///
    /// # Errors
    /// `invalid_request` for a part that is not allowed here.
    pub(super) fn add_to(
        mut self,
        message: &mut MessageParts,
        param: &str,
        separator: &str,
    ) -> Result<(), ApiError> {
        for (is_present, name) in [
            (self.function_call.is_some(), "functionCall"),
            (self.function_response.is_some(), "functionResponse"),
        ] {
            if is_present {
                let param = format!("{param}.{name}");
                return Err(ApiError::invalid(&param, format!("{param} is not allowed here")));
            }
        }
        if let (true, Some(text)) = (self.is_text(), &self.text) {
            message.add_text(text, separator, self.extra);
            return Ok(());
        }
        if let Some(blob) = self.inline_data.take_if(|blob| is_image_or_document(&blob.mime_type)) {
            insert_object(&mut self.extra, "inlineData", blob.extra);
            return add_file(message, &blob.mime_type, blob.data, self.extra, param);
        }
        let is_public = |file: &mut GeminiFile| {
            file.file_uri.starts_with("http")
                && !file.file_uri.contains(GOOGLE_FILES_HOST)
                && file.mime_type.as_deref().is_some_and(is_linkable)
        };
        if let Some(file) = self.file_data.take_if(is_public) {
            let media_type = canonical_media_type(file.mime_type.as_deref().unwrap_or_default());
            let mut extra = file.extra;
            extra.insert("mimeType".to_owned(), json!(media_type));
            insert_object(&mut self.extra, "fileData", extra);
            match media_type.as_str() {
                "application/pdf" => {
                    let source = DocumentSource::at(file.file_uri);
                    message.add_document(Document { source, name: None }, self.extra);
                }
                _ => message.add_image(Image::at(file.file_uri), self.extra),
            }
            return Ok(());
        }
        if self.has_no_content() {
            return Ok(());
        }
        let name = self.field_suffix();
        message.add_opaque(format!("{param}{name}"), json!(self));
        Ok(())
    }

    /// The name of the part's field, such as `.inlineData`, for errors.
    fn field_suffix(&self) -> String {
        let name = match (&self.inline_data, &self.file_data) {
            (Some(_), _) => Some("inlineData"),
            (None, Some(_)) => Some("fileData"),
            _ => self.extra.keys().next().map(String::as_str),
        };
        name.map(|name| format!(".{}", name.chars().take(60).collect::<String>())).unwrap_or_default()
    }
}

fn insert_object(fields: &mut Map<String, Value>, name: &str, extra: Map<String, Value>) {
    if !extra.is_empty() {
        fields.insert(name.to_owned(), Value::Object(extra));
    }
}

/// Returns whether files of this media type are images or documents. Audio and video are passed on to a provider of this
/// dialect.
fn is_image_or_document(media_type: &str) -> bool {
    let media_type = canonical_media_type(media_type);
    media_type.starts_with("image/") || media_type.starts_with("text/") || media_type == "application/pdf"
}

/// Returns whether other providers load files of this media type from an address.
fn is_linkable(media_type: &str) -> bool {
    let media_type = canonical_media_type(media_type);
    media_type.starts_with("image/") || media_type == "application/pdf"
}

fn add_file(
    message: &mut MessageParts,
    media_type: &str,
    data: String,
    extra: Map<String, Value>,
    param: &str,
) -> Result<(), ApiError> {
    let media_type = canonical_media_type(media_type);
    // Clients may use either base64 alphabet (<https://protobuf.dev/programming-guides/json>); other providers read the
    // standard one.
    let data = if data.contains(['-', '_']) { data.replace('-', "+").replace('_', "/") } else { data };
    if media_type.starts_with("image/") {
        let source = ImageSource::Data { media_type, data };
        message.add_image(Image { source, detail: None }, extra);
        return Ok(());
    }
    let source = if media_type.starts_with("text/") {
        let text = BASE64.decode(&data).ok().and_then(|bytes| String::from_utf8(bytes).ok());
        let param = format!("{param}.inlineData.data");
        let message = format!("{param} must be UTF-8 text in base64");
        DocumentSource::Text(text.ok_or_else(|| ApiError::invalid(param, message))?)
    } else {
        DocumentSource::Data { media_type, data }
    };
    message.add_document(Document { source, name: None }, extra);
    Ok(())
}
