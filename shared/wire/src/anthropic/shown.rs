//! What a turn says and shows, put together from its blocks.

use hearth_domain::{Document, DocumentSource, Image, ImageSource, image::canonical_media_type};
use serde_json::json;

use super::{MessagesBlock, MessagesBlockSource, MessagesSource, blocks::given};
use crate::{ApiError, parts::MessageParts};

/// Blocks that have a place of their own in a turn, and can stand in no other.
const ELSEWHERE: [&str; 4] = ["tool_use", "tool_result", "thinking", "redacted_thinking"];

impl MessagesBlock {
    /// Adds the block to a message. `between` sets blocks of text off; `at` is where the block stood.
    ///
    /// # Errors
    /// `invalid_request` for a block that can't stand here, or that lacks a field.
    pub(super) fn add_to(
        mut self,
        message: &mut MessageParts,
        at: &str,
        between: &str,
    ) -> Result<(), ApiError> {
        if ELSEWHERE.contains(&self.kind.as_str()) {
            let text = format!("a block of type {} can't stand here", self.kind);
            return Err(ApiError::invalid(format!("{at}.type"), text));
        }
        if self.kind == "text" {
            let fields = self.further();
            message.add_text(given(&self.text, at, "text")?, between, fields);
            return Ok(());
        }
        if (self.kind == "image" || self.kind == "document")
            && let MessagesBlockSource::At(source) = given(&self.source, at, "source")?
        {
            let place = format!("{at}.source");
            if self.kind == "image" && source.is_image() {
                let source = source.image(&place)?;
                message.add_image(Image { source, detail: None }, self.further());
                return Ok(());
            }
            if self.kind == "document" && source.is_document() {
                let source = source.document(&place)?;
                let name = self.title.take();
                message.add_document(Document { source, name }, self.further());
                return Ok(());
            }
        }
        message.add_opaque(at, json!(self));
        Ok(())
    }
}

impl MessagesSource {
    fn is_image(&self) -> bool {
        matches!(self.kind.as_str(), "url" | "base64")
    }

    fn image(&self, at: &str) -> Result<ImageSource, ApiError> {
        if self.kind == "url" {
            return Ok(Image::at(given(&self.url, at, "url")?).source);
        }
        Ok(ImageSource::Data {
            media_type: canonical_media_type(given(&self.media_type, at, "media_type")?),
            data: given(&self.data, at, "data")?.clone(),
        })
    }

    fn is_document(&self) -> bool {
        matches!(self.kind.as_str(), "url" | "base64" | "text")
    }

    fn document(&self, at: &str) -> Result<DocumentSource, ApiError> {
        match self.kind.as_str() {
            "url" => Ok(DocumentSource::at(given(&self.url, at, "url")?)),
            "text" => Ok(DocumentSource::Text(given(&self.data, at, "data")?.clone())),
            _ => Ok(DocumentSource::Data {
                media_type: canonical_media_type(given(&self.media_type, at, "media_type")?),
                data: given(&self.data, at, "data")?.clone(),
            }),
        }
    }
}
