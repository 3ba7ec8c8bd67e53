//! What a part shows: text, images, documents, and what only this dialect knows.

use base64::{Engine as _, engine::general_purpose::STANDARD as BASE64};
use hearth_domain::{Document, DocumentSource, Image, ImageSource, image::canonical_media_type};
use serde_json::{Map, Value, json};

use super::{GeminiFile, GeminiPart};
use crate::{ApiError, parts::MessageParts};

/// Google's own stores of files: only Google can read them.
const OWN_FILES: &str = "generativelanguage.googleapis.com";

impl GeminiPart {
    /// Whether it is a text and nothing else.
    pub(super) fn is_text(&self) -> bool {
        self.inline_data.is_none() && self.file_data.is_none() && self.function_response.is_none()
    }

    /// Adds the part to a message as what it shows. `at` is where it stood.
    ///
    /// # Errors
    /// `invalid_request` for a part that can't stand here.
    pub(super) fn show(
        mut self,
        message: &mut MessageParts,
        at: &str,
        between: &str,
    ) -> Result<(), ApiError> {
        for (stands, name) in [
            (self.function_call.is_some(), "functionCall"),
            (self.function_response.is_some(), "functionResponse"),
        ] {
            if stands {
                let param = format!("{at}.{name}");
                return Err(ApiError::invalid(&param, format!("{param} can't stand here")));
            }
        }
        if let (true, Some(text)) = (self.is_text(), &self.text) {
            message.add_text(text, between, self.extra);
            return Ok(());
        }
        if let Some(blob) = self.inline_data.take_if(|blob| is_known(&blob.mime_type)) {
            add_under(&mut self.extra, "inlineData", blob.extra);
            return show_file(message, &blob.mime_type, blob.data, self.extra, at);
        }
        let is_open = |file: &mut GeminiFile| {
            file.file_uri.starts_with("http")
                && !file.file_uri.contains(OWN_FILES)
                && file.mime_type.as_deref().is_some_and(is_linkable)
        };
        if let Some(file) = self.file_data.take_if(is_open) {
            let media_type = canonical_media_type(file.mime_type.as_deref().unwrap_or_default());
            let mut further = file.extra;
            further.insert("mimeType".to_owned(), json!(media_type));
            add_under(&mut self.extra, "fileData", further);
            match media_type.as_str() {
                "application/pdf" => {
                    let source = DocumentSource::at(file.file_uri);
                    message.add_document(Document { source, name: None }, self.extra);
                }
                _ => message.add_image(Image::at(file.file_uri), self.extra),
            }
            return Ok(());
        }
        let holds_file = self.inline_data.is_some() || self.file_data.is_some();
        if !holds_file && self.extra.values().all(Value::is_null) {
            // It says nothing.
            return Ok(());
        }
        let name = self.first_field();
        message.add_opaque(format!("{at}{name}"), json!(self));
        Ok(())
    }

    /// The name of what it holds, for errors.
    fn first_field(&self) -> String {
        let name = match (&self.inline_data, &self.file_data) {
            (Some(_), _) => Some("inlineData"),
            (None, Some(_)) => Some("fileData"),
            _ => self.extra.keys().next().map(String::as_str),
        };
        name.map(|name| format!(".{}", name.chars().take(60).collect::<String>())).unwrap_or_default()
    }
}

fn add_under(fields: &mut Map<String, Value>, name: &str, further: Map<String, Value>) {
    if !further.is_empty() {
        fields.insert(name.to_owned(), Value::Object(further));
    }
}

/// Whether a file of this media type is an image or a document. Sounds and films are for a provider of this dialect.
fn is_known(media_type: &str) -> bool {
    let media_type = canonical_media_type(media_type);
    media_type.starts_with("image/") || media_type.starts_with("text/") || media_type == "application/pdf"
}

/// Whether other providers read a file of this media type from an address.
fn is_linkable(media_type: &str) -> bool {
    let media_type = canonical_media_type(media_type);
    media_type.starts_with("image/") || media_type == "application/pdf"
}

fn show_file(
    message: &mut MessageParts,
    media_type: &str,
    data: String,
    further: Map<String, Value>,
    at: &str,
) -> Result<(), ApiError> {
    let media_type = canonical_media_type(media_type);
    // Bytes in JSON may be in either alphabet (<https://protobuf.dev/programming-guides/json>); others read the standard one.
    let data = if data.contains(['-', '_']) { data.replace('-', "+").replace('_', "/") } else { data };
    if media_type.starts_with("image/") {
        let source = ImageSource::Data { media_type, data };
        message.add_image(Image { source, detail: None }, further);
        return Ok(());
    }
    let source = if media_type.starts_with("text/") {
        let text = BASE64.decode(&data).ok().and_then(|bytes| String::from_utf8(bytes).ok());
        let param = format!("{at}.inlineData.data");
        let message = format!("{param} must be a text in UTF-8, in base64");
        DocumentSource::Text(text.ok_or_else(|| ApiError::invalid(param, message))?)
    } else {
        DocumentSource::Data { media_type, data }
    };
    message.add_document(Document { source, name: None }, further);
    Ok(())
}
