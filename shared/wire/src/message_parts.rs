//! Builds a message from the parts of a client's dialect.

use hearth_domain::{
    Attachment, AttachmentContent, Document, Image, Message, Opaque, PartExtra, PartPlace, PlacedImage, Role,
};
use serde_json::{Map, Value};

/// Builder of a message.
#[derive(Debug, Default)]
pub(crate) struct MessageParts {
    text: String,
    images: Vec<PlacedImage>,
    attachments: Vec<Attachment>,
    extra: Vec<PartExtra>,
    /// Number of parts.
    count: usize,
    /// True if the last part is text: a separator goes before more text.
    after_text: bool,
}

impl MessageParts {
    /// Adds a text, with `separator` between it and a text right before it. An empty text is not a part.
    /// `fields` are the part's unknown fields, for a provider of the client's dialect.
    pub(crate) fn add_text(
        &mut self,
        text: impl AsRef<str> + Into<String>,
        separator: &str,
        fields: Map<String, Value>,
    ) {
        if text.as_ref().is_empty() {
            return;
        }
        if self.after_text {
            self.attach(AttachmentContent::Break(separator.len()));
            self.text.push_str(separator);
        }
        match self.text.is_empty() {
            true => self.text = text.into(),
            false => self.text.push_str(text.as_ref()),
        }
        self.count_part(fields);
        self.after_text = true;
    }

    /// Adds an image.
    pub(crate) fn add_image(&mut self, image: Image, fields: Map<String, Value>) {
        self.images.push(PlacedImage { at: self.text.len(), image });
        self.count_part(fields);
    }

    /// Adds a document.
    pub(crate) fn add_document(&mut self, document: Document, fields: Map<String, Value>) {
        self.attach(AttachmentContent::Document(document));
        self.count_part(fields);
    }

    /// Adds a part of a type that the gateway does not know. `param` is its field, for errors.
    pub(crate) fn add_opaque(&mut self, param: impl Into<String>, value: Value) {
        self.attach(AttachmentContent::Opaque(Opaque { param: param.into(), value }));
        self.count_part(Map::new());
    }

    /// Adds unknown fields of a piece of the message, if it has any.
    pub(crate) fn add_extra(&mut self, of: PartPlace, mut fields: Map<String, Value>) {
        fields.retain(|_, value| !value.is_null());
        if !fields.is_empty() {
            self.extra.push(PartExtra { of, fields });
        }
    }

    /// Returns whether it has a part.
    pub(crate) fn has_parts(&self) -> bool {
        self.count > 0
    }

    /// Builds the message.
    pub(crate) fn into_message(self, role: Role) -> Message {
        Message {
            images: self.images,
            attachments: self.attachments,
            extra: self.extra,
            ..Message::new(role, self.text)
        }
    }

    fn attach(&mut self, content: AttachmentContent) {
        let (at, images_before) = (self.text.len(), self.images.len());
        self.attachments.push(Attachment { at, images_before, content });
    }

    fn count_part(&mut self, fields: Map<String, Value>) {
        self.add_extra(PartPlace::Part(self.count), fields);
        self.count += 1;
        self.after_text = false;
    }
}

#[cfg(test)]
mod tests {
    use hearth_domain::Part;

    use super::*;

    #[test]
    fn texts_are_separated_and_stay_parts() {
        let mut parts = MessageParts::default();
        let fields = Map::from_iter([("cache_control".to_owned(), Value::from(1))]);
        for (text, fields) in [("one", Map::new()), ("", fields.clone()), ("two", fields.clone())] {
            parts.add_text(text, "\n", fields);
        }
        parts.add_image(Image::at("https://example.org/a.png"), Map::new());
        parts.add_text("three", "\n", Map::new());
        let message = parts.into_message(Role::User);
        assert_eq!(message.content, "one\ntwothree");
        let texts = message.parts_with_extra().into_iter().filter_map(|(part, extra)| match part {
            Part::Text(text) => Some((text, extra)),
            _ => None,
        });
        assert_eq!(texts.collect::<Vec<_>>(), [("one", None), ("two", Some(&fields)), ("three", None)]);
    }
}
