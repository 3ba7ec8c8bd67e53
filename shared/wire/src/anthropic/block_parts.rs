//! Converts text, image and document blocks to parts of a message.

use hearth_domain::{Document, DocumentSource, Image, ImageSource, image::canonical_media_type};
use serde_json::json;

use super::{MessagesBlock, MessagesBlockSource, MessagesSource};
use crate::{ApiError, content::is_stored, message_parts::MessageParts, required::required};

/// Types of blocks that are not parts of a message. Each is allowed in one role's turns alone.
const NOT_PARTS: [&str; 4] = ["tool_use", "tool_result", "thinking", "redacted_thinking"];

impl MessagesBlock {
    /// Adds the block to a message, with `separator` between texts. `param` is the block's field, for the error.
    ///
    /// # Errors
    /// `invalid_request` for a block that is not allowed here, or that lacks a field.
    pub(super) fn add_to(
        mut self,
        message: &mut MessageParts,
        param: &str,
        separator: &str,
    ) -> Result<(), ApiError> {
        if NOT_PARTS.contains(&self.kind.as_str()) {
            let text = format!("a block of type {} is not allowed here", self.kind);
            return Err(ApiError::invalid(format!("{param}.type"), text));
        }
        if self.kind == "text" {
            let fields = self.take_vendor_fields();
            message.add_text(required(self.text, param, "text")?, separator, fields);
            return Ok(());
        }
        if (self.kind == "image" || self.kind == "document")
            && let MessagesBlockSource::File(source) = required(self.source.as_ref(), param, "source")?
        {
            let source_param = format!("{param}.source");
            if self.kind == "image" && source.is_image() {
                let source = source.to_image(&source_param)?;
                message.add_image(Image { source, detail: None }, self.take_vendor_fields());
                return Ok(());
            }
            if self.kind == "document" && source.is_document() {
                let source = source.to_document(&source_param)?;
                let name = self.title.take();
                message.add_document(Document { source, name }, self.take_vendor_fields());
                return Ok(());
            }
        }
        message.add_opaque(param, json!(self));
        Ok(())
    }
}

impl MessagesSource {
    fn is_image(&self) -> bool {
        matches!(self.kind.as_str(), "url" | "base64") || self.stored_id().is_some()
    }

    /// The id of a file or an artifact of the gateway, if this names one.
    fn stored_id(&self) -> Option<&str> {
        let id = self.extra.get("file_id")?.as_str()?;
        (self.kind == "file" && is_stored(id)).then_some(id)
    }

    fn to_image(&self, param: &str) -> Result<ImageSource, ApiError> {
        if let Some(id) = self.stored_id() {
            return Ok(ImageSource::Url(id.to_owned()));
        }
        if self.kind == "url" {
            return Ok(Image::at(required(self.url.as_ref(), param, "url")?).source);
        }
        Ok(ImageSource::Data {
            media_type: canonical_media_type(required(self.media_type.as_ref(), param, "media_type")?),
            data: required(self.data.as_ref(), param, "data")?.clone(),
        })
    }

    fn is_document(&self) -> bool {
        matches!(self.kind.as_str(), "url" | "base64" | "text") || self.stored_id().is_some()
    }

    fn to_document(&self, param: &str) -> Result<DocumentSource, ApiError> {
        if let Some(id) = self.stored_id() {
            return Ok(DocumentSource::Url(id.to_owned()));
        }
        match self.kind.as_str() {
            "url" => Ok(DocumentSource::at(required(self.url.as_ref(), param, "url")?)),
            "text" => Ok(DocumentSource::Text(required(self.data.as_ref(), param, "data")?.clone())),
            _ => Ok(DocumentSource::Data {
                media_type: canonical_media_type(required(self.media_type.as_ref(), param, "media_type")?),
                data: required(self.data.as_ref(), param, "data")?.clone(),
            }),
        }
    }
}
